//! Servers that tell how they have read a request: Debian's Tomcat, nginx and PHP, and nginx in front of Tomcat.
//!
//! Each answers with the path that it has understood after all its own decoding and normalising, and with the place that it
//! has chosen for it: a `location`, a URL pattern, a file.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use percent_encoding::percent_decode;

use super::Conn;
use super::tools::{Tool, start_on_free_port};

/// All of them, as long as it lives.
pub struct Readers {
    all: Vec<Reader>,
    _servers: Vec<Tool>,
}

/// One server, in one configuration.
pub struct Reader {
    pub name: &'static str,
    address: SocketAddr,
}

/// What a server has made of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Where it led: nginx's `location`, Tomcat's URL pattern, PHP's file.
    pub place: String,
    pub path: Vec<u8>,
}

impl Readers {
    /// Starts all of them; PHP has a file to run in each of `folders`.
    #[track_caller]
    pub fn start(folders: &[&str]) -> Self {
        let tomcat = tomcat();
        let nginx = nginx(tomcat.address());
        let (router, files) = (php_router(), php_files(folders));
        let reader = |name, tool: &Tool, variety| Reader { name, address: variety_of(tool.address(), variety) };
        let all = vec![
            reader("tomcat", &tomcat, 1),
            reader("tomcat that decodes slashes and takes backslashes", &tomcat, 2),
            reader("nginx", &nginx, 1),
            reader("nginx that writes the path anew for tomcat", &nginx, 2),
            reader("nginx that hands its $uri to tomcat", &nginx, 3),
            reader("php", &router, 1),
            reader("php's choice of a file", &files, 1),
        ];
        Self { all, _servers: vec![nginx, tomcat, router, files] }
    }

    pub fn all(&self) -> &[Reader] {
        &self.all
    }

    /// The one of this name.
    #[track_caller]
    pub fn named(&self, name: &str) -> &Reader {
        self.all.iter().find(|reader| reader.name == name).expect("there is such a reader")
    }
}

impl Reader {
    /// Sends this request, which must have no body, and hands back how it was read; `None`: it was refused.
    #[track_caller]
    pub fn read(&self, request: impl AsRef<[u8]>) -> Option<Reading> {
        let mut conn = Conn::plain(self.address);
        // It may refuse a long one before it has read the whole.
        let _ = conn.try_send(request.as_ref());
        let response = conn.read_response(false)?;
        if response.status != 200 {
            return None;
        }
        let mut parts = response.body.splitn(3, |byte| *byte == b':');
        let mut part = || parts.next().unwrap_or_else(|| panic!("{} says: {}", self.name, response.text()));
        let (form, place, path) = (part(), part(), part());
        let path = if form == b"escaped" { percent_decode(path).collect() } else { path.to_vec() };
        Some(Reading { place: String::from_utf8_lossy(place).into_owned(), path })
    }
}

/// A server's configurations have one port, and loopback addresses of their own.
fn variety_of(address: SocketAddr, variety: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, variety)), address.port())
}

fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

