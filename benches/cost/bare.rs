//! Pingora with nothing in it but the tool's address: what sekisho's cost is compared with. It runs in a process of its own, which is this
//! benchmark's program.

use std::time::Duration;

use async_trait::async_trait;
use pingora::Result;
use pingora::listeners::tls::TlsSettings;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;

/// The first argument of that process; then come its own address, the tool's, [`PLAIN`] or one of the others, and a certificate's files.
pub const WORD: &str = "bare-pingora";
pub const PLAIN: &str = "plain";
/// With the limits on time that sekisho sets, too.
pub const TIMED: &str = "timed";
/// Over TLS, which it ends by itself.
pub const TLS: &str = "tls";

struct Bare {
    tool: String,
    timed: bool,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn request_filter(&self, session: &mut Session, _ctx: &mut ()) -> Result<bool> {
        if self.timed {
            session.set_read_timeout(Some(Duration::from_secs(60)));
            session.set_write_timeout(Some(Duration::from_secs(60)));
        }
        Ok(false)
    }

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        let mut peer = Box::new(HttpPeer::new(&self.tool, false, String::new()));
        if self.timed {
            peer.options.connection_timeout = Some(Duration::from_secs(5));
            peer.options.total_connection_timeout = Some(Duration::from_secs(5));
            peer.options.read_timeout = Some(Duration::from_secs(60));
            peer.options.write_timeout = Some(Duration::from_secs(60));
            peer.options.idle_timeout = Some(Duration::from_secs(60));
        }
        Ok(peer)
    }
}

/// Until it is killed.
pub fn serve(mut words: impl Iterator<Item = String>) {
    let (own, tool) = (words.next().unwrap(), words.next().unwrap());
    let [mode, certificate, key] = [(); 3].map(|()| words.next().unwrap());
    let timed = mode == TIMED;
    let mut server = Server::new_with_opt_and_conf(None, ServerConf { threads: 1, ..ServerConf::default() });
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare { tool, timed });
    if mode == TLS {
        let mut tls = TlsSettings::intermediate(&certificate, &key).unwrap();
        tls.enable_h2();
        service.add_tls_with_settings(&own, None, tls);
    } else {
        service.add_tcp(&own);
    }
    server.add_service(service);
    server.run_forever();
}
