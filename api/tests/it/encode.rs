//! Raw reads: what is written is what came in.

use api::otlp::encode;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;

use crate::recorded;
use crate::reference::walk;

#[test]
fn a_recorded_message_comes_back_as_it_was() {
    for message in recorded::hipster().iter().take(10).chain(recorded::astronomy().iter().take(40))
    {
        let (spans, _) = walk(message).unwrap();
        let written = TracesData::decode(encode::traces_data(&spans).as_slice()).unwrap();
        let groups = |data: TracesData| {
            let mut groups: Vec<_> = data
                .resource_spans
                .into_iter()
                .flat_map(|resource_spans| {
                    let resource = resource_spans.resource;
                    let of_resource = move |scope_spans| (resource.clone(), scope_spans);
                    resource_spans.scope_spans.into_iter().map(of_resource)
                })
                .map(|(resource, scope_spans)| {
                    let spans: Vec<_> =
                        scope_spans.spans.iter().map(Message::encode_to_vec).collect();
                    (format!("{resource:?} {:?}", scope_spans.scope), spans)
                })
                .collect();
            // Groups of the same resource and scope become one, in order of appearance.
            let mut merged: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
            for (key, spans) in groups.drain(..) {
                match merged.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, known)) => known.extend(spans),
                    None => merged.push((key, spans)),
                }
            }
            merged.retain(|(_, spans)| !spans.is_empty());
            merged.sort();
            merged
        };
        assert_eq!(groups(written), groups(TracesData::decode(message.as_slice()).unwrap()));
    }
}

#[test]
fn nothing_is_written_of_nothing() {
    assert_eq!(encode::traces_data(&[]), Vec::<u8>::new());
}
