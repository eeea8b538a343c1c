//! The listeners of a node and their life: bind all, say where, serve, stop.
//!
//! [`bind`] takes every port before anything is served, so a port that is taken stops the start
//! and not a running node. [`Bound::serve`] serves until its token is cancelled: then no
//! connection is accepted any more, requests at work get [`limits::DRAIN_TIMEOUT`] to finish,
//! and health and metrics answer to the last.
//!
//! One accept loop (`connections.rs`) serves every port, HTTP/1 and HTTP/2
//! without TLS alike; which services answer on which port is in [`Bound::serve`] alone.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, StatusCode, Uri};
use model::time::Clock;
use model::{ClusterAdmin, Tenant, TraceStore};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::admin::{MetricsText, RedMetrics, health_router, metrics_router};
use crate::assets::UiFiles;
use crate::connections::{Room, accept};
use crate::ingest::{Admission, Counters, Receiver};
use crate::jaeger_grpc::health::Serving;
use crate::jaeger_thrift::udp::{UdpPort, UdpProtocol};
use crate::kafka::KafkaConfig;
use crate::meter::Meter;
use crate::read_context::{ReadContext, ReadLimits};
use crate::read_room::admit;
use crate::sampling::{AdaptiveSampling, Sampling};
use crate::task::Tasks;
use crate::tenant::{Tenancy, determine};
use crate::{
    assets, ingest, jaeger_grpc, jaeger_http, jaeger_thrift, limits, otlp, sampling, skua, zipkin,
};

/// Where to listen and for whom.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// The address that every port binds to.
    pub listen_address: IpAddr,
    /// The ports; 0 takes any that is free.
    pub ports: Ports,
    /// How the tenant of a request is found.
    pub tenancy: Tenancy,
    /// Origins whose pages may send spans over OTLP/HTTP; none by default. `*` allows all.
    pub otlp_cors_origins: Vec<HeaderValue>,
    /// What one read may cost.
    pub read_limits: ReadLimits,
    /// Where sampling strategies come from.
    pub sampling: Sampling,
    /// Whether `POST /purge` on the port of remote storage removes everything.
    pub allow_purge: bool,
    /// What every path of the UI's port begins with: nothing, or a path without a slash at its
    /// end.
    pub base_path: String,
    /// What the UI's port shows to browsers.
    pub ui: UiFiles,
    /// What to consume from Kafka.
    pub kafka: Option<KafkaConfig>,
    /// Most open connections of clients, over all ports but those of health and metrics.
    pub connections_max: usize,
    /// Whether rates, errors and durations of what is traced are among the metrics. Where there
    /// are tenants they are not: metrics are no tenant's.
    pub red_metrics: bool,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: Ports::default(),
            tenancy: Tenancy::Off,
            otlp_cors_origins: Vec::new(),
            read_limits: ReadLimits::default(),
            sampling: Sampling::default(),
            allow_purge: false,
            base_path: String::new(),
            ui: UiFiles::default(),
            kafka: None,
            connections_max: limits::CONNECTIONS_MAX,
            red_metrics: true,
        }
    }
}

/// One value for each door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doors<T> {
    /// OTLP over gRPC.
    pub otlp_grpc: T,
    /// OTLP over HTTP.
    pub otlp_http: T,
    /// Query APIs and user interface.
    pub ui: T,
    /// Health.
    pub health: T,
    /// Metrics.
    pub metrics: T,
    /// Jaeger's `api_v2` collector over gRPC.
    pub jaeger_grpc: T,
    /// Jaeger's Thrift over HTTP.
    pub jaeger_http: T,
    /// Jaeger's compact Thrift over UDP.
    pub jaeger_compact: T,
    /// Jaeger's binary Thrift over UDP.
    pub jaeger_binary: T,
    /// Zipkin, v1 and v2.
    pub zipkin: T,
    /// Jaeger's query services over gRPC.
    pub query_grpc: T,
    /// Sampling strategies over HTTP.
    pub sampling_http: T,
    /// Sampling strategies over gRPC.
    pub sampling_grpc: T,
    /// Jaeger's remote storage.
    pub remote_storage: T,
}

/// Port numbers.
pub type Ports = Doors<u16>;

impl Default for Ports {
    /// Jaeger's.
    fn default() -> Self {
        Self {
            otlp_grpc: 4317,
            otlp_http: 4318,
            ui: 16686,
            health: 13133,
            metrics: 8888,
            jaeger_grpc: 14250,
            jaeger_http: 14268,
            jaeger_compact: 6831,
            jaeger_binary: 6832,
            zipkin: 9411,
            query_grpc: 16685,
            sampling_http: 5778,
            sampling_grpc: 5779,
            remote_storage: 17271,
        }
    }
}

