//! Fifth adjuster: numeric `ip` and `peer.ipv4` attributes become dotted quads.
//!
//! Old Zipkin and Jaeger clients packed an IPv4 address into a number.

use std::net::Ipv4Addr;
use std::sync::Arc;

use model::pace::{self, Pace};
use model::{Attribute, AttributeValue};

use super::EditableTrace;

const KEYS: [&str; 2] = ["ip", "peer.ipv4"];

/// Rewrites numeric addresses in resources and spans.
pub fn normalize_ip_attributes<P: Pace>(
    trace: &mut EditableTrace,
    pace: &P,
) -> Result<(), P::Stop> {
    for resource in &mut trace.resources {
        if resource.attributes.iter().any(|attribute| address(attribute).is_some()) {
            normalize(&mut Arc::make_mut(resource).attributes);
        }
    }
    pace::for_each(&mut trace.spans, pace, |editable| normalize(&mut editable.span.attributes))
}

fn normalize(attributes: &mut [Attribute]) {
    for attribute in attributes {
        if let Some(address) = address(attribute) {
            attribute.value = AttributeValue::String(address.to_string().into());
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the lower 32 bits are the address; the rest is sign extension or nonsense"
)]
fn address(attribute: &Attribute) -> Option<Ipv4Addr> {
    if !KEYS.iter().any(|key| attribute.key == *key) {
        return None;
    }
    let packed = match attribute.value {
        AttributeValue::Int(number) => number as u32,
        AttributeValue::Double(number) => number as i64 as u32,
        _ => return None,
    };
    Some(Ipv4Addr::from(packed))
}

#[cfg(test)]
mod tests {
    use model::Resource;
    use model::pace::{Unhurried, unstopped};
    use model::testing::simple_span;

    use super::*;

    #[test]
    fn numbers_become_dotted_quads() {
        let mut span = simple_span(1, 1, 0, 1);
        let attributes = vec![Attribute::new("ip", 16_909_060)];
        span.resource = Arc::new(Resource { attributes, ..Resource::default() });
        span.attributes = vec![
            Attribute::new("peer.ipv4", -1),
            Attribute::new("peer.ipv4", 16_909_060.0),
            Attribute::new("ip", "127.0.0.1"),
            Attribute::new("port", 80),
        ];
        let mut trace = EditableTrace::from_spans(span.trace_id, vec![span]);
        unstopped(normalize_ip_attributes(&mut trace, &Unhurried));
        let span = trace.into_spans().remove(0);
        assert_eq!(span.resource.attributes, [Attribute::new("ip", "1.2.3.4")]);
        let expected = [
            Attribute::new("peer.ipv4", "255.255.255.255"),
            Attribute::new("peer.ipv4", "1.2.3.4"),
            Attribute::new("ip", "127.0.0.1"),
            Attribute::new("port", 80),
        ];
        assert_eq!(span.attributes, expected);
    }
}
