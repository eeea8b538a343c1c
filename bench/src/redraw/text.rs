//! Draws the variable tokens of a text anew, in place.
//!
//! A token is a run of ASCII letters and digits. What stands between tokens, and what is not
//! ASCII, stays, and so do tokens that the survey found in many different values of the key: they
//! are the text's template.

use std::collections::HashSet;

use twox_hash::XxHash3_64;

use super::Random;

/// Replaces the tokens of `text` that are not in `template`.
pub(super) fn redraw_text(text: &mut [u8], template: &HashSet<u64>, seed: u64) {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric();
    for token in text.chunk_by_mut(|left, right| is_token(left) && is_token(right)) {
        if token.first().is_some_and(is_token) && !template.contains(&token_hash(token)) {
            redraw_token(token, seed);
        }
    }
}

/// The tokens of a text.
pub(super) fn tokens(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !byte.is_ascii_alphanumeric()).filter(|token| !token.is_empty())
}

/// What the survey knows a token by.
pub(super) fn token_hash(token: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(0, token)
}

fn redraw_token(token: &mut [u8], seed: u64) {
    let mut random = Random::of(seed, token);
    let mut draw = |alphabet: &[u8], byte: &mut u8| {
        if let Some(drawn) = random.pick(alphabet) {
            *byte = *drawn;
        }
    };
    if let Some(alphabet) = hex_alphabet(token) {
        for byte in token {
            draw(alphabet, byte);
        }
        return;
    }
    let leading_digit = token.len() > 1;
    for (at, byte) in token.iter_mut().enumerate() {
        match *byte {
            // A number keeps its number of digits.
            b'0' if at == 0 && leading_digit => {}
            b'0'..=b'9' if at == 0 && leading_digit => draw(b"123456789", byte),
            b'0'..=b'9' => draw(b"0123456789", byte),
            b'a'..=b'z' => draw(b"abcdefghijklmnopqrstuvwxyz", byte),
            _ => draw(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", byte),
        }
    }
}

/// The alphabet of a hexadecimal token with digits and letters of one case.
fn hex_alphabet(token: &[u8]) -> Option<&'static [u8]> {
    let has_digit = token.iter().any(u8::is_ascii_digit);
    let lower = token.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let upper = token.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    match (has_digit, lower, upper) {
        (true, true, false) => Some(b"0123456789abcdef"),
        (true, false, true) => Some(b"0123456789ABCDEF"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redrawn(text: &str, template: &[&str], seed: u64) -> String {
        let template = template.iter().map(|token| token_hash(token.as_bytes())).collect();
        let mut bytes = text.as_bytes().to_vec();
        redraw_text(&mut bytes, &template, seed);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_shape_and_the_template_stay() {
        let text = "user 420 got 0c3af9 from \u{dc}nit-XY7";
        let drawn = redrawn(text, &["user", "got", "from"], 1);
        let shape = |text: &str| -> String {
            let class = |character: char| match character {
                '0'..='9' => '9',
                'a'..='z' => 'a',
                'A'..='Z' => 'A',
                other => other,
            };
            text.chars().map(class).collect()
        };
        let hex = drawn.split(' ').nth(3).unwrap();
        assert!(hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{drawn}");
        assert_ne!(drawn, text);
        let without_hex = |text: &str, hex: &str| shape(&text.replace(hex, "_"));
        assert_eq!(without_hex(&drawn, hex), without_hex(text, "0c3af9"));
        assert!(drawn.starts_with("user ") && drawn.contains(" got "));
    }

    #[test]
    fn equal_tokens_stay_equal_and_seeds_differ() {
        let drawn = redrawn("id-12345678 id-12345678", &["id"], 7);
        let (left, right) = drawn.split_once(' ').unwrap();
        assert_eq!(left, right);
        assert_eq!(drawn, redrawn("id-12345678 id-12345678", &["id"], 7));
        assert_ne!(drawn, redrawn("id-12345678 id-12345678", &["id"], 8));
    }
}
