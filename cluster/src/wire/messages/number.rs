//! Enumerations as numbers, and which number is which, once.

use crate::wire::WireError;

/// A choice that travels as a number.
pub(crate) trait Numbered: Copy {
    /// The number on the wire.
    fn number(self) -> u32;
    /// The choice of a number from the wire.
    fn from_number(number: u32) -> Result<Self, WireError>;
}

/// Gives the variants of an enumeration their numbers, in both directions.
macro_rules! numbered {
    ($type:ty, $what:literal, { $($number:literal => $variant:ident),+ $(,)? }) => {
        impl $crate::wire::messages::number::Numbered for $type {
            fn number(self) -> u32 {
                match self { $(Self::$variant => $number),+ }
            }

            fn from_number(number: u32) -> Result<Self, $crate::wire::WireError> {
                match number {
                    0 => Err($crate::wire::WireError::Missing { what: $what }),
                    $($number => Ok(Self::$variant),)+
                    _ => Err($crate::wire::WireError::Unknown { what: $what, number }),
                }
            }
        }
    };
}
