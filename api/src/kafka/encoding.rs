//! What a message of a topic is, in the words of Jaeger and of the collector.

use std::borrow::Cow;
use std::str::FromStr;

use super::jaeger_json;
use crate::error::ApiError;
use crate::ingest::Protocol;
use crate::jaeger_thrift::arena::Arena;
use crate::jaeger_thrift::door::Translate;
use crate::otlp::walk::CheckError;
use crate::otlp::wire::{Reader, WireError};
use crate::{jaeger_grpc, otlp, zipkin};

/// An encoding of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KafkaEncoding {
    /// A `TracesData` of OTLP.
    #[default]
    OtlpProto,
    /// The same in JSON.
    OtlpJson,
    /// One `api_v2.Span` with its process.
    JaegerProto,
    /// The same in JSON.
    JaegerJson,
    /// Zipkin's `ListOfSpans`.
    ZipkinProto,
    /// A list of Zipkin's v2 spans in JSON.
    ZipkinJson,
    /// A list of Zipkin's v1 spans in Thrift's binary protocol.
    ZipkinThrift,
}

/// It is none of the encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "known encodings are otlp_proto, otlp_json, jaeger_proto, jaeger_json, zipkin_proto, \
     zipkin_json and zipkin_thrift"
)]
pub struct UnknownEncoding;

impl KafkaEncoding {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::OtlpProto,
        Self::OtlpJson,
        Self::JaegerProto,
        Self::JaegerJson,
        Self::ZipkinProto,
        Self::ZipkinJson,
        Self::ZipkinThrift,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::OtlpProto => "otlp_proto",
            Self::OtlpJson => "otlp_json",
            Self::JaegerProto => "jaeger_proto",
            Self::JaegerJson => "jaeger_json",
            Self::ZipkinProto => "zipkin_proto",
            Self::ZipkinJson => "zipkin_json",
            Self::ZipkinThrift => "zipkin_thrift",
        }
    }

    /// As what its requests are counted.
    pub fn protocol(self) -> Protocol {
        let name = match self {
            Self::OtlpProto => "kafka_otlp_proto",
            Self::OtlpJson => "kafka_otlp_json",
            Self::JaegerProto => "kafka_jaeger_proto",
            Self::JaegerJson => "kafka_jaeger_json",
            Self::ZipkinProto => "kafka_zipkin_proto",
            Self::ZipkinJson => "kafka_zipkin_json",
            Self::ZipkinThrift => "kafka_zipkin_thrift",
        };
        Protocol { name, receiver: "kafka", transport: "kafka" }
    }

    /// A message as OTLP protobuf. One that is OTLP protobuf already is only passed over: it has
    /// to be whole, because it is put between others. What its fields hold is looked at when it is
    /// appended.
    pub fn to_otlp(self, message: &[u8]) -> Result<Cow<'_, [u8]>, ApiError> {
        let translate: Translate = match self {
            Self::OtlpProto => {
                is_whole(message).map_err(CheckError::from)?;
                return Ok(Cow::Borrowed(message));
            }
            Self::OtlpJson => return Ok(Cow::Owned(otlp::json::to_protobuf(message)?)),
            Self::JaegerJson => {
                let span = jaeger_json::to_span(message)?;
                return translated(jaeger_grpc::batch::translate_span, &span).map(Cow::Owned);
            }
            Self::JaegerProto => jaeger_grpc::batch::translate_span,
            Self::ZipkinProto => zipkin::protobuf::translate,
            Self::ZipkinJson => zipkin::json::translate_v2,
            Self::ZipkinThrift => zipkin::thrift::translate,
        };
        translated(translate, message).map(Cow::Owned)
    }
}

/// Whether a message ends where its last field does. The beginning of a group that another message
/// ends would make everything between the two the content of an unknown field.
fn is_whole(message: &[u8]) -> Result<(), WireError> {
    let mut reader = Reader::new(message);
    while !reader.is_at_end() {
        let tag = reader.tag()?;
        reader.skip(tag)?;
    }
    Ok(())
}

fn translated(translate: Translate, message: &[u8]) -> Result<Vec<u8>, ApiError> {
    let mut arena = Arena::for_body(message.len());
    translate(message, &mut arena)?;
    Ok(arena.take())
}

impl FromStr for KafkaEncoding {
    type Err = UnknownEncoding;

    fn from_str(name: &str) -> Result<Self, UnknownEncoding> {
        Self::ALL.into_iter().find(|encoding| encoding.name() == name).ok_or(UnknownEncoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for encoding in KafkaEncoding::ALL {
            assert_eq!(encoding.name().parse(), Ok(encoding));
            assert_eq!(encoding.protocol().name, format!("kafka_{}", encoding.name()));
        }
        assert_eq!("protobuf".parse::<KafkaEncoding>(), Err(UnknownEncoding));
    }

    #[test]
    fn what_is_none_of_them_is_refused_by_each() {
        for encoding in KafkaEncoding::ALL {
            for junk in [&b"\xff\xff\xff\xff\xff"[..], b"{\"", b"\x0f\xff\xff\xff\xff"] {
                assert!(encoding.to_otlp(junk).is_err(), "{encoding:?} takes {junk:?}");
            }
        }
    }

    #[test]
    fn a_message_that_others_would_complete_is_refused() {
        // A group that begins, one that ends, a field cut off in its tag, its length, its value.
        for part in [&b"\x0b"[..], b"\x0c", b"\x8a", b"\x0a\x80", b"\x0a\x02\x00", b"\x0b\x0a\x00"]
        {
            assert!(KafkaEncoding::OtlpProto.to_otlp(part).is_err(), "{part:?}");
        }
        for whole in [&b""[..], b"\x0a\x00", b"\x0b\x0c", b"\x12\x01\xff\x0a\x00"] {
            assert!(KafkaEncoding::OtlpProto.to_otlp(whole).is_ok(), "{whole:?}");
        }
    }
}
