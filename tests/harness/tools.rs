//! Real admin tools from Debian, each in its default state, as upstreams; and two small ones that speak WebSocket and
//! server-sent events.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};

use super::{Client, PATIENCE, Process, Recorder, Sekisho, poll, wait_until};

/// For a tool that has much to load first.
const SLOW_START: Duration = Duration::from_secs(120);

/// A tool that runs.
pub struct Tool {
    process: Process,
    address: SocketAddr,
    folder: TempDir,
}

impl Tool {
    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its own folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process, whose children may do the work.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.process.lines()
    }
}

/// Debian's adminer under PHP's own server.
#[track_caller]
pub fn adminer() -> Tool {
    start_on_free_port("adminer", |address, _| {
        let mut command = Command::new("php");
        command.args(["-S", &address.to_string(), "-t", "/usr/share/adminer", "/usr/share/adminer/adminer.php"]);
        command.env("PHP_CLI_SERVER_WORKERS", "4");
        command
    })
}

/// A tool of one PHP page, under PHP's own server, with its sessions in a folder of its own.
#[track_caller]
pub fn php(page: &str) -> Tool {
    start_on_free_port("php", |address, folder| {
        std::fs::write(folder.path().join("index.php"), page).unwrap();
        let mut command = Command::new("php");
        command.arg("-d").arg(format!("session.save_path={}", folder.path().display()));
        command.args(["-S", &address.to_string(), "-t"]).arg(folder.path()).arg(folder.path().join("index.php"));
        command
    })
}

/// Django's admin pages (PyPI), with the accounts alice and bob and this password.
#[track_caller]
pub fn django_admin(password: &str) -> Tool {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/django_admin");
    let interpreter = INTERPRETER.get_or_init(|| prepared("django_admin"));
    start_on_free_port("django", |address, folder| {
        let mut command = Command::new(interpreter);
        command.arg("-u").arg(tests.join("tool.py")).arg(address.ip().to_string()).arg(address.port().to_string());
        command.arg(folder.path()).env("TOOL_PASSWORD", password);
        command
    })
}

