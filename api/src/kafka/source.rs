//! A member of a consumer group: the part that talks to Kafka.
//!
//! librdkafka fetches and heartbeats on threads of its own. One task takes its messages, gathers
//! them while others are being appended, and tells librdkafka which offsets it may commit; it
//! commits them every second, before a partition is taken away and when the node stops. A batch
//! that is refused for the moment is tried again for as long as it takes, and meanwhile, when
//! enough batches are under way, nothing more is consumed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::ready;
use futures_util::stream::FuturesUnordered;
use model::{Tenant, TraceStore};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer,
};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio_util::sync::CancellationToken;

use super::config::{KafkaConfig, KafkaStart};
use super::encoding::KafkaEncoding;
use super::gathered::Gathered;
use super::ledger::{Action, Input, Ledger, Partition, Place};
use super::limits;
use crate::error::ApiError;
use crate::ingest::{Accepted, Encoding, Format, Receiver, Refused, WriteRequest, record};
use crate::seldom::Seldom;
use crate::{limits as node_limits, task};

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// Not by librdkafka.
    #[error("cannot consume from Kafka")]
    Client(#[from] rdkafka::error::KafkaError),
    /// Not by this build.
    #[error(
        "this build of skua speaks neither TLS nor SCRAM with Kafka: it lacks the feature kafka-tls"
    )]
    NoTls,
}

/// A consumer that has its settings and was not started.
pub struct KafkaSource {
    consumer: Arc<StreamConsumer<Context>>,
    encoding: KafkaEncoding,
    topics: Vec<String>,
    passed_over: Arc<PassedOver>,
}

impl std::fmt::Debug for KafkaSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("KafkaSource");
        shown.field("encoding", &self.encoding).field("topics", &self.topics);
        shown.finish_non_exhaustive()
    }
}

impl KafkaSource {
    /// Checks the settings. Brokers need not be there yet.
    pub fn open(config: &KafkaConfig) -> Result<Self, KafkaError> {
        let needs_tls = config.tls.is_some()
            || config.sasl.as_ref().is_some_and(|sasl| sasl.mechanism.starts_with("SCRAM"));
        if needs_tls && !cfg!(feature = "kafka-tls") {
            return Err(KafkaError::NoTls);
        }
        let consumer: StreamConsumer<Context> =
            client_config(config).create_with_context(Context::default())?;
        let (encoding, topics) = (config.encoding, config.topics.clone());
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&names)?;
        let passed_over = Arc::default();
        Ok(Self { consumer: Arc::new(consumer), encoding, topics, passed_over })
    }

    /// Consumes until told to stop.
    pub async fn run<S: TraceStore>(
        self,
        receiver: Receiver<S>,
        tenant: Tenant,
        shutdown: CancellationToken,
    ) {
        tracing::info!(topics = ?self.topics, encoding = self.encoding.name(), "consuming");
        let passed_over = Arc::clone(&self.passed_over);
        let encoding = self.encoding;
        let appender = Appender { receiver, tenant, encoding, passed_over, shutdown };
        let mut gathered = Gathered::default();
        let mut appending = FuturesUnordered::new();
        loop {
            let has_room = appending.len() < limits::BATCHES_IN_FLIGHT_MAX;
            if has_room && gathered.is_full() {
                appending.push(appender.append(std::mem::take(&mut gathered)));
                continue;
            }
            tokio::select! {
                biased;
                () = appender.shutdown.cancelled() => break,
                Some(places) = appending.next(), if !appending.is_empty() => self.done(places),
                message = self.consumer.recv(), if !gathered.is_full() => match message {
                    Ok(message) => self.take(&message, &mut gathered),
                    Err(error) => {
                        tracing::warn!(%error, "Kafka does not answer");
                        tokio::select! {
                            () = appender.shutdown.cancelled() => break,
                            () = tokio::time::sleep(limits::ERROR_PAUSE) => {}
                        }
                    }
                },
                // Nothing waits: what there is goes now.
                () = ready(()), if has_room && !gathered.is_empty() => {
                    appending.push(appender.append(std::mem::take(&mut gathered)));
                }
            }
        }
        let rest = async {
            while let Some(places) = appending.next().await {
                self.done(places);
            }
        };
        // What is not acknowledged by then is consumed again by another member.
        let _ = tokio::time::timeout(node_limits::DRAIN_TIMEOUT, rest).await;
        let consumer = Arc::clone(&self.consumer);
        drop(self);
        let leave = move || {
            // Nothing may have been consumed; then there is nothing to commit.
            let _ = consumer.commit_consumer_state(CommitMode::Sync);
            drop(consumer);
        };
        let _ = task::blocking("leave Kafka", leave).await;
    }

    /// Takes a message; one that cannot be read is done at once.
    fn take(&self, message: &impl Message, gathered: &mut Gathered) {
        let topic = Arc::from(message.topic());
        let partition = Partition { topic, number: message.partition() };
        let offset = message.offset();
        let actions = self.ledger(Input::Consumed { partition, offset });
        let Some(Action::Placed(place)) = actions.into_iter().next() else { return };
        // A tombstone holds nothing.
        match self.encoding.to_otlp(message.payload().unwrap_or_default()) {
            Ok(otlp) => gathered.add(place, &otlp),
            Err(error) => {
                self.passed_over.tell(&place, &error);
                self.done(vec![place]);
            }
        }
    }

    /// Messages are done; what that makes committable is told to librdkafka.
    fn done(&self, places: Vec<Place>) {
        for action in self.ledger(Input::Done(places)) {
            let Action::Commit { partition, next } = action else { continue };
            let mut offsets = TopicPartitionList::with_capacity(1);
            let offset = rdkafka::Offset::Offset(next);
            let stored = offsets
                .add_partition_offset(&partition.topic, partition.number, offset)
                .and_then(|()| self.consumer.store_offsets(&offsets));
            if let Err(error) = stored {
                // It was taken away meanwhile: whoever has it now consumes from an earlier offset.
                tracing::debug!(?partition, next, %error, "an offset is not committed");
            }
        }
    }

    fn ledger(&self, input: Input) -> Vec<Action> {
        self.consumer.context().step(input)
    }
}

