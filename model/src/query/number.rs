//! Numbers that compare exactly, whatever their types: an integer and a double are never first
//! rounded to one another.

use std::cmp::Ordering;

use super::{Comparison, Literal, NumberTest};
use crate::value::ValueRef;

/// A number of a span or of a query.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// A whole number; wide enough for every `i64` and `u64`, and for sums of them.
    Int(i128),
    /// A double.
    Double(f64),
}

impl Number {
    /// The number in an attribute value, if it is one.
    pub fn of_value(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Int(number) => Some(number.into()),
            ValueRef::Double(number) => Some(number.into()),
            _ => None,
        }
    }

    /// The number in a literal, if it is one.
    pub fn of_literal(literal: &Literal) -> Option<Self> {
        match literal {
            Literal::Int(number) => Some((*number).into()),
            Literal::Double(number) => Some((*number).into()),
            Literal::String(_) | Literal::Bool(_) => None,
        }
    }

    /// How the numbers compare by value; nothing if one of them is `NaN`.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(&right)),
            (Self::Double(left), Self::Double(right)) => left.partial_cmp(&right),
            (Self::Int(left), Self::Double(right)) => compare_int(left, right),
            (Self::Double(left), Self::Int(right)) => {
                compare_int(right, left).map(Ordering::reverse)
            }
        }
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Double(number) => number,
        }
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self::Int(number.into())
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Int(number.into())
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Double(number)
    }
}

/// Two to the power of 127: the first double beyond every `i128`.
const BEYOND_INT: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;

#[expect(clippy::cast_possible_truncation, reason = "whole and within the range of i128")]
fn compare_int(left: i128, right: f64) -> Option<Ordering> {
    if right.is_nan() {
        None
    } else if right >= BEYOND_INT {
        Some(Ordering::Less)
    } else if right < -BEYOND_INT {
        Some(Ordering::Greater)
    } else {
        let whole = right.trunc() as i128;
        let fraction = right.fract();
        Some(left.cmp(&whole).then(0.0_f64.partial_cmp(&fraction)?))
    }
}

impl Comparison {
    /// Whether two values that compare like this stand in this relation. Incomparable values
    /// (`NaN`) are just not equal.
    pub fn holds(self, ordering: Option<Ordering>) -> bool {
        match self {
            Self::Equal => ordering == Some(Ordering::Equal),
            Self::NotEqual => ordering != Some(Ordering::Equal),
            Self::Less => ordering == Some(Ordering::Less),
            Self::LessOrEqual => ordering.is_some_and(Ordering::is_le),
            Self::Greater => ordering == Some(Ordering::Greater),
            Self::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
        }
    }
}

impl NumberTest {
    /// Whether `number` passes.
    pub fn passes(&self, number: impl Into<Number>) -> bool {
        self.comparison.holds(number.into().compare(Number::Double(self.number)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_and_doubles_compare_without_rounding() {
        let above = Number::from((1_i64 << 53) + 1);
        let power = Number::from(9_007_199_254_740_992.0);
        assert_eq!(above.compare(power), Some(Ordering::Greater));
        assert_eq!(power.compare(above), Some(Ordering::Less));
        assert_eq!(Number::from(-1_i64).compare(Number::from(-1.5)), Some(Ordering::Greater));
        assert_eq!(Number::from(u64::MAX).compare(Number::from(1e300)), Some(Ordering::Less));
        let negative = Number::from(f64::NEG_INFINITY);
        assert_eq!(Number::from(i64::MIN).compare(negative), Some(Ordering::Greater));
    }

    #[test]
    fn nothing_but_not_equal_holds_of_nan() {
        let compared = Number::from(1_i64).compare(Number::from(f64::NAN));
        assert!(Comparison::NotEqual.holds(compared));
        assert!(!Comparison::Equal.holds(compared));
        assert!(!Comparison::LessOrEqual.holds(compared));
        assert!(!Comparison::GreaterOrEqual.holds(compared));
    }

    proptest! {
        #[test]
        fn small_integers_compare_as_doubles_do(left in -1000_i32..1000, right in -1e3_f64..1e3) {
            let exact = Number::from(i64::from(left)).compare(Number::from(right));
            prop_assert_eq!(exact, f64::from(left).partial_cmp(&right));
        }
    }
}