/// What `tests/NAME/prepare` makes at its first use: the interpreter of a Python environment, or where packages are laid out.
#[track_caller]
pub fn prepared(name: &str) -> PathBuf {
    let prepare = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name).join("prepare");
    let output = Command::new(&prepare).output().unwrap_or_else(|error| panic!("{}: {error}", prepare.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} cannot be had: {said}", prepare.display());
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// pgAdmin (PyPI) on a port of its own, which takes who is there from `Remote-User`, as `docs/tools/pgadmin.md` has it.
#[track_caller]
pub fn pgadmin() -> Tool {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    let interpreter = INTERPRETER.get_or_init(|| prepared("pgadmin"));
    let in_folder = |folder: &TempDir, module: &str| {
        let mut command = Command::new(interpreter);
        command.args(["-m", module]).current_dir(folder.path()).env("HOME", folder.path());
        command.env("CONFIG_DISTRO_FILE_PATH", folder.path().join("config.py"));
        command.env("PGADMIN_SETUP_EMAIL", "admin@example.com").env("PGADMIN_SETUP_PASSWORD", "Setup-secret-77");
        command
    };
    start_within(SLOW_START, "pgadmin", |address, folder| {
        let path = |name: &str| folder.path().join(name).display().to_string();
        let text = format!(
            "SERVER_MODE = True\nAUTHENTICATION_SOURCES = ['webserver']\nWEBSERVER_REMOTE_USER = 'Remote-User'\n\
             WEBSERVER_REMOTE_USER_FROM_HEADER = True\nWEBSERVER_TRUSTED_PROXIES = ['127.0.0.1/32']\n\
             MASTER_PASSWORD_REQUIRED = False\nSHOW_GRAVATAR_IMAGE = False\nUPGRADE_CHECK_ENABLED = False\nDEFAULT_SERVER_PORT = {}\n\
             DATA_DIR = {:?}\nLOG_FILE = {:?}\nSQLITE_PATH = {:?}\nSESSION_DB_PATH = {:?}\nSTORAGE_DIR = {:?}\n\
             AZURE_CREDENTIAL_CACHE_DIR = {:?}\nKERBEROS_CCACHE_DIR = {:?}\n",
            address.port(),
            path("data"),
            path("data/log"),
            path("data/pgadmin4.db"),
            path("data/sessions"),
            path("data/storage"),
            path("data/azure"),
            path("data/kerberos"),
        );
        std::fs::write(folder.path().join("config.py"), text).unwrap();
        // Its own database, which takes longer to make than pgAdmin then takes to start.
        let mut setup = in_folder(folder, "pgadmin4.setup");
        let made = setup.arg("setup-db").output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        in_folder(folder, "pgadmin4.pgAdmin4")
    })
}

/// How people reach a JupyterLab.
#[derive(Debug, Clone, Copy)]
pub enum Jupyter<'a> {
    /// By its own port, with its token: as it comes.
    Token(&'a str),
    /// By a socket in its folder, without a token: as `docs/tools/jupyterlab.md` has it.
    Socket,
}

/// JupyterLab with a Python kernel (PyPI), everything of its own in a folder; what people make is in `work` there.
#[track_caller]
pub fn jupyterlab(reached: Jupyter<'_>) -> Tool {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    let interpreter = INTERPRETER.get_or_init(|| prepared("jupyter"));
    let listens = |address, folder: &TempDir| match reached {
        Jupyter::Token(_) => TcpStream::connect(address).is_ok(),
        Jupyter::Socket => UnixStream::connect(folder.path().join("jupyter.sock")).is_ok(),
    };
    start_until("jupyterlab", SLOW_START, listens, |address, folder| {
        std::fs::create_dir(folder.path().join("work")).unwrap();
        let mut command = Command::new(interpreter);
        command.args(["-m", "jupyterlab", "--no-browser", "--allow-root"]).current_dir(folder.path());
        command.arg(format!("--ServerApp.root_dir={}", folder.path().join("work").display()));
        command.env("HOME", folder.path()).env_remove("JUPYTER_TOKEN");
        match reached {
            Jupyter::Token(token) => {
                command.arg(format!("--ServerApp.port={}", address.port()));
                command.args(["--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0"]).env("JUPYTER_TOKEN", token);
            }
            Jupyter::Socket => {
                command.arg(format!("--ServerApp.sock={}", folder.path().join("jupyter.sock").display()));
                command.args(["--ServerApp.sock_mode=0660", "--IdentityProvider.token="]);
                command.arg("--ServerApp.allow_remote_access=True");
            }
        }
        command
    })
}

/// Debian's MariaDB or PostgreSQL, on a socket alone.
pub struct Database {
    socket: PathBuf,
    _process: Process,
    folder: TempDir,
}

impl Database {
    /// Its own folder, with the socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A database server of its own, which is filled with `sql` first.
#[track_caller]
pub fn mariadb(sql: &str) -> Database {
    let folder = TempDir::with_prefix("sekisho-database-").unwrap();
    let socket = folder.path().join("database.sock");
    let mariadb = |more: &[&str]| {
        let mut command = Command::new("/usr/sbin/mariadbd");
        command.args(["--no-defaults", "--user=root", "--skip-networking", "--innodb-buffer-pool-size=8M"]);
        command.arg(format!("--datadir={}", folder.path().join("data").display()));
        command.arg(format!("--tmpdir={}", folder.path().display())).args(more);
        command
    };
    // What Debian's mariadb-install-db does, without the client package that it asks for.
    let mut all = "CREATE DATABASE mysql; \nUSE mysql;\nSET NAMES utf8mb4;\nSET @auth_root_socket=NULL;\n".to_owned();
    for part in ["mysql_system_tables", "mysql_performance_tables", "mysql_system_tables_data"] {
        all += &std::fs::read_to_string(format!("/usr/share/mysql/{part}.sql"))
            .expect("Debian's mariadb-server-core is installed");
    }
    all = format!("{all}\nFLUSH PRIVILEGES;\n{sql}\n");
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("all.sql"), all).unwrap();
    let mut filling = mariadb(&["--bootstrap"]);
    filling.stdin(std::fs::File::open(folder.path().join("all.sql")).unwrap());
    let filled = filling.output().expect("Debian's mariadb-server-core is installed");
    assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
    let mut command = mariadb(&[]);
    command.arg(format!("--socket={}", socket.display()));
    command.arg(format!("--pid-file={}", folder.path().join("pid").display()));
    let database = Process::start("mariadb", &mut command);
    wait_until("the database listens", || UnixStream::connect(&socket).ok());
    Database { socket, _process: database, folder }
}

/// Debian's phpMyAdmin as it comes, under PHP's own server, for this database.
#[track_caller]
pub fn phpmyadmin(database: &Database) -> Tool {
    php_for(database, "phpmyadmin", &["-t", "/usr/share/phpmyadmin"])
}

/// Debian's adminer for this database.
#[track_caller]
pub fn adminer_for(database: &Database) -> Tool {
    php_for(database, "adminer", &["-t", "/usr/share/adminer", "/usr/share/adminer/adminer.php"])
}

#[track_caller]
fn php_for(database: &Database, name: &str, pages: &[&str]) -> Tool {
    start_on_free_port(name, |address, folder| {
        let mut command = Command::new("php");
        command.arg("-d").arg(format!("mysqli.default_socket={}", database.socket.display()));
        command.arg("-d").arg(format!("session.save_path={}", folder.path().display()));
        command.args(["-S", &address.to_string()]).args(pages);
        command.env("PHP_CLI_SERVER_WORKERS", "4");
        command
    })
}

/// Debian's supervisor with its web interface on, and one program that it keeps.
#[track_caller]
pub fn supervisor() -> Tool {
    supervisor_with("")
}

/// The same behind its own HTTP Basic, for this name and password.
#[track_caller]
pub fn supervisor_behind(username: &str, password: &str) -> Tool {
    supervisor_with(&format!("username={username}\npassword={password}\n"))
}

fn supervisor_with(of_http_server: &str) -> Tool {
    start_on_free_port("supervisord", |address, folder| {
        let file = folder.path().join("supervisord.conf");
        let path = folder.path().display();
        let text = format!(
            "[supervisord]\nnodaemon=true\nuser={user}\nlogfile={path}/supervisord.log\npidfile={path}/supervisord.pid\n\
             childlogdir={path}\n\n[inet_http_server]\nport={address}\n{of_http_server}\n[rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n\
             [program:keeper]\ncommand=/bin/cat\n",
            user = rustix::process::getuid().as_raw(),
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("supervisord");
        command.arg("-c").arg(file);
        command
    })
}

/// A program cannot be handed a socket, so a port is found free and may be taken before it is used: then another is tried.
#[track_caller]
pub fn start_on_free_port(name: &str, command: impl Fn(SocketAddr, &TempDir) -> Command) -> Tool {
    start_within(PATIENCE, name, command)
}

/// The same for a tool that takes its time before it listens.
#[track_caller]
pub fn start_within(patience: Duration, name: &str, command: impl Fn(SocketAddr, &TempDir) -> Command) -> Tool {
    start_until(name, patience, |address, _| TcpStream::connect(address).is_ok(), command)
}

/// The same for a tool that may listen elsewhere.
#[track_caller]
fn start_until(
    name: &str,
    patience: Duration,
    listens: impl Fn(SocketAddr, &TempDir) -> bool,
    command: impl Fn(SocketAddr, &TempDir) -> Command,
) -> Tool {
    for _ in 0..5 {
        let folder = TempDir::with_prefix("sekisho-tool-").unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut process = Process::start_group(name, &mut command(address, &folder));
        let answers = poll(patience, || match listens(address, &folder) {
            true => Some(true),
            false => (!process.is_running()).then_some(false),
        });
        let answers = answers.unwrap_or_else(|| panic!("{name} does not answer on {address} within {patience:?}"));
        if answers && process.is_running() {
            return Tool { process, address, folder };
        }
    }
    panic!("{name} does not start (is its Debian package installed?)");
}

/// A WebSocket server that sends back every message, and counts the connections that are open.
pub struct WebSocketEcho {
    address: SocketAddr,
    open: Arc<AtomicUsize>,
    sockets: Arc<Mutex<Vec<TcpStream>>>,
}

impl WebSocketEcho {
    /// On a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let echo = Self { address: listener.local_addr().unwrap(), open: Arc::default(), sockets: Arc::default() };
        let (open, sockets) = (Arc::clone(&echo.open), Arc::clone(&echo.sockets));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                sockets.lock().unwrap().extend(stream.try_clone());
                let open = Arc::clone(&open);
                std::thread::spawn(move || {
                    let Ok(mut socket) = tungstenite::accept(stream) else { return };
                    open.fetch_add(1, Ordering::SeqCst);
                    while let Ok(message) = socket.read() {
                        if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
                            break;
                        }
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        echo
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many WebSockets are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for WebSocketEcho {
    fn drop(&mut self) {
        for socket in self.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// An upstream whose every answer is an event stream: one event at once, and one more whenever it is told.
pub struct EventStream {
    recorder: Recorder,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl EventStream {
    /// On a free port.
    pub fn start() -> Self {
        let streams: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let kept = Arc::clone(&streams);
        let recorder = Recorder::with(move |_, stream| {
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\r\ndata: first\n\n";
            kept.lock().unwrap().extend(stream.try_clone());
            stream.write_all(head.as_bytes()).is_ok()
        });
        Self { recorder, streams }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        self.recorder.url()
    }

    /// Sends an event on every open stream.
    pub fn say(&self, words: &str) {
        for stream in self.streams.lock().unwrap().iter_mut() {
            let _ = write!(stream, "data: {words}\n\n");
        }
    }
}

/// A WebSocket of this client's, through the gateway to a [`WebSocketEcho`].
pub fn websocket(gate: &Sekisho, client: &Client) -> tungstenite::WebSocket<TcpStream> {
    let stream = TcpStream::connect(gate.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut request = format!("ws://{}/ticks", gate.address()).into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("origin", format!("http://{}", gate.address()).parse().unwrap());
    headers.insert("cookie", client.cookie_header().trim().trim_start_matches("Cookie: ").parse().unwrap());
    tungstenite::client(request, stream).expect("the WebSocket opens").0
}
