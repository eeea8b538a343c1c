//! What requests mean, and in which words they are refused.

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000_000);
const WINDOW: &str = "query.startTimeMin=2024-01-01T00:00:00Z&\
                      query.start_time_max=2024-01-01T00:00:01+00:00";

fn old(text: &str) -> Result<SearchParams, String> {
    SearchParams::parse_old(&QueryString::parse(Some(text)), NOW, 3)
        .map_err(|error| error.to_string())
}

fn v3(text: &str) -> Result<SearchParams, String> {
    SearchParams::parse_v3(&QueryString::parse(Some(text))).map_err(|error| error.to_string())
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_old_api_has_defaults() {
    let params = old("unknown=1&lookback=1h").unwrap();
    let start = NOW.saturating_sub(Duration::from_secs(172_800));
    assert_eq!(params.window, TimeRange { start, end: NOW });
    assert_eq!((params.limit, params.raw), (100, false));
    let query = params.to_query(1_000);
    let everything = TracePredicate::HasSpan(SpanPredicate::All(Vec::new()));
    assert_eq!((query.limit, query.predicate), (100, everything));
}

#[test]
fn the_old_api_asks_everything_of_one_span() {
    let params =
        old("service=s&operation=o&start=1&end=2&limit=20&minDuration=1ms&maxDuration=1.2s\
         &tag=a:b:c&tag=x:y&tags=%7B%22x%22:%22z%22,%22n%22:null%7D&raw=1")
        .unwrap();
    assert_eq!(params.tags, map(&[("a", "b:c"), ("n", ""), ("x", "z")]));
    assert!(params.raw);
    let window = TimeRange { start: Timestamp(1_000), end: Timestamp(2_000) };
    assert_eq!(params.window, window);
    let tag =
        |key: &str, value: &str| SpanPredicate::JaegerTag { key: key.into(), value: value.into() };
    let expected = SpanPredicate::All(vec![
        equals(Field::Service, "s"),
        equals(Field::Operation, "o"),
        duration(Comparison::GreaterOrEqual, 1_000_000),
        duration(Comparison::LessOrEqual, 1_200_000_000),
        tag("a", "b:c"),
        tag("n", ""),
        tag("x", "z"),
    ]);
    let query = params.to_query(10);
    assert_eq!(query.predicate, TracePredicate::HasSpan(expected));
    assert_eq!(query.limit, 10, "bounded by the server");
}

#[test]
fn the_shortest_span_of_jaeger_lasts_a_nanosecond() {
    let query = old("minDuration=1ns").unwrap().to_query(1);
    assert_eq!(query.predicate, TracePredicate::HasSpan(SpanPredicate::All(Vec::new())));
}

#[test]
fn limits_of_zero_and_less_are_the_default() {
    for text in ["limit=0", "limit=-5", "limit="] {
        assert_eq!(old(text).unwrap().limit, 100, "{text}");
    }
    assert_eq!(old("limit=2147483647").unwrap().to_query(50).limit, 50);
}

#[test]
fn the_old_api_refuses_in_jaegers_words() {
    for (text, words) in [
        (
            "start=x",
            r#"unable to parse param 'start': strconv.ParseInt: parsing "x": invalid syntax"#,
        ),
        (
            "end=1.5",
            r#"unable to parse param 'end': strconv.ParseInt: parsing "1.5": invalid syntax"#,
        ),
        ("limit=x", r#"strconv.ParseInt: parsing "x": invalid syntax"#),
        ("limit=99999999999", r#"strconv.ParseInt: parsing "99999999999": value out of range"#),
        (
            "minDuration=1",
            r#"unable to parse param 'minDuration': time: missing unit in duration "1""#,
        ),
        (
            "maxDuration=1y",
            r#"unable to parse param 'maxDuration': time: unknown unit "y" in duration "1y""#,
        ),
        ("minDuration=2s&maxDuration=1s", "'maxDuration' should be greater than 'minDuration'"),
        (
            "raw=maybe",
            r#"unable to parse param 'raw': strconv.ParseBool: parsing "maybe": invalid syntax"#,
        ),
        ("tag=novalue", "malformed 'tag' parameter, expecting key:value, received: novalue"),
        (
            "tags=",
            "malformed 'tags' parameter, cannot unmarshal JSON: unexpected end of JSON input",
        ),
        (
            "tags=%7B%22a%22:1%7D",
            "malformed 'tags' parameter, cannot unmarshal JSON: \
             json: cannot unmarshal number into Go value of type string",
        ),
        (
            "tags=%7B%22a%22:%7B%7D%7D",
            "malformed 'tags' parameter, cannot unmarshal JSON: \
             json: cannot unmarshal object into Go value of type string",
        ),
        (
            "tags=[]",
            "malformed 'tags' parameter, cannot unmarshal JSON: \
             json: cannot unmarshal array into Go value of type map[string]string",
        ),
        (
            "tags=x",
            "malformed 'tags' parameter, cannot unmarshal JSON: \
             invalid character 'x' looking for beginning of value",
        ),
        (
            "tags=%7Bx",
            "malformed 'tags' parameter, cannot unmarshal JSON: \
             invalid character 'x' looking for beginning of object key string",
        ),
        (
            "tags=%7B%22a%22",
            "malformed 'tags' parameter, cannot unmarshal JSON: unexpected end of JSON input",
        ),
        (
            "traceID=xyz",
            r#"cannot parse traceID param: strconv.ParseUint: parsing "xyz": invalid syntax"#,
        ),
        (
            "traceID=1&traceID=2&traceID=3&traceID=4",
            "too many 'traceID' parameters, at most 3 are allowed",
        ),
    ] {
        assert_eq!(old(text).unwrap_err(), words, "{text}");
    }
}

#[test]
fn repeated_trace_ids_count_once() {
    let ids = old("traceID=1&traceID=01&traceID=2&traceID=1&traceID=3").unwrap().trace_ids;
    assert_eq!(ids.iter().map(TraceId::low).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn api_v3_takes_both_spellings() {
    let params = v3(&format!(
        "{WINDOW}&query.service_name=s&query.operationName=o&query.num_traces=7\
         &query.duration_min=2ms&query.durationMax=3ms&query.raw_traces=true\
         &query.attributes=%7B%22error%22:%22true%22%7D"
    ))
    .unwrap();
    assert_eq!((params.service.as_str(), params.operation.as_str()), ("s", "o"));
    assert_eq!((params.limit, params.raw), (7, true));
    assert_eq!((params.duration_nanos_min, params.duration_nanos_max), (2_000_000, 3_000_000));
    assert_eq!(params.tags, map(&[("error", "true")]));
    let start = Timestamp(1_704_067_200_000_000_000);
    let end = Timestamp(1_704_067_201_000_000_000);
    assert_eq!(params.window, TimeRange { start, end });
}

#[test]
fn api_v3_refuses_in_jaegers_words() {
    let required = "query.startTimeMin and query.startTimeMax are required";
    for (text, words) in [
        (String::new(), required),
        ("query.startTimeMin=2024-01-01T00:00:00Z".to_owned(), required),
        (
            "query.startTimeMin=x&query.start_time_max=y".to_owned(),
            "malformed parameter query.startTimeMin: parsing time \"x\" as \
             \"2006-01-02T15:04:05.999999999Z07:00\": cannot parse \"x\" as \"2006\"",
        ),
        (
            "query.startTimeMin=2024-01-01T00:00:00Z&query.startTimeMax=2024-01-01T00:00:00Z"
                .to_owned(),
            "query.startTimeMin must be before query.startTimeMax",
        ),
        (
            format!("{WINDOW}&query.num_traces=x"),
            r#"malformed parameter query.num_traces: strconv.Atoi: parsing "x": invalid syntax"#,
        ),
        (
            format!("{WINDOW}&query.search_depth=x"),
            r#"malformed parameter query.search_depth: strconv.Atoi: parsing "x": invalid syntax"#,
        ),
        (
            format!("{WINDOW}&query.durationMin=5"),
            r#"malformed parameter query.durationMin: time: missing unit in duration "5""#,
        ),
        (
            format!("{WINDOW}&query.rawTraces=2"),
            "malformed parameter query.rawTraces: \
             strconv.ParseBool: parsing \"2\": invalid syntax",
        ),
        (
            format!("{WINDOW}&query.attributes=%7B%22a%22:true%7D"),
            "malformed parameter query.attributes: \
             json: cannot unmarshal bool into Go value of type string",
        ),
        (
            format!("{WINDOW}&query.filter=%7B%7D"),
            "structured filters are not supported; use the other query parameters",
        ),
    ] {
        assert_eq!(v3(&text).unwrap_err(), words, "{text}");
    }
}
