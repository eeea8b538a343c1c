//! One node, from configuration to exit.
//!
//! ```text
//!   flags, environment, file -> config --> telemetry (log, metrics)
//!                                 |
//!            data directory (lock) + ports (bound, not served)
//!                                 |
//!   storage:  log/ (recovered)  ->  db/ (who am I)  ->  shards (blocks, log re-applied)
//!                                 |
//!   cluster:               Coordinator: TraceStore + ClusterAdmin
//!                                 |
//!   api:       OTLP 4317, 4318   UI and queries 16686   health 13133   metrics 8888
//! ```
//!
//! It starts in this order and stops in the reverse one: not ready, doors closed, open batches
//! logged and synced, threads ended, directory let go. A port that is taken, a directory in use or
//! a damaged log end the start before anything is served.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use api::assets::UiFiles;
use api::sampling::{AdaptiveOptions, AdaptiveSampling, Sampling};
use api::tenant::Tenancy;
use api::{ApiConfig, ApiState, Bound, Doors, Meter};
use cluster::Coordinator;
use cluster::clock::SystemClock;
use cluster::compaction::Compaction;
use cluster::host::TellFigures;
use cluster::upkeep::UpkeepThread;
use model::admin::{
    ChangeError, ClusterChange, ClusterStatus, CompactionStatus, NodeState, Readiness,
};
use model::time::Clock;
use model::{ClusterAdmin, NodeId, ShardId};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;
use tokio_util::context::TokioContext;
use tokio_util::sync::CancellationToken;

use crate::cli::SettingFlags;
use crate::clustered::{self, Membership};
use crate::config::{NodeConfig, Ports};
use crate::data_directory::DataDirectory;
use crate::shutdown::StopSignals;
use crate::strategies::Strategies;
use crate::telemetry::{self, Metrics};
use crate::{banner, config, descriptors, files, kafka, output, process, store, ui_files};

/// How often histograms are emptied into their buckets.
const METRICS_PERIOD: Duration = Duration::from_secs(5);

/// Threads, at most, of what nodes say to each other: votes, heartbeats and entries must not wait
/// behind the answers that the other threads put together, or groups that are well lose their
/// leaders. There is one for each two processors: with two on two they mostly wake each other.
const CLUSTER_THREADS_MAX: usize = 2;

/// How long tasks that are left when a node has stopped may take to notice.
const LEFTOVERS_TIME_MAX: Duration = Duration::from_secs(1);

/// Runs a node until it is told to stop.
pub fn run(flags: &SettingFlags) -> anyhow::Result<()> {
    // Before anything is hashed that a client chose.
    model::hash_seed::set(RandomState::new().hash_one(0_u64));
    let loaded = config::load(flags)?;
    let config = loaded.config;
    telemetry::start_log(config.log_format, &config.log_filter)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let metrics = telemetry::start_metrics()?;
    let runtime = Runtime::new().context("the runtime cannot be started")?;
    let company = config.is_clustered().then(cluster_runtime).transpose()?;
    let data = DataDirectory::take(&config)?;
    let for_company = company.as_ref().unwrap_or(&runtime).handle();
    let outcome = runtime.block_on(run_node(&config, &data, &metrics, for_company));
    // Also after a failure: whoever still holds the store must let go before the process ends, or
    // the store's library is torn down under its feet.
    runtime.shutdown_timeout(LEFTOVERS_TIME_MAX);
    if let Some(company) = company {
        company.shutdown_timeout(LEFTOVERS_TIME_MAX);
    }
    outcome?;
    data.release()
}

fn cluster_runtime() -> anyhow::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Builder::new_multi_thread()
        .worker_threads((processors / 2).clamp(1, CLUSTER_THREADS_MAX))
        .thread_name("cluster")
        .enable_all()
        .build()
        .context("the cluster's runtime cannot be started")
}

