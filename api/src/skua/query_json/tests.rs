//! Documents and what they mean, or why they mean nothing.
#![cfg(test)]

use model::testing::Random;

use super::*;

fn read(text: &str) -> Result<Search, Problem> {
    search(&serde_json::from_str(text).unwrap(), 10_000)
}

#[test]
fn an_empty_query_asks_for_everything() {
    let search = read("{}").unwrap();
    assert_eq!(search.query.predicate, TracePredicate::True);
    assert_eq!(search.query.window, TimeRange::ALL);
    assert_eq!((search.query.order, search.query.limit, search.stale), (Order::Newest, 20, false));
}

#[test]
fn a_query_means_what_it_says() {
    let search = read(
        r#"{"window":{"start":"1734091200000000001","end":"2024-12-13T13:00:00Z"},
        "where":{"all":[
            {"span":{"all":[
                {"field":"service","op":"=","value":"frontend"},
                {"field":"kind","op":"!=","value":"server"},
                {"field":"status","op":"=","value":"error"},
                {"field":"duration","op":">=","value":"100ms"},
                {"attribute":"http.status_code","scope":"span","op":">=","value":500},
                {"attribute":"ratio","op":"<","value":0.5},
                {"attribute":"text","op":"is","value":"7"},
                {"attribute":"any","scope":"event","op":"exists"},
                {"tag":"error","value":"true"},
                {"mentions":"a.b Ä"},
                {"not":{"any":[true]}}
            ]}},
            {"duration":{"op":">","value":"1s"}},
            {"span_count":{"op":"<=","value":10}},
            {"root_service":{"op":"=~","value":"front.*"}},
            {"structure":{"left":true,"relation":"descendant","right":true}},
            {"aggregate":{"statistic":"max","field":"duration","op":">","value":"2ms"}},
            {"aggregate":{"of":true,"statistic":"sum","field":{"attribute":"bytes"},
                "op":"=","value":3}}
        ]},"order":"most_errors","limit":7,"stale":true,"cursor":null}"#,
    )
    .unwrap();
    assert_eq!(search.query.window.start, Timestamp(1_734_091_200_000_000_001));
    assert_eq!(search.query.window.end, Timestamp(1_734_094_800_000_000_000));
    let equal = |comparison, literal| ValueTest::Compare(comparison, literal);
    let attribute = |scope, key: &str| Field::Attribute(scope, key.into());
    let span_or_resource = AttributeScope::SpanOrResource;
    let wanted = TracePredicate::All(vec![
        TracePredicate::HasSpan(SpanPredicate::All(vec![
            SpanPredicate::Field(
                Field::Service,
                equal(Comparison::Equal, Literal::String("frontend".into())),
            ),
            SpanPredicate::Field(Field::Kind, equal(Comparison::NotEqual, Literal::Int(2))),
            SpanPredicate::Field(Field::Status, equal(Comparison::Equal, Literal::Int(2))),
            SpanPredicate::Field(
                Field::Duration,
                equal(Comparison::GreaterOrEqual, Literal::Int(100_000_000)),
            ),
            SpanPredicate::Field(
                attribute(AttributeScope::Span, "http.status_code"),
                equal(Comparison::GreaterOrEqual, Literal::Int(500)),
            ),
            SpanPredicate::Field(
                attribute(span_or_resource, "ratio"),
                equal(Comparison::Less, Literal::Double(0.5)),
            ),
            SpanPredicate::Field(
                attribute(span_or_resource, "text"),
                ValueTest::StringForm("7".into()),
            ),
            SpanPredicate::Field(attribute(AttributeScope::Event, "any"), ValueTest::Exists),
            SpanPredicate::JaegerTag { key: "error".into(), value: "true".into() },
            SpanPredicate::Mentions(Pattern::words("a.b Ä").unwrap()),
            SpanPredicate::Not(Box::new(SpanPredicate::Any(vec![SpanPredicate::True]))),
        ])),
        TracePredicate::Duration(NumberTest { comparison: Comparison::Greater, number: 1e9 }),
        TracePredicate::SpanCount(NumberTest { comparison: Comparison::LessOrEqual, number: 10.0 }),
        TracePredicate::RootService(ValueTest::Matches(Pattern::anchored("front.*").unwrap())),
        TracePredicate::Structure {
            left: SpanPredicate::True,
            relation: Relation::Descendant,
            right: SpanPredicate::True,
        },
        TracePredicate::Aggregate {
            of: SpanPredicate::True,
            statistic: Statistic::Max(Field::Duration),
            test: NumberTest { comparison: Comparison::Greater, number: 2e6 },
        },
        TracePredicate::Aggregate {
            of: SpanPredicate::True,
            statistic: Statistic::Sum(attribute(span_or_resource, "bytes")),
            test: NumberTest { comparison: Comparison::Equal, number: 3.0 },
        },
    ]);
    assert_eq!(search.query.predicate, wanted);
    assert_eq!((search.query.order, search.query.limit), (Order::MostErrors, 7));
    assert!(search.stale);
}