/// Debian's Tomcat with one page for all paths.
#[track_caller]
fn tomcat() -> Tool {
    start_on_free_port("tomcat", |address, folder| {
        let folder = folder.path();
        let connector = |variety, more: &str| {
            let (ip, port) = (variety_of(address, variety).ip(), address.port());
            format!("<Connector address=\"{ip}\" port=\"{port}\" minSpareThreads=\"2\" maxThreads=\"4\" {more}/>")
        };
        let server = format!(
            "<Server port=\"-1\"><Service name=\"Catalina\">\n{}\n{}\n\
             <Engine name=\"Catalina\" defaultHost=\"localhost\">\n\
             <Host name=\"localhost\" appBase=\"apps\" autoDeploy=\"false\" deployOnStartup=\"false\">\n\
             <Context path=\"\" docBase=\"ROOT\"><JarScanner scanClassPath=\"false\"/></Context>\n\
             </Host></Engine></Service></Server>\n",
            connector(1, ""),
            connector(2, "encodedSolidusHandling=\"decode\" allowBackslash=\"true\""),
        );
        write(folder, "conf/server.xml", &server);
        let patterns = ["/", "/public/*", "/admin/*"].map(|pattern| format!("<url-pattern>{pattern}</url-pattern>"));
        let web = format!(
            "<web-app xmlns=\"https://jakarta.ee/xml/ns/jakartaee\" version=\"6.0\" metadata-complete=\"true\">\n\
             <servlet><servlet-name>say</servlet-name>\
             <servlet-class>org.apache.jasper.servlet.JspServlet</servlet-class>\
             <init-param><param-name>jspFile</param-name><param-value>/WEB-INF/say.jsp</param-value></init-param>\
             <load-on-startup>1</load-on-startup></servlet>\n\
             <servlet-mapping><servlet-name>say</servlet-name>{}</servlet-mapping></web-app>\n",
            patterns.concat(),
        );
        write(folder, "apps/ROOT/WEB-INF/web.xml", &web);
        let page = "<%@ page contentType=\"text/plain;charset=UTF-8\" session=\"false\" trimDirectiveWhitespaces=\"true\" %>\
             <% String info = request.getPathInfo();\n\
             String path = request.getServletPath() + (info == null ? \"\" : info);\n\
             path = java.net.URLEncoder.encode(path, \"UTF-8\").replace(\"+\", \"%20\"); %>\
             escaped:<%= request.getHttpServletMapping().getPattern() %>:<%= path %>";
        write(folder, "apps/ROOT/WEB-INF/say.jsp", page);
        std::fs::create_dir(folder.join("temp")).unwrap();
        let mut command = Command::new("java");
        command
            // It lives for seconds: it is to start soon, not to run fast.
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx128m"])
            .args(["-Dcatalina.home=/usr/share/tomcat10", "-Dorg.apache.catalina.startup.EXIT_ON_INIT_FAILURE=true"])
            .arg(format!("-Dcatalina.base={}", folder.display()))
            .arg(format!("-Djava.io.tmpdir={}", folder.join("temp").display()))
            .args(["-cp", "/usr/share/tomcat10/bin/bootstrap.jar:/usr/share/tomcat10/bin/tomcat-juli.jar"])
            .args(["org.apache.catalina.startup.Bootstrap", "start"]);
        command
    })
}

/// Debian's nginx: by itself, and in front of Tomcat in the two ways in which it hands on a path that it has normalised.
#[track_caller]
fn nginx(tomcat: SocketAddr) -> Tool {
    start_on_free_port("nginx", |address, folder| {
        let path = folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {path}/{kind}; "))
            .concat();
        let places = ["/", "/public/", "/admin/", "= /admin"]
            .map(|place| {
                format!("location {place} {{ return 200 \"raw:{}:$uri\"; }}\n", place.trim_start_matches("= "))
            })
            .concat();
        let server =
            |variety, inside: &str| format!("server {{ listen {}; {inside} }}\n", variety_of(address, variety));
        let text = format!(
            "daemon off; pid {path}/pid; error_log stderr crit;\nevents {{}}\nhttp {{ access_log off; {temporary}\n\
             default_type text/plain; large_client_header_buffers 4 32k;\n{}{}{}}}\n",
            server(1, &places),
            server(2, &format!("location / {{ proxy_pass http://{tomcat}/; }}")),
            server(3, &format!("location / {{ proxy_pass http://{tomcat}$uri; }}")),
        );
        write(folder.path(), "nginx.conf", &text);
        let mut command = Command::new("/usr/sbin/nginx");
        command.args(["-e", "stderr", "-p"]).arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
        command
    })
}

/// PHP's own server with one script for all paths.
#[track_caller]
fn php_router() -> Tool {
    start_on_free_port("php with a router", |address, folder| {
        let script =
            "<?php echo 'escaped:router:', rawurlencode($_SERVER['SCRIPT_NAME'] . ($_SERVER['PATH_INFO'] ?? ''));";
        write(folder.path(), "router.php", script);
        // Nothing is in it: a file there would be named instead of the path.
        std::fs::create_dir(folder.path().join("root")).unwrap();
        let mut command = Command::new("php");
        command.args(["-q", "-S", &address.to_string(), "-t"]).arg(folder.path().join("root"));
        command.arg(folder.path().join("router.php"));
        command
    })
}

/// PHP's own server, which looks for a file to run.
#[track_caller]
fn php_files(folders: &[&str]) -> Tool {
    start_on_free_port("php with files", |address, folder| {
        let script = "<?php $file = substr(__FILE__, strlen($_SERVER['DOCUMENT_ROOT']));\n\
             echo 'escaped:', $file, ':', rawurlencode($file);";
        for place in folders.iter().map(|place| place.trim_start_matches('/')).chain([""]) {
            write(&folder.path().join(place), "index.php", script);
        }
        let mut command = Command::new("php");
        command.args(["-q", "-S", &address.to_string(), "-t"]).arg(folder.path());
        command
    })
}