async fn run_node(
    config: &NodeConfig,
    data: &DataDirectory,
    metrics: &Metrics,
    company_runtime: &Handle,
) -> anyhow::Result<()> {
    let mut signals = StopSignals::listen()?;
    let program = std::env::args().next().unwrap_or_else(|| "skua".to_owned());
    let mut strategies = Strategies::load(config).await?;
    let ui = ui_files::load(config)?;
    let sampling = sampling(config, &strategies);
    let doors = bind(config, &sampling, &ui).await?;
    let ports = ports(&doors);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let ui_url = clustered::ui_url(config, ports.ui);
    let (meter, starting) = (Arc::default(), Starting::default());
    let known = Known { ui_url: &ui_url, meter: &meter, starting: &starting };
    let (coordinator, company) = tokio::select! {
        opened = open_store(config, data, &clock, known, company_runtime) => opened?,
        () = doors.serve_health(starting.clone()) => bail!("the health port failed"),
        signal = signals.next() => bail!("stopped by {signal} before it was ready"),
    };
    match (&sampling, &company) {
        (Sampling::Adaptive(adaptive), Company::Cluster(membership)) => {
            adaptive.share(membership.peers());
        }
        (Sampling::File(_), Company::Cluster(membership)) => {
            strategies.share(Arc::clone(membership.host()));
        }
        (_, Company::Alone { .. }) => {}
    }
    let address = SocketAddr::new(config.listen_address, ports.ui).to_string();
    let node = Some(coordinator.node_id());
    let compaction = company.compaction();
    let figures = company.figures();
    let retention = config.retention;
    let is_stopping = Arc::default();
    let inner = coordinator.clone();
    let (ui_address, sampling) = (ui_url, sampling.clone());
    let admin = Admin {
        inner,
        node,
        address,
        ui: ui_address,
        is_stopping,
        compaction,
        sampling,
        figures,
        retention,
    };
    let state = ApiState {
        store: coordinator.clone(),
        admin: admin.clone(),
        clock,
        metrics_text: metrics_text(metrics, &coordinator),
        meter,
    };
    let shutdown = CancellationToken::new();
    let mut serving = std::pin::pin!(doors.serve(state, shutdown.clone()));
    // Polled once, it has begun to accept; only then may anyone be told.
    tokio::select! {
        biased;
        () = &mut serving => bail!("the node stopped serving by itself"),
        () = tokio::task::yield_now() => {}
    }
    announce(config, ports, &program)?;

    let mut tidy = tokio::time::interval(METRICS_PERIOD);
    let told = Notify::new();
    let mut strategies = std::pin::pin!(strategies.keep_fresh(&told));
    let signal = loop {
        tokio::select! {
            () = &mut serving => bail!("the node stopped serving by itself"),
            _ = tidy.tick() => metrics.tidy(),
            never = &mut strategies => match never {},
            signal = signals.next_or_reload() => {
                if let Some(signal) = signal {
                    break signal;
                }
                told.notify_one();
                ui_files::reload(config, &ui);
            }
        }
    };

    tracing::info!(signal, "stopping");
    admin.is_stopping.store(true, Ordering::Relaxed);
    output::answer(&format!("{signal}: stopping; a second signal stops at once\n"))?;
    let close_doors = async {
        tokio::time::sleep(config.drain_delay).await;
        shutdown.cancel();
    };
    let stop = async {
        tokio::join!(close_doors, serving);
        coordinator.drain().await;
    };
    tokio::select! {
        () = stop => tracing::info!("stopped"),
        signal = signals.next() => bail!("stopped at once by a second signal, {signal}"),
    }
    match company {
        // Joins a thread that may be in the middle of a block; it notices within a page.
        Company::Alone { upkeep, .. } => {
            tokio::task::spawn_blocking(move || drop(upkeep)).await.context("upkeep panicked")
        }
        Company::Cluster(membership) => membership.leave().await,
    }
}

/// What a node has to end besides its coordinator.
enum Company {
    /// It is alone.
    Alone { upkeep: UpkeepThread, compaction: Arc<Compaction>, figures: TellFigures },
    /// It is one of several.
    Cluster(Box<Membership>),
}

impl Company {
    /// Who may ask for a compaction.
    fn compaction(&self) -> Arc<Compaction> {
        match self {
            Self::Alone { compaction, .. } => Arc::clone(compaction),
            Self::Cluster(membership) => Arc::clone(membership.compaction()),
        }
    }

    /// What tells of a node that is alone; one of several is asked like the others.
    fn figures(&self) -> Option<TellFigures> {
        match self {
            Self::Alone { figures, .. } => Some(Arc::clone(figures)),
            Self::Cluster(_) => None,
        }
    }
}