impl Ports {
    /// Any free port for each door.
    pub const FREE: Self = Self {
        otlp_grpc: 0,
        otlp_http: 0,
        ui: 0,
        health: 0,
        metrics: 0,
        jaeger_grpc: 0,
        jaeger_http: 0,
        jaeger_compact: 0,
        jaeger_binary: 0,
        zipkin: 0,
        query_grpc: 0,
        sampling_http: 0,
        sampling_grpc: 0,
        remote_storage: 0,
    };
}

/// A door could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// A port could not be had.
    #[error("cannot listen on {address} for {door}")]
    Port {
        /// What was to be served there.
        door: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The settings for Kafka cannot be used.
    #[cfg(feature = "kafka")]
    #[error(transparent)]
    Kafka(#[from] crate::kafka::KafkaError),
    /// There is no consumer in this build.
    #[error("this build of skua cannot consume from Kafka")]
    NoKafka,
}

/// What is served: the store behind the doors and what they need besides.
#[derive(Clone)]
pub struct ApiState<S, A> {
    /// Where spans go and come from.
    pub store: S,
    /// What the cluster looks like.
    pub admin: A,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Writes out the node's metrics.
    pub metrics_text: MetricsText,
    /// Counts what the node has done.
    pub meter: Arc<Meter>,
}

impl<S, A> fmt::Debug for ApiState<S, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ApiState").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// Listeners that hold their ports and serve nothing yet.
#[derive(Debug)]
pub struct Bound {
    config: ApiConfig,
    listeners: Listeners,
    addresses: Doors<SocketAddr>,
    #[cfg(feature = "kafka")]
    kafka: Option<crate::kafka::KafkaSource>,
}

#[derive(Debug)]
struct Listeners {
    otlp_grpc: TcpListener,
    otlp_http: TcpListener,
    ui: TcpListener,
    /// Shared with whoever serves health before there is a store.
    health: Arc<TcpListener>,
    metrics: TcpListener,
    jaeger_grpc: TcpListener,
    jaeger_http: TcpListener,
    jaeger_compact: UdpPort,
    jaeger_binary: UdpPort,
    zipkin: TcpListener,
    query_grpc: TcpListener,
    sampling_http: TcpListener,
    sampling_grpc: TcpListener,
    remote_storage: TcpListener,
}

/// Takes all ports.
pub async fn bind(config: ApiConfig) -> Result<Bound, BindError> {
    let at = async |door: &'static str, port: u16| {
        let address = SocketAddr::new(config.listen_address, port);
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        bound.await.map_err(|source| BindError::Port { door, address, source })
    };
    let ports = config.ports;
    let otlp_grpc = at("OTLP gRPC", ports.otlp_grpc).await?;
    let otlp_http = at("OTLP HTTP", ports.otlp_http).await?;
    let ui = at("UI and query APIs", ports.ui).await?;
    let health = at("health", ports.health).await?;
    let metrics = at("metrics", ports.metrics).await?;
    let jaeger_grpc = at("Jaeger gRPC", ports.jaeger_grpc).await?;
    let jaeger_http = at("Jaeger Thrift HTTP", ports.jaeger_http).await?;
    let zipkin = at("Zipkin", ports.zipkin).await?;
    let query_grpc = at("query gRPC", ports.query_grpc).await?;
    let sampling_http = at("sampling HTTP", ports.sampling_http).await?;
    let sampling_grpc = at("sampling gRPC", ports.sampling_grpc).await?;
    let remote_storage = at("remote storage", ports.remote_storage).await?;
    let udp_at = |door: &'static str, protocol: UdpProtocol, port: u16| {
        let address = SocketAddr::new(config.listen_address, port);
        UdpPort::bind(protocol, address).map_err(|source| BindError::Port { door, address, source })
    };
    let jaeger_compact = udp_at("Jaeger compact", UdpProtocol::Compact, ports.jaeger_compact)?;
    let jaeger_binary = udp_at("Jaeger binary", UdpProtocol::Binary, ports.jaeger_binary)?;
    let addresses = Doors {
        otlp_grpc: otlp_grpc.1,
        otlp_http: otlp_http.1,
        ui: ui.1,
        health: health.1,
        metrics: metrics.1,
        jaeger_grpc: jaeger_grpc.1,
        jaeger_http: jaeger_http.1,
        jaeger_compact: jaeger_compact.address(),
        jaeger_binary: jaeger_binary.address(),
        zipkin: zipkin.1,
        query_grpc: query_grpc.1,
        sampling_http: sampling_http.1,
        sampling_grpc: sampling_grpc.1,
        remote_storage: remote_storage.1,
    };
    let listeners = Listeners {
        otlp_grpc: otlp_grpc.0,
        otlp_http: otlp_http.0,
        ui: ui.0,
        health: Arc::new(health.0),
        metrics: metrics.0,
        jaeger_grpc: jaeger_grpc.0,
        jaeger_http: jaeger_http.0,
        jaeger_compact,
        jaeger_binary,
        zipkin: zipkin.0,
        query_grpc: query_grpc.0,
        sampling_http: sampling_http.0,
        sampling_grpc: sampling_grpc.0,
        remote_storage: remote_storage.0,
    };
    #[cfg(feature = "kafka")]
    let kafka = config.kafka.as_ref().map(crate::kafka::KafkaSource::open).transpose()?;
    #[cfg(not(feature = "kafka"))]
    if config.kafka.is_some() {
        return Err(BindError::NoKafka);
    }
    Ok(Bound {
        config,
        listeners,
        addresses,
        #[cfg(feature = "kafka")]
        kafka,
    })
}

