//! The UDP doors on loopback.

use std::net::UdpSocket;

use api::jaeger_thrift::udp::{UdpPort, UdpProtocol};
use api::task::Tasks;
use model::Tenant;
use tokio_util::sync::CancellationToken;

use crate::counted::counted;
use crate::jaeger_thrift::{batch_of, process, span};
use crate::store::backend;
use crate::thrift_writer::{V, binary_message, compact_message};

fn message(protocol: UdpProtocol, ids: std::ops::Range<i64>) -> Vec<u8> {
    let spans = ids.map(|id| span(id, 0, vec![])).collect();
    let arguments = V::Struct(vec![(1, batch_of(process(vec![]), spans))]);
    match protocol {
        UdpProtocol::Compact => compact_message("emitBatch", &arguments),
        UdpProtocol::Binary => binary_message("emitBatch", &arguments),
    }
}

#[tokio::test]
async fn datagrams_are_stored_and_bad_ones_do_no_harm() {
    for protocol in [UdpProtocol::Compact, UdpProtocol::Binary] {
        let backend = backend();
        let port = UdpPort::bind(protocol, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = port.address();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        // Loopback delivers before `send_to` returns, so all of it is there when reading starts,
        // and stopping reads it to the end.
        for number in 0..10 {
            let bad = [&b"junk"[..], &[], &[0x82], &[0xff; 2_000]][number % 4];
            sender.send_to(bad, address).unwrap();
            let first = 1 + 3 * i64::try_from(number).unwrap();
            sender.send_to(&message(protocol, first..first + 3), address).unwrap();
        }
        let shutdown = CancellationToken::new();
        let mut serving = Tasks::default();
        let receiver = backend.receiver.clone();
        serving.spawn("UDP", port.serve(receiver, Tenant::default(), shutdown.clone()));
        shutdown.cancel();
        serving.join().await;
        let trace = (1_u128 << 64 | 2).to_be_bytes();
        assert_eq!(backend.spans(trace).await.len(), 30, "{protocol:?}");
    }
}

#[test]
fn every_datagram_is_counted() {
    let found = counted(async {
        let backend = backend();
        let any = "127.0.0.1:0".parse().unwrap();
        let port = UdpPort::bind(UdpProtocol::Compact, any).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let nothing = V::Struct(vec![]);
        for datagram in [
            message(UdpProtocol::Compact, 1..4),
            message(UdpProtocol::Compact, 0..2),
            message(UdpProtocol::Binary, 1..4),
            compact_message("emitZipkinBatch", &nothing),
            b"junk".to_vec(),
            vec![],
        ] {
            sender.send_to(&datagram, port.address()).unwrap();
        }
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        port.serve(backend.receiver.clone(), Tenant::default(), shutdown).await;
    });
    let of = |name: &str| found.get(name).copied().unwrap_or_default();
    let protocol = "protocol=jaeger_thrift_compact";
    assert_eq!(of(&format!("skua_udp_datagrams_total {protocol}")), 6);
    assert_eq!(of(&format!("skua_udp_dropped_total {protocol} reason=malformed")), 3);
    assert_eq!(of(&format!("skua_udp_dropped_total {protocol} reason=unsupported")), 1);
    // Of five spans one has no id.
    assert_eq!(of(&format!("skua_ingest_spans_total {protocol} outcome=accepted")), 4);
    assert_eq!(of(&format!("skua_ingest_spans_total {protocol} outcome=rejected")), 1);
    let labels = "receiver=jaeger transport=udp_thrift_compact";
    assert_eq!(of(&format!("otelcol_receiver_accepted_spans {labels}")), 4);
}

#[test]
fn spans_that_the_store_refuses_are_counted() {
    let found = counted(async {
        let backend = backend();
        let any = "127.0.0.1:0".parse().unwrap();
        let port = UdpPort::bind(UdpProtocol::Compact, any).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        backend.store.set_overloaded(true);
        sender.send_to(&message(UdpProtocol::Compact, 1..4), port.address()).unwrap();
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        port.serve(backend.receiver.clone(), Tenant::default(), shutdown).await;
    });
    let name = "skua_ingest_spans_total protocol=jaeger_thrift_compact outcome=refused";
    assert_eq!(found.get(name), Some(&3));
}

#[tokio::test]
async fn a_port_that_is_taken_is_not_shared() {
    let any = "127.0.0.1:0".parse().unwrap();
    let first = UdpPort::bind(UdpProtocol::Compact, any).unwrap();
    let second = UdpPort::bind(UdpProtocol::Compact, first.address());
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}
