//! Whose request it is (TEN-1).
//!
//! Without tenancy everything belongs to one tenant. With it, a header names the tenant, and a
//! request without one is refused at every door, static files included, in Jaeger's words. The
//! tenant travels in the request's extensions; nothing behind this layer looks at the header.

use std::collections::BTreeSet;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, StatusCode};
use model::Tenant;
use tonic::Code;

/// How the tenant of a request is found.
#[derive(Debug, Clone, Default)]
pub enum Tenancy {
    /// There is one tenant.
    #[default]
    Off,
    /// A header names it.
    Header {
        /// The header; Jaeger's default is `x-tenant`.
        name: HeaderName,
        /// The tenants there may be; any, if nothing is said.
        allowed: Option<BTreeSet<Tenant>>,
    },
}

/// Why the tenant of a request cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// The header is missing.
    #[error("missing tenant header")]
    Missing,
    /// The header stands more than once.
    #[error("extra tenant header")]
    Extra,
    /// The header names no tenant that may be.
    #[error("unknown tenant")]
    Unknown,
}

impl TenantError {
    /// As gRPC says it.
    pub fn code(self) -> Code {
        match self {
            Self::Missing => Code::Unauthenticated,
            Self::Extra | Self::Unknown => Code::PermissionDenied,
        }
    }
}

impl Tenancy {
    /// The tenant of a request with these headers (or this gRPC metadata, the same thing).
    pub fn tenant(&self, headers: &HeaderMap) -> Result<Tenant, TenantError> {
        let Self::Header { name, allowed } = self else { return Ok(Tenant::default()) };
        let mut values = headers.get_all(name).iter();
        let value = values.next().filter(|value| !value.is_empty()).ok_or(TenantError::Missing)?;
        if values.next().is_some() {
            return Err(TenantError::Extra);
        }
        let text = value.to_str().map_err(|_| TenantError::Unknown)?;
        let tenant = Tenant::new(text).map_err(|_| TenantError::Unknown)?;
        match allowed {
            Some(allowed) if !allowed.contains(&tenant) => Err(TenantError::Unknown),
            _ => Ok(tenant),
        }
    }
}

/// Axum middleware: puts the tenant into the request's extensions, or answers 401 as Jaeger
/// does. Use with [`axum::middleware::from_fn_with_state`].
pub async fn determine(State(tenancy): State<Tenancy>, request: Request, next: Next) -> Response {
    let refuse = |error: TenantError| (StatusCode::UNAUTHORIZED, error.to_string()).into_response();
    determined(&tenancy, request, next, refuse).await
}

/// The same, with a refusal of the door's own.
pub(crate) async fn determined(
    tenancy: &Tenancy,
    mut request: Request,
    next: Next,
    refuse: impl FnOnce(TenantError) -> Response + Send,
) -> Response {
    match tenancy.tenant(request.headers()) {
        Ok(tenant) => {
            request.extensions_mut().insert(tenant);
            next.run(request).await
        }
        Err(error) => refuse(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_the_tenant() {
        let name = HeaderName::from_static("x-tenant");
        let allowed = Some(BTreeSet::from([Tenant::new("acme").unwrap()]));
        let some = Tenancy::Header { name: name.clone(), allowed };
        let any = Tenancy::Header { name, allowed: None };
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-tenant", value.parse().unwrap());
            }
            headers
        };
        assert_eq!(Tenancy::Off.tenant(&headers(&["x"])), Ok(Tenant::default()));
        assert_eq!(some.tenant(&headers(&[])), Err(TenantError::Missing));
        assert_eq!(some.tenant(&headers(&[""])), Err(TenantError::Missing));
        assert_eq!(some.tenant(&headers(&["other"])), Err(TenantError::Unknown));
        assert_eq!(some.tenant(&headers(&["acme", "acme"])), Err(TenantError::Extra));
        assert_eq!(some.tenant(&headers(&["acme"])), Ok(Tenant::new("acme").unwrap()));
        assert_eq!(any.tenant(&headers(&["other"])), Ok(Tenant::new("other").unwrap()));
        assert_eq!(any.tenant(&headers(&["a/b"])), Err(TenantError::Unknown));
    }
}