impl Bound {
    /// Where each door is.
    pub fn addresses(&self) -> Doors<SocketAddr> {
        self.addresses
    }

    /// Serves the health port alone, for as long as the future is polled: a node that reads its
    /// log is alive, and says that it is not ready.
    pub fn serve_health<A: ClusterAdmin>(
        &self,
        admin: A,
    ) -> impl Future<Output = ()> + Send + use<A> {
        let listener = Arc::clone(&self.listeners.health);
        accept("health", Room::apart(), listener, health_router(admin), CancellationToken::new())
    }

    /// Serves until `shutdown` is cancelled and the requests at work are done.
    pub async fn serve<S: TraceStore, A: ClusterAdmin>(
        self,
        state: ApiState<S, A>,
        shutdown: CancellationToken,
    ) {
        #[cfg(feature = "kafka")]
        let kafka = self.kafka;
        let Self { config, listeners, .. } = self;
        let ApiState { store, admin, clock, metrics_text, meter } = state;
        let (sampling, admission) = (config.sampling, Admission::default());
        let counters = Counters { meter: Arc::clone(&meter), throughput: sampling.counter() };
        let receiver = Receiver::counting(store.clone(), Arc::clone(&clock), admission, counters);
        let query_clock = Arc::clone(&clock);
        let context = ReadContext::new(store, clock, config.read_limits);
        let tenancy = config.tenancy;
        let shows_red = config.red_metrics && matches!(tenancy, Tenancy::Off);
        let red = shows_red.then(|| RedMetrics::new(context.clone()));

        let grpc = otlp::grpc::router(receiver.clone(), tenancy.clone());
        let mut http = otlp::http::router(receiver.clone(), tenancy.clone());
        if !config.otlp_cors_origins.is_empty() {
            http = http.layer(cors(config.otlp_cors_origins));
        }
        let collector = jaeger_grpc::collector::router(receiver.clone(), tenancy.clone())
            .merge(jaeger_grpc::sampling::router(sampling.clone()))
            .fallback(async || ingest::framing::unimplemented());
        let thrift = jaeger_thrift::http::router(receiver.clone(), tenancy.clone())
            .merge(sampling::http::collector_router(sampling.clone()))
            .fallback(async || jaeger_thrift::http::not_found());
        let zipkin = zipkin::http::router(receiver.clone(), tenancy.clone());
        // A datagram names no tenant.
        let serves_udp = matches!(tenancy, Tenancy::Off);
        let counted = from_fn_with_state((Arc::clone(&query_clock), meter), count_query);
        let health = Serving::new(admin.clone(), shutdown.clone());
        let query = jaeger_grpc::ports::query(context.clone(), tenancy.clone(), health.clone())
            .layer(counted.clone());
        let remote_storage = jaeger_grpc::ports::remote_storage(
            context.clone(),
            receiver.clone(),
            tenancy.clone(),
            config.allow_purge,
            health.clone(),
        )
        .layer(counted.clone());
        let sampling_grpc = jaeger_grpc::ports::sampling(sampling.clone(), health);
        let sampling_http = sampling::http::router(sampling.clone());
        let room_of_reads = context.room.clone();
        let ui = jaeger_http::router(context.clone())
            .merge(skua::router(context, admin.clone()))
            .merge(assets::router(&config.ui, &config.base_path))
            .layer(from_fn_with_state(room_of_reads, admit))
            .layer(counted)
            .layer(from_fn_with_state(tenancy, determine))
            .layer(from_fn(trace_response));
        let ui = based(&config.base_path, ui);

        let mut doors = Tasks::default();
        let token = || shutdown.clone();
        let room = Room::new(config.connections_max);
        for (door, listener, router) in [
            ("otlp_grpc", listeners.otlp_grpc, grpc),
            ("otlp_http", listeners.otlp_http, http),
            ("ui", listeners.ui, ui),
            ("jaeger_grpc", listeners.jaeger_grpc, collector),
            ("jaeger_http", listeners.jaeger_http, thrift),
            ("zipkin", listeners.zipkin, zipkin),
            ("query_grpc", listeners.query_grpc, query),
            ("sampling_http", listeners.sampling_http, sampling_http),
            ("sampling_grpc", listeners.sampling_grpc, sampling_grpc),
            ("remote_storage", listeners.remote_storage, remote_storage),
        ] {
            doors.spawn(door, accept(door, room.clone(), listener.into(), router, token()));
        }
        if let Sampling::Adaptive(adaptive) = sampling {
            doors.spawn("adaptive sampling", adapt(adaptive, query_clock, token()));
        }
        #[cfg(feature = "kafka")]
        if let Some(kafka) = kafka {
            doors.spawn("Kafka", kafka.run(receiver.clone(), Tenant::default(), token()));
        }
        if serves_udp {
            for port in [listeners.jaeger_compact, listeners.jaeger_binary] {
                doors.spawn("UDP", port.serve(receiver.clone(), Tenant::default(), token()));
            }
        }

        // These see the others off.
        let last = CancellationToken::new();
        let _stop = last.clone().drop_guard();
        let mut watchers = Tasks::default();
        let metrics = metrics_router(metrics_text, red);
        for (door, listener, router) in [
            ("health", listeners.health, health_router(admin)),
            ("metrics", listeners.metrics.into(), metrics),
        ] {
            watchers.spawn(door, accept(door, Room::apart(), listener, router, last.clone()));
        }

        doors.join().await;
        last.cancel();
        watchers.join().await;
    }
}

