//! Hostile bytes, wrong keys and halves of handshakes.

use proptest::prelude::*;
use tokio::io::{DuplexStream, duplex};

use super::*;

fn ring(first: u8, second: Option<u8>) -> KeyRing {
    let key = |byte: u8| ClusterKey::new([byte; 32]).unwrap();
    KeyRing::new(key(first), second.map(key))
}

async fn pair(
    client: &KeyRing,
    server: &KeyRing,
) -> (Result<NoiseStream<DuplexStream>, NoiseError>, Result<NoiseStream<DuplexStream>, NoiseError>)
{
    let (one, other) = duplex(1 << 20);
    tokio::join!(NoiseStream::connect(one, client), NoiseStream::accept(other, server))
}

#[tokio::test(start_paused = true)]
async fn either_key_of_the_ring_is_accepted_and_no_other() {
    for (client, server) in [(ring(1, None), ring(1, None)), (ring(1, Some(2)), ring(2, Some(1)))] {
        let (client, server) = pair(&client, &server).await;
        assert!(client.is_ok() && server.is_ok());
    }
    let (client, server) = pair(&ring(1, Some(2)), &ring(2, None)).await;
    assert!(matches!(client, Err(NoiseError::HungUp)));
    assert!(matches!(server, Err(NoiseError::WrongKey)));
}

#[tokio::test(start_paused = true)]
async fn bytes_arrive_as_they_were_sent_and_are_not_on_the_wire() {
    let (client, server) = pair(&ring(1, None), &ring(1, None)).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    let sent: Vec<u8> = (0..200_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let bytes = sent.clone();
    let write = async {
        client.write_all(&bytes[..70_000]).await.unwrap();
        client.flush().await.unwrap();
        let slices = [io::IoSlice::new(&bytes[70_000..70_010]), io::IoSlice::new(&bytes[70_010..])];
        let count = client.write_vectored(&slices).await.unwrap();
        assert_eq!(count, RECORD_PLAIN_MAX);
        client.write_all(&bytes[70_000 + count..]).await.unwrap();
        client.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let ((), read) = tokio::join!(write, server.read_to_end(&mut received));
    assert_eq!(read.unwrap(), sent.len());
    assert!(received == sent);
    // And back.
    server.write_all(b"answer").await.unwrap();
    server.flush().await.unwrap();
    let mut answer = [0; 6];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"answer");
}

#[tokio::test(start_paused = true)]
async fn half_a_handshake_ends_at_the_deadline() {
    let (mut one, other) = duplex(1_024);
    one.write_all(&MAGIC).await.unwrap();
    one.write_all(&[1; 20]).await.unwrap();
    let server = NoiseStream::accept(other, &ring(1, None)).await;
    assert!(matches!(server, Err(NoiseError::Deadline)));
    let (mut one, other) = duplex(1_024);
    one.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let server = NoiseStream::accept(other, &ring(1, None)).await;
    assert!(matches!(server, Err(NoiseError::NotNoise)));
    let (one, other) = duplex(1_024);
    drop(other);
    assert!(NoiseStream::connect(one, &ring(1, None)).await.is_err());
}

/// What becomes of recorded bytes.
type Tamper = fn(Vec<u8>) -> Vec<u8>;

/// What the client would have sent, in its sealed form.
async fn recorded(plain: &[u8]) -> (Vec<u8>, NoiseStream<DuplexStream>, DuplexStream) {
    let (client_side, mut client_wire) = duplex(1 << 20);
    let (server_side, mut server_wire) = duplex(1 << 20);
    let keys = ring(1, None);
    let relay = async {
        let mut hello = [0; MAGIC.len() + HANDSHAKE_MESSAGE_BYTES];
        client_wire.read_exact(&mut hello).await.unwrap();
        server_wire.write_all(&hello).await.unwrap();
        let mut answer = [0; HANDSHAKE_MESSAGE_BYTES];
        server_wire.read_exact(&mut answer).await.unwrap();
        client_wire.write_all(&answer).await.unwrap();
    };
    let (client, server, ()) = tokio::join!(
        NoiseStream::connect(client_side, &keys),
        NoiseStream::accept(server_side, &keys),
        relay
    );
    let mut client = client.unwrap();
    for chunk in plain.chunks(10) {
        client.write_all(chunk).await.unwrap();
        client.flush().await.unwrap();
    }
    client.shutdown().await.unwrap();
    let mut sealed = Vec::new();
    client_wire.read_to_end(&mut sealed).await.unwrap();
    (sealed, server.unwrap(), server_wire)
}

#[tokio::test(start_paused = true)]
async fn records_that_were_tampered_with_end_the_connection() {
    let record = LENGTH_BYTES + 10 + TAG_BYTES;
    let tampers: [(Tamper, usize); 6] = [
        (|bytes| bytes, 30),
        (
            |mut bytes| {
                bytes[30] ^= 1;
                bytes
            },
            10,
        ),
        (|bytes| [&bytes[..28], &bytes[..28]].concat(), 10),
        (|bytes| bytes[28..].to_vec(), 0),
        (|bytes| [&bytes[28..56], &bytes[..28]].concat(), 0),
        (|bytes| bytes[..40].to_vec(), 10),
    ];
    for (number, (tamper, intact)) in tampers.into_iter().enumerate() {
        let (sealed, mut server, mut wire) = recorded(&[5; 30]).await;
        assert_eq!(sealed.len(), 3 * record);
        wire.write_all(&tamper(sealed)).await.unwrap();
        drop(wire);
        let mut read = Vec::new();
        let result = server.read_to_end(&mut read).await;
        assert_eq!((read.len(), result.is_ok()), (intact, number == 0), "tamper {number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_bytes_neither_connect_nor_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        with_magic in any::<bool>(),
        after_handshake in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            if after_handshake {
                let (_, mut server, mut wire) = recorded(b"").await;
                wire.write_all(&bytes).await.unwrap();
                drop(wire);
                let mut read = Vec::new();
                let result = server.read_to_end(&mut read).await;
                assert!(read.is_empty() && (result.is_err() || bytes.is_empty()));
                return;
            }
            let (mut one, other) = duplex(1_024);
            if with_magic {
                one.write_all(&MAGIC).await.unwrap();
            }
            one.write_all(&bytes).await.unwrap();
            assert!(NoiseStream::accept(other, &ring(1, Some(2))).await.is_err());
            let (mut one, other) = duplex(1_024);
            one.write_all(&bytes).await.unwrap();
            assert!(NoiseStream::connect(other, &ring(1, None)).await.is_err());
        });
    }
}
