//! The parts that Zipkin's JSON objects are made of: keys, texts, numbers, `null`.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Unexpected, Visitor};

use super::draft::{Draft, Scalar, Text};
use super::encoded::whole;

/// The keys of all objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    TraceId,
    ParentId,
    Id,
    Kind,
    Name,
    Timestamp,
    Duration,
    LocalEndpoint,
    RemoteEndpoint,
    Annotations,
    Tags,
    BinaryAnnotations,
    OfTag,
    Value,
    Endpoint,
    ServiceName,
    Ipv4,
    Ipv6,
    Port,
    Unknown,
}

impl Key {
    fn of(name: &str) -> Self {
        match name {
            "traceId" => Self::TraceId,
            "parentId" => Self::ParentId,
            "id" => Self::Id,
            "kind" => Self::Kind,
            "name" => Self::Name,
            "timestamp" => Self::Timestamp,
            "duration" => Self::Duration,
            "localEndpoint" => Self::LocalEndpoint,
            "remoteEndpoint" => Self::RemoteEndpoint,
            "annotations" => Self::Annotations,
            "tags" => Self::Tags,
            "binaryAnnotations" => Self::BinaryAnnotations,
            "key" => Self::OfTag,
            "value" => Self::Value,
            "endpoint" => Self::Endpoint,
            "serviceName" => Self::ServiceName,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "port" => Self::Port,
            _ => Self::Unknown,
        }
    }
}

/// Reads a key.
pub(super) struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
        Ok(Key::of(name))
    }
}

/// A value or `null`.
pub(super) struct Nullable<T>(pub(super) T);

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Nullable<T> {
    type Value = Option<T::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, T: DeserializeSeed<'de>> Visitor<'de> for Nullable<T> {
    type Value = Option<T::Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

/// A text, kept in the draft.
pub(super) struct TextSeed<'d>(pub(super) &'d mut Draft);

impl<'de> DeserializeSeed<'de> for TextSeed<'_> {
    type Value = Text;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Text, D::Error> {
        // As bytes: JavaScript cuts text between the halves of a surrogate pair.
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for TextSeed<'_> {
    type Value = Text;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(self.0.keep(text.as_bytes()))
    }

    fn visit_bytes<E: Error>(self, text: &[u8]) -> Result<Text, E> {
        Ok(self.0.keep(text))
    }
}

/// Text, a number or a truth value.
pub(super) struct ScalarSeed<'d>(pub(super) &'d mut Draft);

impl<'de> DeserializeSeed<'de> for ScalarSeed<'_> {
    type Value = Scalar;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ScalarSeed<'_> {
    type Value = Scalar;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, a number, true or false")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(self.0.keep(text.as_bytes())))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(truth))
    }

    fn visit_i64<E: Error>(self, integer: i64) -> Result<Scalar, E> {
        Ok(Scalar::Int(integer))
    }

    fn visit_u64<E: Error>(self, integer: u64) -> Result<Scalar, E> {
        let out_of_range = |_| E::custom(format_args!("{integer} is out of range"));
        i64::try_from(integer).map(Scalar::Int).map_err(out_of_range)
    }

    fn visit_f64<E: Error>(self, double: f64) -> Result<Scalar, E> {
        // `1.5e15` is an integer too, as long as it is exactly one.
        Ok(whole(double).map_or(Scalar::Double(double), Scalar::Int))
    }

    /// How the JSON reader hands over a number that is neither `i64` nor `u64` when it is built
    /// to keep every digit: a map of one private key to the digits.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        let digits = match map.next_entry::<String, String>()? {
            Some((key, digits)) if key == "$serde_json::private::Number" => digits,
            _ => return Err(A::Error::invalid_type(Unexpected::Map, &self)),
        };
        let double = digits.parse::<f64>().ok().filter(|double| double.is_finite());
        match double {
            Some(double) => self.visit_f64(double),
            None => Err(A::Error::custom("a number is out of range")),
        }
    }
}