/// Ends windows and computes probabilities after each, until told to stop. Windows begin at whole
/// intervals of the wall clock, so that all nodes mean the same by a number.
async fn adapt(sampling: AdaptiveSampling, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    let interval = sampling.options().calculation_interval.0.max(1);
    let pause = |nanos| tokio::time::sleep(std::time::Duration::from_nanos(nanos));
    let windows = async {
        let mut ended = None;
        loop {
            let now = clock.wall().0;
            let window = now / interval;
            pause(interval - now % interval).await;
            // A wall clock that is slower than the runtime's still shows the same window.
            if ended.replace(window) != Some(window) {
                pause(sampling.close(window).0).await;
                sampling.step(window).await;
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = windows => {}
    }
}

/// Routes that are no questions about traces: files of pages, and the state that these look at
/// every few seconds.
const NO_QUERIES: [&str; 2] = [PAGES, "/api/skua/v1/cluster"];
/// What stands for the route of a page or of one of its files.
const PAGES: &str = "ui";

/// Counts a request to the query APIs by its route and status. Routes are the routers' own, so
/// their number is bounded; everything else is the UI's.
async fn count_query(
    State((clock, meter)): State<(Arc<dyn Clock>, Arc<Meter>)>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let route = matched.map_or_else(|| PAGES.to_owned(), |path| path.as_str().to_owned());
    let started = clock.monotonic();
    let response = next.run(request).await;
    let took = clock.monotonic().since(started);
    if !NO_QUERIES.contains(&route.as_str()) {
        meter.note_query(took);
    }
    let status = response.status().as_u16().to_string();
    metrics::histogram!("skua_query_seconds", "route" => route.clone()).record(took.0 as f64 / 1e9);
    metrics::counter!("skua_query_requests_total", "route" => route, "status" => status)
        .increment(1);
    response
}

/// Jaeger names the span of its own under which it answered; a server that does not trace itself
/// leaves the header empty, and so does this one.
async fn trace_response(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert("traceresponse", HeaderValue::from_static(""));
    response
}

/// The routes below a path. The path alone leads to the page below it, because what the page names
/// is relative to where it stands.
fn based(base: &str, router: Router) -> Router {
    if base.is_empty() {
        return router;
    }
    let base: Arc<str> = Arc::from(base);
    Router::new().fallback(move |mut request: Request| {
        let (base, router) = (Arc::clone(&base), router.clone());
        async move {
            match below(&base, request.uri()) {
                Some(uri) => {
                    *request.uri_mut() = uri;
                    router.oneshot(request).await.unwrap_or_else(|never| match never {})
                }
                None if request.uri().path() == &*base => {
                    Redirect::temporary(&format!("{base}/")).into_response()
                }
                None => (StatusCode::NOT_FOUND, "404 page not found\n").into_response(),
            }
        }
    })
}

/// What an address is below a path, if it is.
fn below(base: &str, uri: &Uri) -> Option<Uri> {
    let rest = uri.path().strip_prefix(base).filter(|rest| rest.starts_with('/'))?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{rest}{query}").parse().ok()
}

fn cors(origins: Vec<HeaderValue>) -> CorsLayer {
    let origins = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins)
    };
    CorsLayer::new().allow_origin(origins).allow_methods([http::Method::POST]).allow_headers(Any)
}