#[test]
fn a_refusal_names_the_place() {
    let deep = format!("{{\"where\":{}true{}}}", "{\"not\":".repeat(40), "}".repeat(40));
    let many = format!("{{\"where\":{{\"all\":[{}true]}}}}", "true,".repeat(1_000));
    for (text, words) in [
        ("[]", "query: not an object"),
        (r#"{"wher":1}"#, "wher: unknown; one of window, where, order, limit, cursor, stale"),
        (r#"{"limit":0}"#, "limit: not a whole number from 1 to 10000"),
        (r#"{"limit":10001}"#, "limit: not a whole number from 1 to 10000"),
        (r#"{"limit":"5"}"#, "limit: not a whole number from 1 to 10000"),
        (r#"{"cursor":"x"}"#, "cursor: not a cursor"),
        (r#"{"stale":1}"#, "stale: neither true nor false"),
        (
            r#"{"order":"best"}"#,
            "order: unknown; one of newest, oldest, longest, shortest, most_spans, most_errors",
        ),
        (r#"{"window":{"start":5,"end":4}}"#, "window: start is after end"),
        (
            r#"{"window":{"start":"yesterday"}}"#,
            "window.start: not a time: nanoseconds since the epoch, or such as \
             2024-12-13T12:00:00Z",
        ),
        (r#"{"where":{}}"#, "where: empty; use true for \"everything\""),
        (r#"{"where":false}"#, "where: not an object"),
        (r#"{"where":{"all":[],"any":[]}}"#, "where: more than one member; combine with \"all\""),
        (r#"{"where":{"all":{}}}"#, "where.all: not a list"),
        (
            r#"{"where":{"span":{"all":[true,{"field":"service","op":"=="}]}}}"#,
            "where.span.all[1].value: missing",
        ),
        (
            r#"{"where":{"span":{"field":"service","op":"==","value":1}}}"#,
            "where.span.op: unknown; one of =, !=, <, <=, >, >=, exists, =~, ~, is",
        ),
        (
            r#"{"where":{"span":{"field":"service","op":"exists","value":1}}}"#,
            "where.span.value: \"exists\" takes no value",
        ),
        (
            r#"{"where":{"span":{"field":"duration","op":">","value":"long"}}}"#,
            "where.span.value: not a duration: nanoseconds, or such as 1.5s or 200ms",
        ),
        (
            r#"{"where":{"span":{"attribute":"a","scope":"sapn","op":"exists"}}}"#,
            "where.span.scope: unknown; one of span_or_resource, span, resource, scope, event, \
             link",
        ),
        (
            r#"{"where":{"span":{"attribute":"a","op":"=","value":[]}}}"#,
            "where.span.value: not a string, a number, true or false",
        ),
        (
            r#"{"where":{"span":{"attribute":"a","op":"=","value":1e999}}}"#,
            "where.span.value: a number beyond what a double holds",
        ),
        (
            r#"{"where":{"span_count":{"op":">","value":"1s"}}}"#,
            "where.span_count.value: not a number",
        ),
        (
            r#"{"where":{"aggregate":{"statistic":"max","op":">","value":1}}}"#,
            "where.aggregate.field: missing",
        ),
        (&deep, "nested deeper than 32 levels"),
        (&many, "a query has at most 1000 terms"),
    ] {
        let said = read(text).unwrap_err().to_string();
        assert!(said == words || said.ends_with(&format!(": {words}")), "{said}\n{words}");
    }
    let said = read(r#"{"where":{"span":{"attribute":"a","op":"~","value":"("}}}"#).unwrap_err();
    assert!(said.to_string().starts_with("where.span.value: not a regular expression"), "{said}");
}

#[test]
fn a_query_has_few_regular_expressions_and_they_share_their_room() {
    let query =
        |terms: Vec<String>| format!(r#"{{"where":{{"span":{{"any":[{}]}}}}}}"#, terms.join(","));
    let term =
        |op: &str, value: &str| format!(r#"{{"field":"operation","op":"{op}","value":"{value}"}}"#);
    let text = query(vec![term("=~", "a.*"); 64]);
    assert!(read(&text).is_ok());
    let text = query([vec![term("~", "a.*"); 60], vec![term("=~", "b"); 5]].concat());
    let said = read(&text).unwrap_err().to_string();
    assert_eq!(said, "where.span.any[64].value: a query has at most 64 regular expressions");
    // Some 700 kB when compiled: fine alone, too much if all are.
    let large = term("=~", r"\\w{15}");
    assert!(read(&query(vec![large.clone()])).is_ok());
    let said = read(&query(vec![large; 64])).unwrap_err().to_string();
    assert!(said.starts_with("where.span.any[0].value: not a regular expression"), "{said}");
    assert!(said.contains("size limit of 65536"), "{said}");
    // Names of roots count as well.
    let root = r#"{"root_service":{"op":"=~","value":"a"}}"#;
    let text = format!(r#"{{"where":{{"all":[{}]}}}}"#, [root; 65].join(","));
    assert!(read(&text).unwrap_err().to_string().starts_with("where.all[64].root_service.value"));
}

#[test]
fn no_document_panics() {
    let seed = 12;
    let mut random = Random::new(seed);
    let names = [
        "all",
        "any",
        "not",
        "span",
        "field",
        "op",
        "value",
        "attribute",
        "scope",
        "tag",
        "where",
        "window",
        "start",
        "end",
        "duration",
        "aggregate",
        "statistic",
        "of",
        "structure",
        "left",
        "right",
        "relation",
        "limit",
        "order",
        "cursor",
    ];
    for _ in 0..20_000 {
        let where_ = value(&mut random, &names, 5);
        let _ = search(&serde_json::json!({ "where": where_ }), 100);
        let _ = search(&value(&mut random, &names, 5), 100);
    }
}

/// Any document.
fn value(random: &mut Random, names: &[&str], depth: u32) -> Value {
    match random.below(if depth == 0 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => Value::Bool(random.one_in(2)),
        2 => serde_json::from_str(&format!("{}", random.next_u64())).unwrap(),
        3 => Value::String((*random.pick(&["=", "~", "(", "max", "service", "1s"])).to_owned()),
        4 => Value::String((*random.pick(names)).to_owned()),
        5 => (0..random.below(3)).map(|_| value(random, names, depth - 1)).collect(),
        _ => {
            let members = 0..random.below(4);
            let members = members
                .map(|_| ((*random.pick(names)).to_owned(), value(random, names, depth - 1)));
            Value::Object(members.collect())
        }
    }
}
