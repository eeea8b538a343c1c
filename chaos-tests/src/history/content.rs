//! What a span holds, made from one number, and that number found again in what came back.
//!
//! A span's fingerprint says everything about it: name, duration and text follow from it. A reader
//! takes the fingerprint from an attribute of the span that it got, makes the content anew, and
//! compares. A span of which anything else changed is *odd*, and told as such.

use super::identity::mix;

/// The number from which the content of a span follows, from its request's number and its place.
pub fn fingerprint(content: u64, index: u16) -> u64 {
    mix(content ^ mix(u64::from(index) + 1))
}

/// What stands for fingerprint and start together; sums of it are what a history keeps.
pub fn weight(fingerprint: u64, start_us: u64) -> u64 {
    mix(fingerprint ^ mix(start_us))
}

/// When the span at `index` starts, in a request whose spans start at `base_us`.
pub fn start_us(base_us: u64, index: u16) -> u64 {
    base_us + u64::from(index)
}

/// What follows from a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The span's name.
    pub name: String,
    /// How long it took.
    pub duration_us: u64,
    /// An attribute of words, up to some hundred bytes.
    pub text: String,
}

/// Words of the text; what they say does not matter.
const WORDS: [&str; 8] =
    ["select", "from orders", "where id", "timeout", "GET /cart", "payment", "retry", "ünïcode"];

impl Content {
    /// The content that a fingerprint stands for.
    pub fn of(fingerprint: u64) -> Self {
        let mut text = String::new();
        let mut rest = mix(fingerprint);
        for _ in 0..=fingerprint % 12 {
            let word = usize::try_from(rest % 8).unwrap_or_default();
            text.push_str(WORDS.get(word).copied().unwrap_or_default());
            text.push(' ');
            rest = rest.rotate_right(5);
        }
        let text = format!("{text}{:x}", rest >> 40);
        Self {
            name: format!("operation-{}", fingerprint >> 7 & 31),
            duration_us: 1 + (fingerprint >> 13) % 500_000,
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_follows_from_the_fingerprint() {
        assert_eq!(Content::of(77), Content::of(77));
        assert_ne!(Content::of(77), Content::of(78));
        assert_ne!(fingerprint(1, 1), fingerprint(1, 2));
        assert_ne!(fingerprint(1, 1), fingerprint(2, 1));
        assert_ne!(weight(5, 10), weight(5, 11));
    }
}