/// Takes all ports; nothing is served yet.
async fn bind(config: &NodeConfig, sampling: &Sampling, ui: &UiFiles) -> anyhow::Result<Bound> {
    let ports = config.ports;
    let config = ApiConfig {
        listen_address: config.listen_address,
        ports: Doors {
            otlp_grpc: ports.otlp_grpc,
            otlp_http: ports.otlp_http,
            ui: ports.ui,
            health: ports.health,
            metrics: ports.metrics,
            jaeger_grpc: ports.jaeger_grpc,
            jaeger_http: ports.jaeger_http,
            jaeger_compact: ports.jaeger_compact,
            jaeger_binary: ports.jaeger_binary,
            zipkin: ports.zipkin,
            query_grpc: ports.query_grpc,
            sampling_http: ports.sampling_http,
            sampling_grpc: ports.sampling_grpc,
            remote_storage: ports.remote_storage,
        },
        tenancy: tenancy(config)?,
        sampling: sampling.clone(),
        allow_purge: config.allow_purge,
        base_path: config.base_path.clone(),
        ui: ui.clone(),
        kafka: kafka::settings(&config.kafka)?,
        connections_max: descriptors::connections_max(),
        red_metrics: config.red_metrics,
        ..ApiConfig::default()
    };
    Ok(api::bind(config).await?)
}

/// Where sampling strategies come from.
fn sampling(config: &NodeConfig, strategies: &Strategies) -> Sampling {
    if !config.sampling_adaptive {
        return Sampling::File(strategies.handle.clone());
    }
    let target_samples_per_second = f64::from(config.sampling_target);
    let options = AdaptiveOptions { target_samples_per_second, ..AdaptiveOptions::default() };
    Sampling::Adaptive(AdaptiveSampling::new(options))
}

/// How the tenant of a request is told.
fn tenancy(config: &NodeConfig) -> anyhow::Result<Tenancy> {
    let Some(name) = &config.tenancy else { return Ok(Tenancy::Off) };
    let allowed = (!config.tenants.is_empty()).then(|| config.tenants.clone());
    Ok(Tenancy::Header { name: name.parse()?, allowed })
}

/// The ports that were taken.
fn ports(doors: &Bound) -> Ports {
    let addresses = doors.addresses();
    Ports {
        otlp_grpc: addresses.otlp_grpc.port(),
        otlp_http: addresses.otlp_http.port(),
        ui: addresses.ui.port(),
        health: addresses.health.port(),
        metrics: addresses.metrics.port(),
        jaeger_grpc: addresses.jaeger_grpc.port(),
        jaeger_http: addresses.jaeger_http.port(),
        jaeger_compact: addresses.jaeger_compact.port(),
        jaeger_binary: addresses.jaeger_binary.port(),
        zipkin: addresses.zipkin.port(),
        query_grpc: addresses.query_grpc.port(),
        sampling_http: addresses.sampling_http.port(),
        sampling_grpc: addresses.sampling_grpc.port(),
        remote_storage: addresses.remote_storage.port(),
    }
}

/// Recovers the node's data off the runtime and starts what serves it.
async fn open_store(
    config: &NodeConfig,
    data: &DataDirectory,
    clock: &Arc<dyn Clock>,
    known: Known<'_>,
    company_runtime: &Handle,
) -> anyhow::Result<(Coordinator, Company)> {
    if config.is_clustered() {
        let opened = clustered::open(config, data.path(), clock, known);
        // What is begun in there stays on those threads.
        let opened = TokioContext::new(opened, company_runtime.clone());
        let (coordinator, membership) = opened.await?;
        return Ok((coordinator, Company::Cluster(Box::new(membership))));
    }
    let (config, directory) = (config.clone(), data.path().to_path_buf());
    let (clock, meter) = (Arc::clone(clock), Arc::clone(known.meter));
    let opening =
        tokio::task::spawn_blocking(move || store::open_parts(&config, &directory, &clock, &meter));
    let opened = opening.await.context("the recovery panicked")??;
    let (upkeep, compaction, figures) = (opened.upkeep, opened.compaction, opened.figures);
    Ok((store::start(opened.parts)?, Company::Alone { upkeep, compaction, figures }))
}

