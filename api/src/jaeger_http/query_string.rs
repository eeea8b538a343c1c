//! The parameters of a request, as Go's `url.ParseQuery` reads them.

/// Decoded parameters in the order they came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct QueryString {
    pairs: Vec<(String, String)>,
}

impl QueryString {
    /// Reads what stands behind the `?`. Like Go, leaves out a pair with a semicolon in it or
    /// with an escape that is none. How much there is, the HTTP server bounds.
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pieces = query.unwrap_or_default().split('&');
        let pairs = pieces
            .filter(|piece| !piece.is_empty() && !piece.contains(';'))
            .filter_map(|piece| {
                let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
                Some((unescape(key)?, unescape(value)?))
            })
            .collect();
        Self { pairs }
    }

    /// Adds parameters that came another way.
    pub(crate) fn extend(&mut self, pairs: Vec<(String, String)>) {
        self.pairs.extend(pairs);
    }

    /// The first value of a parameter; empty if there is none, which no caller tells apart.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.pairs.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// All values of a parameter.
    pub(crate) fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that has several names, and the name to blame for it: the first
    /// with a value, else the last.
    pub(crate) fn get_aliased<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> (&str, &'static str) {
        let mut found = ("", "");
        for name in names {
            found = (self.get(name), name);
            if !found.0.is_empty() {
                break;
            }
        }
        found
    }
}

/// Undoes `application/x-www-form-urlencoded` escapes; nothing if one is malformed. Bytes that
/// are not UTF-8 are replaced: no name or value in an answer contains such bytes.
pub(crate) fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
            plain => plain,
        });
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex_digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_as_go_reads_them() {
        let query = QueryString::parse(Some("a=1&a=2&b=x+y%2Bz&=e&c&bad=%zz&semi=1;2&d=%ff"));
        assert_eq!(query.get("a"), "1");
        assert_eq!(query.get_all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.get("b"), "x y+z");
        assert_eq!(query.get(""), "e");
        assert_eq!(query.get_all("c").collect::<Vec<_>>(), [""]);
        assert_eq!(query.get_all("bad").count(), 0);
        assert_eq!(query.get_all("semi").count(), 0);
        assert_eq!(query.get("d"), "\u{fffd}");
        assert_eq!(query.get_aliased(["none", "c", "a"]), ("1", "a"));
        assert_eq!(query.get_aliased(["none", "c"]), ("", "c"));
        assert_eq!(QueryString::parse(None), QueryString::default());
    }
}
