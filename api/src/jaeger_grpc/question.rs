//! What a call asks, in the words of the store: searches, ids, kinds, windows.
//!
//! Pure. The meaning of a search is that of Jaeger's HTTP API ([`SearchParams`]).

use model::store::{Answer, Completeness, Operation};
use model::string_form::string_form;
use model::{StoreError, Text, TimeRange, TraceId, nested};
use tonic::Status;

use super::messages::{api_v2, standard, storage_v2};
use crate::error::ApiError;
use crate::jaeger_http::answer::Gaps;
use crate::jaeger_http::search_params::SearchParams;
use crate::jaeger_http::trace_id as text_id;

/// A search of api_v2, which knows no filters.
pub(super) fn of_v2(query: Option<api_v2::TraceQueryParameters>) -> Result<SearchParams, Status> {
    let query = query.ok_or_else(missing_query)?;
    let search = query.to_search();
    Ok(SearchParams { tags: query.attributes, raw: query.raw_traces, ..search })
}

/// A search of api_v3, which has to name its window.
pub(super) fn of_v3(query: Option<api_v2::TraceQueryParameters>) -> Result<SearchParams, Status> {
    let asked = query.as_ref().ok_or_else(missing_query)?;
    if asked.start_time_min.is_none() || asked.start_time_max.is_none() {
        let what = "start time min and max are required parameters";
        return Err(Status::invalid_argument(what));
    }
    refuse_filter(asked.filter.as_ref())?;
    of_v2(query)
}