/// Tells scripts and people that the node is ready, in this order.
fn announce(config: &NodeConfig, ports: Ports, program: &str) -> anyhow::Result<()> {
    if let Some(path) = &config.ports_file {
        let text = format!("{}\n", serde_json::to_string(&ports)?);
        files::write_atomically(path, text.as_bytes())
            .with_context(|| format!("cannot write the file of ports {}", path.display()))?;
    }
    let address = config.listen_address;
    let data = config.data_dir.display();
    tracing::info!(%address, ?ports, %data, "ready");
    if !address.is_loopback() {
        tracing::warn!(%address, "open access: whoever reaches this machine reads and writes all");
    }
    output::answer(&banner::banner(config, ports, program))?;
    Ok(())
}

fn metrics_text(metrics: &Metrics, coordinator: &Coordinator) -> api::admin::MetricsText {
    let (metrics, coordinator) = (metrics.clone(), coordinator.clone());
    Arc::new(move || {
        coordinator.publish_metrics();
        metrics.render()
    })
}

/// What a node that opens its store is told, and tells.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) ui_url: &'a str,
    pub(crate) meter: &'a Arc<Meter>,
    pub(crate) starting: &'a Starting,
}

/// A node that is not there yet, and what it is about, for whoever asks whether it is ready.
#[derive(Debug, Clone)]
pub(crate) struct Starting {
    /// Written by the start, a few times; read by the health port.
    step: Arc<Mutex<String>>,
}

impl Default for Starting {
    fn default() -> Self {
        Self { step: Arc::new(Mutex::new("the node is reading its log".to_owned())) }
    }
}

impl Starting {
    /// What the node is about from now on, in words.
    pub(crate) fn goes_on(&self, step: String) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step;
    }
}

impl ClusterAdmin for Starting {
    async fn status(&self) -> ClusterStatus {
        ClusterStatus::default()
    }

    fn readiness(&self) -> Readiness {
        Readiness::NotReady(self.step.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// The coordinator's view of the cluster, and what only the wiring knows: where this node listens,
/// and that a node that was told to stop is not ready while it still serves.
#[derive(Clone)]
struct Admin {
    inner: Coordinator,
    /// This node, if it is known which one it is.
    node: Option<NodeId>,
    /// Of the UI's port.
    address: String,
    /// The URL of the pages there.
    ui: String,
    /// Set once, when the first signal came.
    is_stopping: Arc<AtomicBool>,
    compaction: Arc<Compaction>,
    sampling: Sampling,
    /// Of a node that is alone.
    figures: Option<TellFigures>,
    /// What this node was told of it.
    retention: model::Duration,
}

impl Admin {
    /// Adds what only the wiring knows.
    fn told(&self, mut status: ClusterStatus) -> ClusterStatus {
        let is_stopping = self.is_stopping.load(Ordering::Relaxed);
        for node in status.nodes.iter_mut().filter(|node| Some(node.id) == self.node) {
            // One that is alone has no address for peers.
            if node.address.is_empty() {
                node.address.clone_from(&self.address);
            }
            node.ui.get_or_insert_with(|| self.ui.clone());
            node.process = node.process.or_else(process::status);
            node.figures = node.figures.or_else(|| self.figures.as_ref().map(|tell| tell()));
            node.state = if is_stopping { NodeState::Draining } else { node.state };
        }
        status.retention = status.retention.or(Some(self.retention));
        match &self.sampling {
            // What the cluster was told before is not in force.
            Sampling::Adaptive(_) => status.sampling = None,
            Sampling::File(strategies) => status.sampling = status.sampling.or(strategies.status()),
        }
        status
    }
}

impl ClusterAdmin for Admin {
    async fn status(&self) -> ClusterStatus {
        self.told(self.inner.status().await)
    }

    async fn status_with_digests(&self, of: Option<ShardId>) -> ClusterStatus {
        self.told(self.inner.status_with_digests(of).await)
    }

    fn readiness(&self) -> Readiness {
        if self.is_stopping.load(Ordering::Relaxed) {
            Readiness::NotReady("the node is stopping".to_owned())
        } else {
            self.inner.readiness()
        }
    }

    async fn change(&self, change: ClusterChange) -> Result<(), ChangeError> {
        self.inner.change(change).await
    }

    fn compact(&self) -> Option<CompactionStatus> {
        Some(self.compaction.ask())
    }

    fn compaction(&self) -> Option<CompactionStatus> {
        Some(self.compaction.status())
    }
}
