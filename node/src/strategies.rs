//! Sampling strategies: read at the start, again and again, and whenever the node is told to.
//!
//! A file that cannot be used ends the start, because whoever named it wants it. A server that
//! cannot be reached does not: nodes must start without it, and ask again. Later, whatever cannot
//! be used is reported, once for each content, and what was in force stays.
//!
//! In a cluster all nodes serve what its own state holds, also those that were told of no source.
//! A node that finds new content offers it ([`Host::offer_sampling`]); the last one that was
//! accepted is in force everywhere. Until the first one is, each node serves what it read itself.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use api::sampling::StrategiesHandle;
use api::sampling::limits::STRATEGIES_BYTES_MAX;
use cluster::host::{Host, SamplingOffer};
use cluster::meta::MetaState;
use cluster::meta::limits::SAMPLING_BYTES_MAX;
use cluster::watch;
use hyper::StatusCode;
use model::admin::SamplingStatus;
use tokio::sync::Notify;
use tokio::time::{Interval, MissedTickBehavior};

use crate::config::{NodeConfig, StrategiesSource};
use crate::{files, http};

/// How long a server may take: strategies are small, and the next turn comes soon.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// How long to wait before content is offered again that the cluster could not take.
const OFFER_PAUSE: Duration = Duration::from_secs(5);

// What one node takes, all nodes can be told.
const _: () = assert!(STRATEGIES_BYTES_MAX <= SAMPLING_BYTES_MAX);

/// Strategies and where they come from.
#[derive(Debug)]
pub(crate) struct Strategies {
    /// What is in force.
    pub(crate) handle: StrategiesHandle,
    source: Option<StrategiesSource>,
    /// How often the source is read; zero for only when told to.
    interval: Duration,
    answer_time_max: Duration,
    /// What was last taken from it.
    content: Option<Vec<u8>>,
    complaints: Complaints,
    cluster: Option<Cluster>,
}

/// What is wrong with the source and was said.
#[derive(Debug, Default)]
struct Complaints {
    /// Why it could not be read, as long as that is so.
    unreadable: Option<String>,
    /// The digest of what could be read and not be used.
    malformed: Option<u128>,
}

/// The cluster that a node is of.
#[derive(Debug)]
struct Cluster {
    host: Arc<Host>,
    state: watch::Receiver<Arc<MetaState>>,
    /// The change of the cluster's state whose strategies were taken.
    revision: u64,
    /// What the node read is still to be offered; whether once more, if it was before.
    owed: Option<Again>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Again(bool);

/// Why what the source says is not taken.
#[derive(Debug)]
struct Refused {
    error: anyhow::Error,
    /// Of what could be read.
    digest: Option<u128>,
}

/// Why the strategies are looked after now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Told,
    Due,
    ClusterChanged,
    OfferAgain,
}

impl Strategies {
    /// What the configured source says, or the default for all.
    pub(crate) async fn load(config: &NodeConfig) -> anyhow::Result<Self> {
        let mut strategies = Self {
            handle: StrategiesHandle::default(),
            source: config.sampling_strategies.clone(),
            interval: config.sampling_reload,
            answer_time_max: ANSWER_TIME_MAX,
            content: None,
            complaints: Complaints::default(),
            cluster: None,
        };
        match (strategies.read().await, &strategies.source) {
            (Err(refused), Some(StrategiesSource::Url(_))) => {
                let consequence = "the cluster's or Jaeger's default is in force until they can";
                strategies.complaints.note(&refused, false, consequence);
            }
            (read, _) => _ = read.map_err(|refused| refused.error)?,
        }
        Ok(strategies)
    }

    /// From now on the strategies are the cluster's.
    pub(crate) fn share(&mut self, host: Arc<Host>) {
        let state = host.watch_state();
        let owed = self.content.is_some().then_some(Again(false));
        self.cluster = Some(Cluster { host, state, revision: 0, owed });
        self.follow();
    }

    /// Reads the source in its interval, and when `told` to; does as the cluster says.
    pub(crate) async fn keep_fresh(mut self, told: &Notify) -> Infallible {
        let mut period = self.period();
        self.offer().await;
        loop {
            let turn = self.turn(told, &mut period).await;
            match turn {
                Turn::Told => self.refresh(true).await,
                Turn::Due => self.refresh(false).await,
                Turn::ClusterChanged => self.follow(),
                Turn::OfferAgain => self.offer().await,
            }
        }
    }

    async fn turn(&mut self, told: &Notify, period: &mut Option<Interval>) -> Turn {
        let is_owing = self.cluster.as_ref().is_some_and(|cluster| cluster.owed.is_some());
        tokio::select! {
            () = told.notified() => Turn::Told,
            () = tick(period) => Turn::Due,
            () = changed(&mut self.cluster) => Turn::ClusterChanged,
            () = tokio::time::sleep(OFFER_PAUSE), if is_owing => Turn::OfferAgain,
        }
    }

