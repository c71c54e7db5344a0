//! The part of a route that says where it leads: `upstream` or `upstreams`, `health_check`, `upstream_tls`.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use super::server::reported;
use crate::authz::Access;
use crate::config::diagnostic::Place;
use crate::config::reader::{Context, Field, Section};
use crate::config::values::{self, hours, seconds};
use crate::config::{ClientCertificate, HealthCheck, Upstream, WeightedUpstream, address, files};

/// As many as the gateway remembers for each request.
const MOST_UPSTREAMS: usize = 64;

/// One upstream and where it stands.
pub(in crate::config) struct Draft {
    pub weighted: WeightedUpstream,
    pub place: Place,
}

/// `upstream_tls`, before it is known whether the machine's authorities are needed.
pub(in crate::config) struct TlsDraft {
    pub authorities: Option<Arc<[CertificateDer<'static>]>>,
    pub server_name: Option<String>,
    pub client: Option<ClientCertificate>,
}

/// Where the route leads: `upstream`, or `upstreams` with one or more.
pub(super) fn upstreams(section: &mut Section<'_>, access: Access) -> Vec<Draft> {
    let (one, many) = (section.field("upstream").secret(), section.field("upstreams"));
    if one.given() && many.given() {
        many.error("`upstream` is given as well", Some("keep one of the two".to_owned()));
    }
    if many.given() {
        return several(section.context(), &many);
    }
    if access == Access::Deny && !one.given() {
        return Vec::new();
    }
    let one = one.required("like http://127.0.0.1:9000, or unix:/run/tool.sock");
    let place = one.place();
    let upstream = one.parse(address::upstream);
    upstream.map(|upstream| Draft { weighted: WeightedUpstream { upstream, weight: 1 }, place }).into_iter().collect()
}

fn several(ctx: &Context<'_>, field: &Field<'_>) -> Vec<Draft> {
    if field.is_empty_list() {
        field.error("must hold at least one upstream", None);
    }
    let mut complete = true;
    let read = |item: Field<'_>| {
        let place = item.place();
        let weighted = item.read_section(weighted).flatten();
        complete &= weighted.is_some();
        weighted.map(|weighted| Draft { weighted, place })
    };
    let drafts = field.list(read).unwrap_or_default();
    for (index, draft) in drafts.iter().enumerate() {
        if drafts.iter().take(index).any(|earlier| earlier.weighted.upstream == draft.weighted.upstream) {
            let hint = Some("give it once, with a larger weight".to_owned());
            ctx.error(draft.place, "the same upstream is given twice", hint);
        }
    }
    if drafts.len() > MOST_UPSTREAMS {
        field.error(format!("must hold at most {MOST_UPSTREAMS} upstreams"), None);
    }
    if complete && !drafts.is_empty() && drafts.iter().all(|draft| draft.weighted.weight == 0) {
        let hint = Some("one of them needs a weight of 1 or more; `access: deny` closes a route".to_owned());
        field.error("every upstream has the weight 0, so that none would get a request", hint);
    }
    drafts
}

fn weighted(section: &mut Section<'_>) -> Option<WeightedUpstream> {
    let weight = section.integer("weight", 1, 0..=1000);
    let url = section.field("url").secret().required("like http://127.0.0.1:9000");
    url.parse(address::upstream).map(|upstream| WeightedUpstream { upstream, weight })
}

pub(super) fn health_check(section: &mut Section<'_>) -> Option<HealthCheck> {
    section.optional("health_check", |section| {
        let path = section.field("path").required("like /health").parse(values::path);
        let interval = section.duration("interval", seconds(10), seconds(1)..=hours(1));
        path.map(|path| HealthCheck { path: path.as_str().to_owned(), interval })
    })?
}

/// What `upstream_tls` says. It belongs to upstreams that speak https, all of them.
pub(super) fn tls(section: &mut Section<'_>, upstreams: &[Draft]) -> Option<TlsDraft> {
    let field = section.field("upstream_tls");
    let is_plain = |draft: &Draft| !matches!(draft.weighted.upstream, Upstream::Https { .. });
    if field.given() && upstreams.iter().any(is_plain) {
        let hint = "write https:// before the host, or remove the key".to_owned();
        field.error_at_key("the route leads to an upstream without TLS", Some(hint));
    }
    section.optional("upstream_tls", |section| {
        let ca = section.field("ca");
        let authorities = ca.path().and_then(|path| reported(&ca, files::authorities(&path)));
        let server_name = section.field("server_name").parse(values::host).map(|host| host.as_str().to_owned());
        let given = section.field("certificate").given() || section.field("key").given();
        let client = if given { client(section) } else { None };
        TlsDraft { authorities, server_name, client }
    })
}

/// The certificate to show and its key, proved to belong together.
fn client(section: &mut Section<'_>) -> Option<ClientCertificate> {
    let own = super::server::certificate(section)?;
    let (certificate, key) = (section.field("certificate"), section.field("key"));
    let chain = reported(&certificate, files::for_upstreams(own.certified.cert.clone()))?;
    let private = reported(&key, files::private_key(&own.key))?;
    Some(ClientCertificate { chain, key: private.key })
}
