//! Spans for OpenTelemetry, one for each request and one for its call to the upstream (cargo feature `otlp`).
//!
//! They are made at the end of a request, of what is known then: nothing is paid for them before. Where they go, how many at
//! once and which ones is said by the standard's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER`,
//! `OTEL_BSP_…`); without an endpoint there are none. No query, no cookie, no name of a person is in them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context as OtelContext, InstrumentationScope, KeyValue};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Config, SamplingDecision, SpanData, SpanEvents, SpanLinks, SpanProcessor as _,
};
use tokio::runtime::Handle;

use super::context::{Call, Context, Request};
use super::trace::{SAMPLED, Trace};
use crate::gateway::access_log::End;

/// The standard's own default for `OTEL_EXPORTER_OTLP_TIMEOUT`.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends spans to a collector, in batches, from a thread of its own.
#[derive(Debug)]
pub struct Spans {
    processor: BatchSpanProcessor,
    config: Config,
    scope: InstrumentationScope,
}

/// Why no spans are sent although they were asked for.
#[derive(Debug, thiserror::Error)]
pub enum NoSpans {
    #[error("OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, which is all that this build speaks")]
    Protocol,
    #[error("the certificates of this machine's authorities cannot be read")]
    Authorities(#[source] std::io::Error),
    #[error(transparent)]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

impl Spans {
    /// What the environment asks for; `None`: it does not ask. Must be called within a runtime, which sends.
    ///
    /// # Errors
    /// Where it asks for what cannot be had.
    pub fn from_environment() -> Result<Option<Self>, NoSpans> {
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is = |name: &str, word: &str| given(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
        let endpoint = given("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| given("OTEL_EXPORTER_OTLP_ENDPOINT"));
        if endpoint.is_none() || is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let protocol = given("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| given("OTEL_EXPORTER_OTLP_PROTOCOL"));
        if protocol.is_some_and(|protocol| protocol != "http/protobuf") {
            return Err(NoSpans::Protocol);
        }
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(NoSpans::Authorities)?
            .https_or_http()
            .enable_http1()
            .build();
        let client = OnRuntime { client: HyperClient::new(connector, TIMEOUT, None), runtime: Handle::current() };
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_http_client(client);
        let mut processor = BatchSpanProcessor::builder(exporter.build()?).build();
        let named = given("OTEL_SERVICE_NAME").is_some()
            || given("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|all| all.contains("service.name="));
        let resource = Resource::builder();
        let resource = if named { resource } else { resource.with_service_name("sekisho") };
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        processor.set_resource(&resource.with_attribute(version).build());
        let scope = InstrumentationScope::builder("sekisho").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Some(Self { processor, config: Config::default(), scope }))
    }

    /// Whether this trace is recorded, which its flag says from now on. What asked for it counts where a trusted proxy did:
    /// nobody else switches records on or off.
    pub fn decide(&self, trace: &mut Trace) {
        let parent = trace.parent.filter(|_| trace.vouched).map(|parent| {
            let flags = TraceFlags::new(trace.flags);
            let id = TraceId::from_bytes(trace.id);
            let context = SpanContext::new(id, SpanId::from_bytes(parent), flags, true, TraceState::default());
            OtelContext::new().with_remote_span_context(context)
        });
        let id = TraceId::from_bytes(trace.id);
        let result = self.config.sampler.should_sample(parent.as_ref(), id, "request", &SpanKind::Server, &[], &[]);
        match result.decision {
            SamplingDecision::RecordAndSample => trace.flags |= SAMPLED,
            SamplingDecision::Drop | SamplingDecision::RecordOnly => trace.flags &= !SAMPLED,
        }
    }

    /// Takes down a request that has ended.
    pub fn record(&self, ctx: &Context, end: End) {
        let (Some(call), Some(request)) = (&ctx.call, &ctx.request) else { return };
        let Some(trace) = call.trace().filter(|trace| trace.flags & SAMPLED != 0) else { return };
        let began = UNIX_EPOCH + Duration::from_millis(request.now.millis());
        let ended = began + call.started.elapsed();
        if let Some(asked) = ctx.upstream_asked {
            let asked = began + asked.saturating_duration_since(call.started);
            self.processor.on_end(self.call_span(ctx, request, trace, (asked, ended)));
        }
        self.processor.on_end(self.request_span(call, request, trace, end, (began, ended)));
    }

    fn request_span(
        &self,
        call: &Call,
        request: &Request,
        trace: &Trace,
        end: End,
        times: (SystemTime, SystemTime),
    ) -> SpanData {
        let target = &request.arrival.target;
        let mut attributes = vec![
            KeyValue::new("http.request.method", request.method.to_string()),
            KeyValue::new("http.response.status_code", i64::from(end.status)),
            KeyValue::new("url.path", target.path().to_owned()),
            KeyValue::new("url.scheme", if request.arrival.secure { "https" } else { "http" }),
            KeyValue::new("server.address", target.host().to_string()),
            KeyValue::new("client.address", request.arrival.client.to_string()),
            KeyValue::new("network.peer.address", call.endpoints.peer.to_string()),
            KeyValue::new("network.protocol.name", "http"),
            KeyValue::new("network.protocol.version", request.said.protocol().trim_start_matches("HTTP/")),
            KeyValue::new("sekisho.request.id", request.id.to_string()),
        ];
        let route = request.route.and_then(|id| request.plan.config.routes.get(id));
        if let Some(route) = route {
            attributes.push(KeyValue::new("sekisho.route", route.name.to_string()));
        }
        if let Some(agent) = request.said.agent() {
            attributes.push(KeyValue::new("user_agent.original", agent));
        }
        if end.status >= 500 {
            attributes.push(KeyValue::new("error.type", end.status.to_string()));
        }
        let name = match route {
            Some(route) => format!("{} {}", request.method, route.name),
            None => request.method.to_string(),
        };
        let remote = trace.parent.is_some();
        let parent = trace.parent.map_or(SpanId::INVALID, SpanId::from_bytes);
        let status = if end.status >= 500 { Status::error("") } else { Status::Unset };
        let ids = (SpanId::from_bytes(trace.own), parent, remote);
        self.span(trace, ids, SpanKind::Server, name, times, attributes, status)
    }

    fn call_span(&self, ctx: &Context, request: &Request, trace: &Trace, times: (SystemTime, SystemTime)) -> SpanData {
        let mut attributes = vec![KeyValue::new("http.request.method", request.method.to_string())];
        if let Some(address) = ctx.upstream_address {
            attributes.push(KeyValue::new("server.address", address.ip().to_string()));
            attributes.push(KeyValue::new("server.port", i64::from(address.port())));
        }
        let answered = ctx.status.map(|status| status.as_u16());
        match answered {
            Some(status) => attributes.push(KeyValue::new("http.response.status_code", i64::from(status))),
            None => attributes.push(KeyValue::new("error.type", "no_answer")),
        }
        let failed = answered.is_none_or(|status| status >= 400);
        let ids = (SpanId::from_bytes(trace.call), SpanId::from_bytes(trace.own), false);
        let status = if failed { Status::error("") } else { Status::Unset };
        self.span(trace, ids, SpanKind::Client, request.method.to_string(), times, attributes, status)
    }

    #[expect(clippy::too_many_arguments, reason = "what a span is made of, in one place")]
    fn span(
        &self,
        trace: &Trace,
        (own, parent, remote): (SpanId, SpanId, bool),
        kind: SpanKind,
        name: String,
        (start_time, end_time): (SystemTime, SystemTime),
        attributes: Vec<KeyValue>,
        status: Status,
    ) -> SpanData {
        let flags = TraceFlags::new(trace.flags);
        SpanData {
            span_context: SpanContext::new(TraceId::from_bytes(trace.id), own, flags, false, TraceState::default()),
            parent_span_id: parent,
            parent_span_is_remote: remote,
            span_kind: kind,
            name: name.into(),
            start_time,
            end_time,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: self.scope.clone(),
        }
    }

    /// Sends what is left, for a little while. Blocks.
    pub fn finish(&self) {
        if let Err(error) = self.processor.shutdown_with_timeout(TIMEOUT / 2) {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// The processor's thread knows no runtime; what it sends is sent on ours.
#[derive(Debug)]
struct OnRuntime<C: Clone + Send + Sync + 'static>
where
    HyperClient<C>: HttpClient,
    C: hyper_util::client::legacy::connect::Connect,
{
    client: HyperClient<C>,
    runtime: Handle,
}

#[async_trait::async_trait]
impl<C> HttpClient for OnRuntime<C>
where
    C: hyper_util::client::legacy::connect::Connect + Clone + Send + Sync + std::fmt::Debug + 'static,
{
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}