    fn period(&self) -> Option<Interval> {
        if self.interval.is_zero() {
            return None;
        }
        let first = tokio::time::Instant::now() + self.interval;
        let mut period = tokio::time::interval_at(first, self.interval);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(period)
    }

    async fn refresh(&mut self, is_told: bool) {
        let read = self.read().await;
        let Some(source) = &self.source else { return };
        match read {
            Ok(is_new) => {
                if is_new || is_told {
                    tracing::info!(%source, is_new, "read the sampling strategies again");
                }
                if let Some(cluster) = &mut self.cluster
                    && (is_new || is_told)
                {
                    cluster.owed = Some(Again(is_told));
                }
                self.offer().await;
            }
            Err(refused) => {
                self.complaints.note(&refused, is_told, "the former strategies stay in force");
            }
        }
    }

    /// Takes what the source says, if it is not what it said last; says whether it was not.
    async fn read(&mut self) -> Result<bool, Refused> {
        let Some(source) = &self.source else { return Ok(false) };
        let context = || format!("the sampling strategies in {source} cannot be used");
        let content = match source {
            StrategiesSource::File(path) => files::read_at_most(path, STRATEGIES_BYTES_MAX),
            StrategiesSource::Url(url) => fetch(url, self.answer_time_max).await,
        };
        let content = content.with_context(context);
        let content = content.map_err(|error| Refused { error, digest: None })?;
        self.complaints.unreadable = None;
        if self.content.as_ref() == Some(&content) {
            self.complaints.malformed = None;
            return Ok(false);
        }
        let is_shared = self.cluster.as_ref().is_some_and(|cluster| cluster.revision > 0);
        let taken =
            if is_shared { self.handle.check(&content) } else { self.handle.replace(&content) };
        let warnings = taken.with_context(context).map_err(|error| Refused {
            error,
            digest: Some(SamplingStatus::of(&content, 0).digest),
        })?;
        for warning in warnings {
            tracing::warn!(%source, "{warning}");
        }
        self.complaints.malformed = None;
        self.content = Some(content);
        Ok(true)
    }

    /// Offers what was read to the cluster, if that is still to be done.
    async fn offer(&mut self) {
        let (Some(cluster), Some(content)) = (&mut self.cluster, &self.content) else { return };
        let Some(Again(again)) = cluster.owed else { return };
        let source = self.source.as_ref().map(ToString::to_string).unwrap_or_default();
        match cluster.host.offer_sampling(content, again).await {
            Ok(SamplingOffer::InForce) => cluster.owed = None,
            Ok(SamplingOffer::Accepted) => {
                cluster.owed = None;
                tracing::info!(source, "these sampling strategies are in force on all nodes");
            }
            Ok(SamplingOffer::Overtaken) => {
                cluster.owed = None;
                tracing::warn!(
                    source,
                    "the sampling strategies of another node came later and stay in force; those \
                     of this one are offered when they change, or at SIGHUP"
                );
            }
            Err(error @ cluster::Error::Refused { .. }) => {
                cluster.owed = None;
                tracing::error!(source, %error, "the cluster does not take the strategies");
            }
            Err(error) => {
                tracing::debug!(source, %error, "the cluster could not be told the strategies yet");
            }
        }
    }

    /// Puts in force what the cluster holds.
    fn follow(&mut self) {
        let Some(cluster) = &mut self.cluster else { return };
        let state = Arc::clone(&cluster.state.borrow_and_update());
        let sampling = state.sampling();
        let revision = sampling.revision.0;
        if sampling.content.is_empty() || revision == cluster.revision {
            return;
        }
        cluster.revision = revision;
        let digest = format!("{:032x}", SamplingStatus::of(&sampling.content, revision).digest);
        let is_own = self.content.as_ref() == Some(&sampling.content);
        match self.handle.replace(&sampling.content) {
            Ok(_) if is_own || self.source.is_none() => {
                tracing::info!(revision, digest, "the cluster's sampling strategies are in force");
            }
            Ok(_) => tracing::warn!(
                revision,
                digest,
                "the cluster's sampling strategies are in force, which are not those of this \
                 node's source"
            ),
            // A later version of this program may know more.
            Err(error) => {
                count_refusal("malformed");
                tracing::error!(revision, digest, %error, "the cluster's strategies are not taken");
            }
        }
        metrics::gauge!("skua_sampling_strategies_revision").set(revision as f64);
        let follows_source = is_own || self.source.is_none();
        metrics::gauge!("skua_sampling_strategies_foreign")
            .set(f64::from(u8::from(!follows_source)));
    }
}

impl Complaints {
    /// Says what is wrong, unless that was said; always if a person asked. Whether it did.
    fn note(&mut self, refused: &Refused, is_told: bool, consequence: &str) -> bool {
        let Refused { error, digest } = refused;
        let (is_new, reason) = if let Some(digest) = digest {
            (self.malformed.replace(*digest) != Some(*digest), "malformed")
        } else {
            let text = format!("{error:#}");
            (self.unreadable.replace(text.clone()) != Some(text), "unreadable")
        };
        if is_new {
            count_refusal(reason);
        }
        if is_new || is_told {
            tracing::error!("{error:#}; {consequence}");
        }
        is_new || is_told
    }
}

