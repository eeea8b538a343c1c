//! Where sampling strategies are: in a file, or behind an address.

use std::fmt;
use std::path::PathBuf;

use hyper::Uri;

/// Where sampling strategies are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StrategiesSource {
    /// A file on this machine.
    File(PathBuf),
    /// What a server answers; begins with `http://`.
    Url(String),
}

impl StrategiesSource {
    /// Reads a path or a URL; whatever has no scheme is a path.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, _)) = text.split_once("://") else {
            return Ok(Self::File(text.into()));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "http" => match text.parse::<Uri>() {
                Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => {
                    Ok(Self::Url(text.to_owned()))
                }
                _ => Err(format!("`{text}` is not a URL")),
            },
            "https" => Err("this program has no TLS client: a file or a URL that begins with \
                            http:// is expected"
                .to_owned()),
            _ => Err("a file or a URL that begins with http:// is expected".to_owned()),
        }
    }
}

impl fmt::Display for StrategiesSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Url(url) => url.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_file_or_an_address_without_tls() {
        for (text, wanted) in [
            ("a.json", Ok(StrategiesSource::File("a.json".into()))),
            ("/etc/http:/a", Ok(StrategiesSource::File("/etc/http:/a".into()))),
            ("http://host/a", Ok(StrategiesSource::Url("http://host/a".to_owned()))),
            ("HTTP://host:8/a?b", Ok(StrategiesSource::Url("HTTP://host:8/a?b".to_owned()))),
            ("http://", Err("`http://` is not a URL")),
            ("http:// x", Err("`http:// x` is not a URL")),
            ("file:///a", Err("a file or a URL that begins with http:// is expected")),
        ] {
            assert_eq!(StrategiesSource::parse(text), wanted.map_err(ToOwned::to_owned), "{text}");
        }
        assert!(StrategiesSource::parse("https://host/a").unwrap_err().contains("no TLS client"));
    }
}
