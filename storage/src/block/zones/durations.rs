//! Durations in a byte: exact below four nanoseconds, above with four steps to a power of two.

use model::Duration;

/// The byte of a duration. Ascends with it.
#[expect(clippy::cast_possible_truncation, reason = "at most 4 * 62 + 3")]
pub(super) fn code(duration: Duration) -> u8 {
    match duration.0 {
        nanos @ 0..4 => nanos as u8,
        nanos => {
            let octave = nanos.ilog2();
            ((octave - 1) * 4) as u8 + (nanos >> (octave - 2) & 3) as u8
        }
    }
}

/// The shortest and the longest duration of a byte; of one that none has, everything.
pub(super) fn range(code: u8) -> (Duration, Duration) {
    if code < 4 {
        return (Duration(code.into()), Duration(code.into()));
    }
    let (octave, step) = (u32::from(code / 4) + 1, u64::from(code % 4));
    if octave > 63 {
        return (Duration(0), Duration(u64::MAX));
    }
    let width = 1_u64 << (octave - 2);
    let shortest = (4 + step) * width;
    (Duration(shortest), Duration(shortest + (width - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_lies_in_the_range_of_its_byte() {
        let powers = (0..64).map(|octave| 1_u64 << octave);
        let around = powers.flat_map(|power| [power - 1, power, power + 1, power + power / 2]);
        let mut last = 0;
        let mut durations: Vec<u64> = around.chain([u64::MAX]).collect();
        durations.sort_unstable();
        for nanos in durations {
            let code = code(Duration(nanos));
            let (shortest, longest) = range(code);
            assert!(shortest.0 <= nanos && nanos <= longest.0, "{nanos} {code}");
            assert!(code >= last, "{nanos}");
            last = code;
        }
        for code in 4..=251 {
            assert_eq!(range(code).0.0, range(code - 1).1.0 + 1, "{code}");
        }
        assert_eq!(range(251).1.0, u64::MAX);
        assert_eq!(range(255), (Duration(0), Duration(u64::MAX)));
    }
}