fn count_refusal(reason: &'static str) {
    metrics::counter!("skua_sampling_strategies_refused_total", "reason" => reason).increment(1);
}

async fn tick(period: &mut Option<Interval>) {
    match period {
        Some(period) => _ = period.tick().await,
        None => std::future::pending().await,
    }
}

async fn changed(cluster: &mut Option<Cluster>) {
    match cluster {
        Some(cluster) => {
            if cluster.state.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        None => std::future::pending().await,
    }
}

async fn fetch(url: &str, time_max: Duration) -> anyhow::Result<Vec<u8>> {
    let (status, content) = http::fetch(url, STRATEGIES_BYTES_MAX, time_max).await?;
    ensure!(status == StatusCode::OK, "the server answered {status}");
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;

    /// A server that gives these answers, one a connection, and then no more.
    fn server(answers: Vec<Vec<u8>>) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/strategies", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    request.extend(byte);
                }
                assert!(request.starts_with(b"GET /strategies HTTP/1.1\r\n"));
                // A client that has had enough hangs up.
                let _ = stream.write_all(&answer);
                if answer.is_empty() {
                    let _ = stream.read(&mut [0]);
                }
            }
        });
        (url, thread)
    }

    fn answer(status: &str, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    fn uniform(probability: &str) -> Vec<u8> {
        let body =
            format!(r#"{{"default_strategy":{{"type":"probabilistic","param":{probability}}}}}"#);
        answer("200 OK", body.as_bytes())
    }

    fn in_force(strategies: &Strategies) -> String {
        let json = strategies.handle.strategy("any").to_json();
        let text = String::from_utf8_lossy(json.as_ref()).into_owned();
        let (_, rate) = text.split_once("samplingRate\":").unwrap();
        rate.trim_end_matches('}').to_owned()
    }

    #[tokio::test]
    async fn a_url_is_read_again_and_what_is_wrong_keeps_the_former() {
        let large = vec![b' '; STRATEGIES_BYTES_MAX + 1];
        let answers = vec![
            answer("503 Service Unavailable", b"{}"),
            uniform("0.25"),
            uniform("0.25"),
            answer("200 OK", b"<html>"),
            answer("200 OK", &large),
            answer("302 Found", b""),
            Vec::new(),
            uniform("0.5"),
        ];
        let (url, server) = server(answers);
        let sampling_strategies = Some(StrategiesSource::Url(url.clone()));
        let config = NodeConfig { sampling_strategies, ..NodeConfig::default() };
        let mut strategies = Strategies::load(&config).await.unwrap();
        assert_eq!(in_force(&strategies), "0.001", "a server that is away does not end the start");
        assert!(strategies.read().await.unwrap(), "new");
        assert_eq!(in_force(&strategies), "0.25");
        assert!(!strategies.read().await.unwrap(), "the same again");
        for (reason, time_max) in [
            ("failed to unmarshal", ANSWER_TIME_MAX),
            ("length limit exceeded", ANSWER_TIME_MAX),
            ("the server answered 302 Found", ANSWER_TIME_MAX),
            ("no answer within 100ms", Duration::from_millis(100)),
        ] {
            strategies.answer_time_max = time_max;
            let refused = format!("{:#}", strategies.read().await.unwrap_err().error);
            assert!(refused.contains(&url) && refused.contains(reason), "{refused}");
            assert_eq!(in_force(&strategies), "0.25", "{reason}");
        }
        strategies.answer_time_max = ANSWER_TIME_MAX;
        strategies.refresh(true).await;
        assert_eq!(in_force(&strategies), "0.5");
        server.join().unwrap();
        strategies.refresh(false).await;
        assert_eq!(in_force(&strategies), "0.5", "nobody answers");
    }

    #[test]
    fn what_is_wrong_is_said_once_for_each_content() {
        let refused = |text: &'static str, digest| Refused { error: anyhow::anyhow!(text), digest };
        let mut complaints = Complaints::default();
        let mut says = |text, digest, is_told| complaints.note(&refused(text, digest), is_told, "");
        assert!(says("not JSON", Some(1), false));
        assert!(!says("not JSON", Some(1), false), "the same content at the next turn");
        assert!(says("not JSON", Some(1), true), "somebody asked");
        assert!(says("not JSON", Some(2), false), "other content");
        assert!(says("no such file", None, false));
        assert!(!says("no such file", None, false));
        assert!(!says("not JSON", Some(2), false), "it was away in between");
        assert!(says("permission denied", None, false));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_ends_the_start() {
        let sampling_strategies = Some(StrategiesSource::File("/nowhere/strategies".into()));
        let config = NodeConfig { sampling_strategies, ..NodeConfig::default() };
        let refused = format!("{:#}", Strategies::load(&config).await.unwrap_err());
        assert!(refused.contains("the sampling strategies in /nowhere/strategies"), "{refused}");
    }
}