/// Tells of messages that will never be stored: all are counted, few are named. Whoever may write
/// to a topic could fill the log otherwise.
#[derive(Debug)]
struct PassedOver(Seldom);

impl Default for PassedOver {
    fn default() -> Self {
        Self(Seldom::every(limits::REFUSAL_WARNING_INTERVAL))
    }
}

impl PassedOver {
    fn tell(&self, place: &Place, error: &ApiError) {
        let Place { partition: Partition { topic, number }, offset, .. } = place;
        metrics::counter!("skua_kafka_messages_refused_total").increment(1);
        if let Some(unsaid) = self.0.is_due() {
            let partition = number;
            tracing::warn!(%topic, partition, offset, %error, unsaid, "a message is passed over");
        }
    }
}

/// Appends batches.
struct Appender<S: TraceStore> {
    receiver: Receiver<S>,
    tenant: Tenant,
    encoding: KafkaEncoding,
    passed_over: Arc<PassedOver>,
    shutdown: CancellationToken,
}

impl<S: TraceStore> Appender<S> {
    /// Appends until all of it is done; the places of what is. Nothing is, if the node stops.
    async fn append(&self, gathered: Gathered) -> Vec<Place> {
        let mut done = Vec::with_capacity(gathered.len());
        let mut rest = vec![gathered];
        let mut pause = limits::RETRY_PAUSE_MIN;
        while let Some(some) = rest.pop() {
            match self.append_once(&some).await {
                Ok(_) => done.extend(some.into_places()),
                Err(refused) if refused.error.answer().retry_after.is_some() => {
                    rest.push(some);
                    if !self.wait(pause).await {
                        return done;
                    }
                    pause = (pause * 2).min(limits::RETRY_PAUSE_MAX);
                }
                Err(refused) => match some.split() {
                    Ok([left, right]) => rest.extend([right, left]),
                    Err(one) => {
                        let places = one.into_places();
                        for place in &places {
                            self.passed_over.tell(place, &refused.error);
                        }
                        done.extend(places);
                    }
                },
            }
        }
        done
    }

    async fn append_once(&self, gathered: &Gathered) -> Result<Accepted, Refused> {
        let started = self.receiver.clock().monotonic();
        let result = async {
            let mut admitted = self.receiver.admission().enter()?;
            let body = Bytes::copy_from_slice(gathered.bytes());
            admitted.charge(body.len())?;
            let (tenant, encoding) = (self.tenant.clone(), Encoding::Identity);
            let format = Format::Protobuf;
            let request = WriteRequest { tenant, body, encoding, format, admitted };
            let receiving = self.receiver.receive(request);
            let received = tokio::time::timeout(node_limits::WRITE_DEADLINE, receiving).await;
            received.unwrap_or_else(|_| Err(ApiError::Deadline.into()))
        };
        let result = result.await;
        let took = self.receiver.clock().monotonic().since(started);
        record(self.encoding.protocol(), &result, gathered.bytes().len(), took);
        result
    }

    /// Waits; false if the node stops.
    async fn wait(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.shutdown.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }
}

/// What librdkafka calls back: the log, and which partitions are no longer ours.
#[derive(Debug, Default)]
struct Context {
    /// Written by the consumer's task, and where partitions are revoked.
    ledger: Mutex<Ledger>,
}

impl Context {
    fn step(&self, input: Input) -> Vec<Action> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).step(input)
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(facility, message, "librdkafka"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(facility, message, "librdkafka");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(facility, message, "librdkafka"),
        }
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(partitions) = rebalance else { return };
        for element in partitions.elements() {
            let partition =
                Partition { topic: Arc::from(element.topic()), number: element.partition() };
            self.step(Input::Revoked(partition));
        }
    }
}

/// The settings in librdkafka's words.
fn client_config(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    let mut set = |name: &str, value: &str| {
        client.set(name, value);
    };
    set("client.id", "skua");
    set("bootstrap.servers", &config.brokers.join(","));
    set("group.id", &config.group);
    set(
        "auto.offset.reset",
        match config.start {
            KafkaStart::Earliest => "earliest",
            KafkaStart::Latest => "latest",
        },
    );
    // Offsets are stored by hand when they are done, and committed by librdkafka.
    set("enable.auto.offset.store", "false");
    set("enable.auto.commit", "true");
    set("auto.commit.interval.ms", &limits::COMMIT_INTERVAL.as_millis().to_string());
    set("queued.max.messages.kbytes", &limits::READ_AHEAD_KIB.to_string());
    set("fetch.message.max.bytes", &limits::FETCH_BYTES_MAX.to_string());
    set("partition.assignment.strategy", "cooperative-sticky");
    let protocol = match (&config.tls, &config.sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    set("security.protocol", protocol);
    if let Some(tls) = &config.tls {
        for (name, pem) in [
            ("ssl.ca.pem", &tls.authorities),
            ("ssl.certificate.pem", &tls.certificate),
            ("ssl.key.pem", &tls.key),
        ] {
            if let Some(pem) = pem {
                set(name, pem);
            }
        }
    }
    if let Some(sasl) = &config.sasl {
        set("sasl.mechanisms", &sasl.mechanism);
        set("sasl.username", &sasl.username);
        set("sasl.password", &sasl.password);
    }
    client
}