/// A search of remote storage. Values are compared by their string form.
pub(super) fn of_storage(
    query: Option<storage_v2::TraceQueryParameters>,
) -> Result<SearchParams, Status> {
    let query = query.ok_or_else(missing_query)?;
    refuse_filter(query.filter.as_ref())?;
    let form = |value: Option<bytes::Bytes>| {
        let bytes = value.map(|message| string_form(nested::value(&message))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let search = query.to_search();
    let attributes = query.attributes.into_iter();
    let tags = attributes.map(|attribute| (attribute.key, form(attribute.value))).collect();
    Ok(SearchParams { tags, raw: true, ..search })
}

fn missing_query() -> Status {
    Status::invalid_argument("missing query")
}

fn refuse_filter(filter: Option<&bytes::Bytes>) -> Result<(), Status> {
    match filter {
        Some(_) => Err(Status::invalid_argument("structured filters are not supported")),
        None => Ok(()),
    }
}

/// The window of a question for dependencies, which both times have to bound.
pub(super) fn dependencies_window(
    start: Option<standard::Timestamp>,
    end: Option<standard::Timestamp>,
) -> Result<TimeRange, Status> {
    let (Some(start), Some(end)) = (start, end) else {
        let what = "StartTime and EndTime must be initialized.";
        return Err(Status::invalid_argument(what));
    };
    Ok(TimeRange { start: start.moment(), end: end.moment() })
}

/// The same for api_v3 and remote storage, which also check the order.
pub(super) fn ordered_window(
    start: Option<standard::Timestamp>,
    end: Option<standard::Timestamp>,
) -> Result<TimeRange, Status> {
    let (Some(start), Some(end)) = (start, end) else {
        return Err(Status::invalid_argument("start_time and end_time are required"));
    };
    let window = TimeRange { start: start.moment(), end: end.moment() };
    if window.start >= window.end {
        return Err(Status::invalid_argument("start_time must be before end_time"));
    }
    Ok(window)
}

/// A trace id of sixteen bytes, or of eight: the upper half is zero then.
pub(super) fn trace_id(bytes: &[u8]) -> Result<TraceId, Status> {
    let id = match bytes.len() {
        0 => TraceId::default(),
        HALF_BYTES => {
            let mut whole = [0; TraceId::LENGTH];
            whole.iter_mut().skip(HALF_BYTES).zip(bytes).for_each(|(own, byte)| *own = *byte);
            TraceId(whole)
        }
        length => TraceId::from_slice(bytes).ok_or_else(|| {
            Status::invalid_argument(format!("malformed trace ID: {length} bytes"))
        })?,
    };
    if id.is_zero() {
        return Err(Status::invalid_argument("uninitialized TraceID is not allowed"));
    }
    Ok(id)
}

/// A trace id of api_v3: hexadecimal digits.
pub(super) fn trace_id_digits(digits: &[u8]) -> Result<TraceId, Status> {
    text_id::parse(&String::from_utf8_lossy(digits))
        .map_err(|error| Status::invalid_argument(format!("malformed trace ID: {error}")))
}

/// Bytes of a trace id without its upper half.
const HALF_BYTES: usize = TraceId::LENGTH / 2;

/// Operations of one kind, if a kind is named. A kind that does not exist has none.
pub(super) fn of_kind(
    mut answer: Answer<std::collections::BTreeSet<Operation>>,
    kind: &str,
) -> Answer<Vec<api_v2::Operation>> {
    if !kind.is_empty() {
        answer.value.retain(|operation| operation.kind.name() == kind);
    }
    let message = |operation: Operation| api_v2::Operation {
        name: text(&operation.name),
        span_kind: operation.kind.name().to_owned(),
    };
    answer.map(|operations| operations.into_iter().map(message).collect())
}

/// Text for a message, which has to be UTF-8.
pub(super) fn text(text: &Text) -> String {
    text.to_str_lossy().into_owned()
}

/// What to say of a trace that was not found: that it is not there only if every shard that may
/// hold it answered (QRY-2).
pub(super) fn absence(completeness: &Completeness) -> Status {
    if completeness.is_complete() {
        return Status::not_found("trace not found");
    }
    unavailable(completeness)
}

/// The answer is not known because a shard did not answer.
pub(super) fn unavailable(completeness: &Completeness) -> Status {
    refusal(Gaps::from(completeness.clone()).unavailable())
}

/// A store's refusal as gRPC says it.
pub(super) fn refusal(error: StoreError) -> Status {
    ApiError::from(error).to_status()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jaeger_http::search_params::LIMIT_DEFAULT;

    #[test]
    fn trace_ids_have_sixteen_bytes_or_eight() {
        assert_eq!(trace_id(&[1; 16]).unwrap().0, [1; 16]);
        assert_eq!(trace_id(&[1; 8]).unwrap().low(), 0x0101_0101_0101_0101);
        assert_eq!(trace_id(&[1; 8]).unwrap().high(), 0);
        for bad in [&[][..], &[0; 8], &[0; 16], &[1; 3], &[1; 17]] {
            let refused = trace_id(bad).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{bad:?}");
        }
    }

    #[test]
    fn typed_values_of_storage_are_compared_by_string_form() {
        let attribute = |key: &str, value: model::value::ValueRef<'_>| {
            let mut bytes = Vec::new();
            nested::encode_value(value, &mut bytes);
            storage_v2::KeyValue { key: key.to_owned(), value: Some(bytes.into()) }
        };
        let query = storage_v2::TraceQueryParameters {
            attributes: vec![
                attribute("int", model::value::ValueRef::Int(123)),
                attribute("double", model::value::ValueRef::Double(72.5)),
                attribute("bool", model::value::ValueRef::Bool(true)),
                storage_v2::KeyValue { key: "none".to_owned(), value: None },
            ],
            search_depth: -1,
            ..Default::default()
        };
        let params = of_storage(Some(query)).unwrap();
        let tags: Vec<_> = params.tags.into_iter().collect();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let wanted =
            [pair("bool", "true"), pair("double", "72.5"), pair("int", "123"), pair("none", "")];
        assert_eq!(tags, wanted);
        assert_eq!((params.limit, params.window), (LIMIT_DEFAULT, TimeRange::ALL));
        assert!(of_storage(None).is_err() && of_v2(None).is_err() && of_v3(None).is_err());
    }
}
