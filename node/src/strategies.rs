//! Sampling strategies: read at the start, again and again, and whenever the node is told to.
//!
//! A file that cannot be used ends the start, because whoever named it wants it. A server that
//! cannot be reached does not: nodes must start without it, and ask again. Later, whatever cannot
//! be used is reported, and what was in force stays.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, ensure};
use api::sampling::StrategiesHandle;
use api::sampling::limits::STRATEGIES_BYTES_MAX;
use hyper::StatusCode;
use tokio::sync::Notify;

use crate::config::{NodeConfig, StrategiesSource};
use crate::{files, http};

/// How long a server may take: strategies are small, and the next turn comes soon.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

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
        };
        let read = strategies.read().await;
        match (read, &strategies.source) {
            (Err(error), Some(StrategiesSource::Url(_))) => {
                tracing::error!("{error:#}; Jaeger's default is in force until they can");
            }
            (read, _) => _ = read?,
        }
        Ok(strategies)
    }

    /// Reads the source in its interval, and when `told` to.
    pub(crate) async fn keep_fresh(mut self, told: &Notify) -> Infallible {
        loop {
            let is_told = tokio::select! {
                () = told.notified() => true,
                () = pause(self.interval) => false,
            };
            self.refresh(is_told).await;
        }
    }

    async fn refresh(&mut self, is_told: bool) {
        let read = self.read().await;
        let Some(source) = &self.source else { return };
        match read {
            Ok(is_new) if is_new || is_told => {
                tracing::info!(%source, is_new, "read the sampling strategies again");
            }
            Ok(_) => {}
            Err(error) => tracing::error!("{error:#}; the former strategies stay in force"),
        }
    }

    /// Takes what the source says, if it is not what it said last; says whether it was not.
    async fn read(&mut self) -> anyhow::Result<bool> {
        let Some(source) = &self.source else { return Ok(false) };
        let context = || format!("the sampling strategies in {source} cannot be used");
        let content = match source {
            StrategiesSource::File(path) => files::read_at_most(path, STRATEGIES_BYTES_MAX),
            StrategiesSource::Url(url) => fetch(url, self.answer_time_max).await,
        };
        let content = content.with_context(context)?;
        if self.content.as_ref() == Some(&content) {
            return Ok(false);
        }
        for warning in self.handle.replace(&content).with_context(context)? {
            tracing::warn!(%source, "{warning}");
        }
        self.content = Some(content);
        Ok(true)
    }
}

async fn pause(interval: Duration) {
    if interval.is_zero() {
        return std::future::pending().await;
    }
    tokio::time::sleep(interval).await;
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
            let refused = format!("{:#}", strategies.read().await.unwrap_err());
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

    #[tokio::test]
    async fn a_file_that_cannot_be_used_ends_the_start() {
        let sampling_strategies = Some(StrategiesSource::File("/nowhere/strategies".into()));
        let config = NodeConfig { sampling_strategies, ..NodeConfig::default() };
        let refused = format!("{:#}", Strategies::load(&config).await.unwrap_err());
        assert!(refused.contains("the sampling strategies in /nowhere/strategies"), "{refused}");
    }
}
