//! Debian's nginx with TLS, set up as the documentation says.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::tls::Authority;
use super::{Client, Process, Sekisho, free_address, wait_until};

/// An nginx that runs, on a free port.
pub struct Nginx {
    address: SocketAddr,
    authority: Authority,
    host: &'static str,
    _process: Process,
    _folder: TempDir,
}

/// The blocks of a page of the documentation that are nginx's.
pub fn documented(page: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```nginx\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

impl Nginx {
    /// Serves `site`, which is a documented one but for the addresses of what stands behind; with a certificate for `host`.
    #[track_caller]
    pub fn start(host: &'static str, site: &str) -> Self {
        let (authority, folder) = (Authority::new(), TempDir::with_prefix("sekisho-nginx-").unwrap());
        let files = authority.issue(folder.path(), &[host]);
        for _ in 0..5 {
            let (address, plain) = (free_address(), free_address());
            let site = site
                .replace("listen 443 ssl", &format!("listen {address} ssl"))
                .replace("listen 80", &format!("listen {plain}"))
                .replace("/etc/nginx/tool.example.com.pem", files.certificate.to_str().unwrap())
                .replace("/etc/nginx/tool.example.com.key", files.key.to_str().unwrap());
            let path = folder.path().display();
            let whole = format!(
                "daemon off; pid {path}/pid; error_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n\
                 client_body_temp_path {path}/body; proxy_temp_path {path}/proxy; fastcgi_temp_path {path}/fastcgi; \
                 uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;\n{site}}}\n"
            );
            let file = folder.path().join("nginx.conf");
            std::fs::write(&file, whole).unwrap();
            let mut command = Command::new("/usr/sbin/nginx");
            command.arg("-e").arg("stderr").arg("-p").arg(folder.path()).arg("-c").arg(&file);
            let mut process = Process::start_group("nginx", &mut command);
            let answers = wait_until("nginx answers", || match TcpStream::connect(address).is_ok() {
                true => Some(true),
                false => (!process.is_running()).then_some(false),
            });
            if answers && process.is_running() {
                return Self { address, authority, host, _process: process, _folder: folder };
            }
        }
        panic!("nginx does not start (is its Debian package installed?)");
    }

    /// Where it listens, with TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who has signed its certificate.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A browser that comes this way.
    pub fn client(&self, gate: &Sekisho) -> Client {
        Client::through(gate, self.address, &self.authority, self.host)
    }
}
