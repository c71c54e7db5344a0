//! sekisho signs in by the tool's own login form (F37): once for a session, again when the tool's session is over, never in circles, and
//! never by sending twice what may have changed something.

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use crate::harness::{Builder, Client, PASSWORD, Recorded, Recorder, Sekisho, wait_until};

const SECRET: &str = "Tool-secret-91";

/// What the tool knows.
#[derive(Default)]
struct Known {
    /// Who is signed in under which number.
    sessions: Vec<(usize, String)>,
    made: usize,
    /// Logins that were posted.
    posted: usize,
    /// Bodies that were taken on other pages.
    taken: Vec<String>,
    /// Whoever has just been signed in is turned away all the same.
    forgetful: bool,
    /// Where the form leads.
    action: String,
}

/// A tool with a login page: a token against cross-site requests in a cookie and in the form, its session in another cookie.
struct FormTool {
    recorder: Recorder,
    known: Arc<Mutex<Known>>,
}

impl FormTool {
    fn start() -> Self {
        let known = Arc::new(Mutex::new(Known { action: "/login?in".to_owned(), ..Known::default() }));
        let shared = Arc::clone(&known);
        Self {
            recorder: Recorder::with(move |request, stream| answer(&mut shared.lock().unwrap(), request, stream)),
            known,
        }
    }

    fn url(&self) -> String {
        self.recorder.url()
    }

    fn end_sessions(&self) {
        self.known.lock().unwrap().sessions.clear();
    }

    fn posted(&self) -> usize {
        self.known.lock().unwrap().posted
    }
}

fn cookie(request: &Recorded, name: &str) -> Option<String> {
    let line = request.header("cookie").unwrap_or_default().to_owned();
    line.split("; ").find_map(|pair| pair.strip_prefix(&format!("{name}=")).map(str::to_owned))
}

fn field(request: &Recorded, name: &str) -> Option<String> {
    let body = String::from_utf8(request.body.clone()).unwrap();
    url::form_urlencoded::parse(body.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn answer(known: &mut Known, request: &Recorded, stream: &mut TcpStream) -> bool {
    let path = request.target().split('?').next().unwrap().to_owned();
    let who = cookie(request, "sid").and_then(|sid| {
        known.sessions.iter().find(|(number, _)| sid == format!("s{number}")).map(|(_, who)| who.clone())
    });
    let page = |status: &str, more: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\n{more}Content-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let form = |known: &mut Known| {
        known.made += 1;
        let (token, action) = (known.made, &known.action);
        let body = format!(
            "<form action=/search><input name=q></form><form method=post action=\"{action}\">\
             <input type=hidden name=token value=t{token}><input name=username><input type=password name=password>\
             <button name=go value=in>Log in</button></form>"
        );
        page("200 OK", &format!("Set-Cookie: token=t{token}; Path=/\r\n"), &body)
    };
    let said = match (request.line.split(' ').next().unwrap(), path.as_str(), who) {
        ("GET", "/login", _) => form(known),
        ("POST", "/login", _) => {
            known.posted += 1;
            let token = cookie(request, "token");
            let right =
                token.is_some() && token == field(request, "token") && field(request, "go").as_deref() == Some("in");
            let user = field(request, "username").filter(|_| field(request, "password").as_deref() == Some(SECRET));
            match user.filter(|_| right) {
                Some(user) => {
                    known.made += 1;
                    let number = known.made;
                    if !known.forgetful {
                        known.sessions.push((number, user));
                    }
                    page("302 Found", &format!("Location: /\r\nSet-Cookie: sid=s{number}; HttpOnly\r\n"), "")
                }
                None => form(known),
            }
        }
        ("POST", "/slow", _) => {
            // No answer: the connection stays open until its other end goes.
            known.posted += 1;
            return true;
        }
        (_, "/logout", _) => {
            known.sessions.retain(|(number, _)| cookie(request, "sid") != Some(format!("s{number}")));
            page("302 Found", "Location: /login\r\nSet-Cookie: sid=; Max-Age=0\r\n", "")
        }
        (_, "/strict", None) => form(known).replacen("\r\n", "\r\nSet-Cookie: sid=; Max-Age=0\r\n", 1),
        ("POST", "/save", who) => {
            known.taken.push(String::from_utf8(request.body.clone()).unwrap());
            match who {
                Some(who) => page("200 OK", "", &format!("saved for {who}")),
                None => page("302 Found", "Location: /login?next=/save\r\n", ""),
            }
        }
        (_, "/api", None) => page("401 Unauthorized", "WWW-Authenticate: Session\r\n", ""),
        (_, _, None) => page("302 Found", "Location: http://elsewhere.invalid/login/\r\n", "")
            .replace("http://elsewhere.invalid/login/", "/login/?next=x"),
        (_, _, Some(who)) => page("200 OK", "Set-Cookie: seen=1; Path=/\r\n", &format!("hello {who}")),
    };
    stream.write_all(said.as_bytes()).is_ok()
}

fn builder() -> Builder {
    let builder =
        Sekisho::builder().cheap_hashes().set("second_factor.policy", "off").user("alice", &[]).user("bob", &[]);
    std::fs::write(builder.folder().join("password"), SECRET).unwrap();
    builder
}

const FORM: &str = "{name: all, upstream: UPSTREAM, upstream_auth: {form: {page: /login, username: tool-user, password_file: password, \
                    success: {cookie: sid, redirect_to: /}, ended: {status: 401}}}}";

fn served(builder: Builder) -> Sekisho {
    let gate = builder.start();
    gate.secrets().add(SECRET);
    gate
}

fn client(gate: &Sekisho, login: &str) -> Client {
    let mut client = Client::new(gate);
    let page = client.open("/.sekisho/login");
    let form = crate::harness::form_with(&page, "password").with("login", login).with("password", PASSWORD);
    client.send(&form);
    client.get("/");
    assert!(client.cookie("session").is_some());
    client
}

/// Asks for the same at once, from as many connections; their answers.
fn at_once(client: &Client, path: &str, count: usize) -> Vec<(u16, String)> {
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..count)
            .map(|_| {
                let mut copy = client.copy();
                scope.spawn(move || copy.get(path))
            })
            .collect();
        asking.into_iter().map(|one| one.join().unwrap()).map(|answer| (answer.status, answer.text())).collect()
    })
}

#[test]
fn a_person_who_has_signed_in_to_sekisho_is_signed_in_at_the_tool() {
    let tool = FormTool::start();
    let gate = served(builder().route(FORM, &tool.url()));
    assert_eq!(Client::new(&gate).request("GET", "/", "", b"").status, 401);
    assert_eq!(tool.recorder.requests().len(), 0, "nobody is signed in to the tool for nobody");
    let mut alice = client(&gate, "alice");
    let page = alice.request("GET", "/x", "Cookie: sid=s1; token=forged\r\nAuthorization: Basic eDp5\r\n", b"");
    assert_eq!((page.status, page.text().as_str()), (200, "hello tool-user"));
    // The tool's cookies stay on this side, and the browser's on that.
    assert_eq!(page.all("set-cookie"), Vec::<&str>::new());
    let seen = tool.recorder.last();
    assert_eq!(cookie(&seen, "token").as_deref(), Some("t1"), "{:?}", seen.header("cookie"));
    assert_eq!(seen.header("authorization"), None);
    alice.get("/y");
    assert_eq!(cookie(&tool.recorder.last(), "seen").as_deref(), Some("1"), "what the tool sets later is kept as well");
    assert_eq!(tool.posted(), 1);
    // The login page and its form were asked for as this person's requests are: with the same headers, and no other body.
    let posted = tool.recorder.requests().into_iter().find(|seen| seen.line.starts_with("POST")).unwrap();
    assert_eq!(posted.target(), "/login?in");
    assert_eq!(posted.header("remote-user"), Some("alice"));
    assert_eq!(posted.header("host"), tool.recorder.last().header("host"));
    assert!(posted.header("referer").unwrap().ends_with("/login"));

    // Another person has another session there; it ends with sekisho's, and logging out sends the tool nothing.
    let mut bob = client(&gate, "bob");
    assert_eq!(bob.get("/").text(), "hello tool-user");
    assert_eq!(tool.posted(), 2);
    assert_ne!(cookie(&tool.recorder.last(), "sid"), cookie(&posted, "sid"));
    let before = tool.recorder.requests().len();
    alice.sign_out();
    assert_eq!(tool.recorder.requests().len(), before);
    let mut again = client(&gate, "alice");
    assert_eq!(again.get("/").text(), "hello tool-user");
    assert_eq!(tool.posted(), 3);
}

#[test]
fn when_the_tools_session_ends_it_is_signed_in_again_unseen_and_nothing_is_sent_twice() {
    let tool = FormTool::start();
    let gate = served(builder().route(FORM, &tool.url()));
    let mut alice = client(&gate, "alice");
    assert_eq!(alice.get("/").status, 200);
    for path in ["/x", "/api"] {
        tool.end_sessions();
        let page = alice.get(path);
        assert_eq!((page.status, page.text().as_str()), (200, "hello tool-user"), "{path}");
    }
    assert_eq!(tool.posted(), 3);

    tool.end_sessions();
    let page = alice.request("POST", "/save", "Accept: text/html\r\nContent-Type: text/plain\r\n", b"pay=1");
    assert_eq!(page.status, 409);
    assert!(page.text().contains("did not take your input"), "{}", page.text());
    assert_eq!(tool.known.lock().unwrap().taken, ["pay=1"], "sent once");
    // Sent again by the person, it arrives.
    let page = alice.request("POST", "/save", "Content-Type: text/plain\r\n", b"pay=1");
    assert_eq!((page.status, page.text().as_str()), (200, "saved for tool-user"));
    assert_eq!(tool.known.lock().unwrap().taken.len(), 2);
    tool.end_sessions();
    let programme = alice.request("DELETE", "/x", "Accept: application/json\r\n", b"");
    assert_eq!((programme.status, &programme.json()["code"]), (409, &"tool_session_ended".into()));
}

#[test]
fn however_many_find_out_there_is_one_login() {
    let tool = FormTool::start();
    let gate = served(builder().route(FORM, &tool.url()));
    let alice = client(&gate, "alice");
    for logins in 1..=4 {
        for (status, text) in at_once(&alice, "/x", 12) {
            assert_eq!((status, text.as_str()), (200, "hello tool-user"));
        }
        assert_eq!(tool.posted(), logins);
        tool.end_sessions();
    }
}

#[test]
fn what_is_refused_is_not_tried_again_and_again() {
    let tool = FormTool::start();
    let builder = builder();
    std::fs::write(builder.folder().join("password"), "Wrong-secret-2").unwrap();
    let gate = served(builder.route(FORM, &tool.url()));
    let (alice, bob) = (client(&gate, "alice"), client(&gate, "bob"));
    let mut answers = at_once(&alice, "/", 8);
    answers.extend(at_once(&bob, "/", 8));
    assert!(answers.iter().all(|(status, text)| *status == 502 && !text.contains("Wrong-secret")), "{answers:?}");
    assert_eq!(tool.posted(), 1, "as whom everybody would be shown is tried once");
    std::fs::write(gate.path("password"), SECRET).unwrap();
    gate.reload();
    assert_eq!(alice.copy().get("/").status, 200, "another password is tried at once");
    assert_eq!(tool.posted(), 2);

    // A tool that forgets at once whom it has signed in is left alone, and shows its own login form.
    tool.end_sessions();
    tool.known.lock().unwrap().forgetful = true;
    let mut alice = alice.copy();
    for _ in 0..5 {
        let page = alice.get("/");
        assert_eq!((page.status, page.header("location")), (302, Some("/login/?next=x")));
    }
    assert_eq!(tool.posted(), 3);
    tool.known.lock().unwrap().forgetful = false;
    let page = alice.get("/login").text();
    let token = page.split("name=token value=").nth(1).unwrap().split('>').next().unwrap().to_owned();
    let filled = format!("token={token}&username=by-hand&password={SECRET}&go=in");
    let sent =
        alice.request("POST", "/login", "Content-Type: application/x-www-form-urlencoded\r\n", filled.as_bytes());
    assert_eq!((sent.status, sent.all("set-cookie")), (302, vec![]));
    assert_eq!(alice.get("/").text(), "hello by-hand");
}

#[test]
fn whoever_hangs_up_has_the_tool_asked_no_oftener() {
    let tool = FormTool::start();
    let builder = builder();
    std::fs::write(builder.folder().join("password"), "Wrong-secret-2").unwrap();
    let quick =
        FORM.replace("upstream: UPSTREAM,", "upstream: UPSTREAM, timeouts: {connect: 1s, read: 1s, write: 1s},");
    let gate = served(builder.route(&quick, &tool.url()));
    let alice = client(&gate, "alice");
    assert_eq!(tool.posted(), 1);
    // The tool has yet to say whether it takes the next one when the person has gone already.
    "/slow".clone_into(&mut tool.known.lock().unwrap().action);
    std::fs::write(gate.path("password"), "Wrong-secret-3").unwrap();
    gate.reload();
    let mut connection = alice.connect();
    connection.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n{}\r\n", gate.address(), alice.cookie_header()));
    wait_until("the tool has the password", || (tool.posted() == 2).then_some(()));
    drop(connection);
    assert_eq!(alice.copy().get("/").status, 502);
    assert_eq!(tool.posted(), 2);
}

#[test]
fn a_logout_of_the_tool_is_passed_on_and_a_page_that_takes_the_cookie_away_is_not() {
    let tool = FormTool::start();
    let route = FORM.replace("page: /login,", "page: /login, logout: /logout,");
    let gate = served(builder().route(&route, &tool.url()));
    let mut alice = client(&gate, "alice");
    for (method, logins) in [("GET", 1), ("POST", 2)] {
        assert_eq!(alice.get("/x").text(), "hello tool-user");
        let page = alice.request(method, "/logout", "", b"");
        assert_eq!((page.status, page.header("location")), (302, Some("/login")), "{method}");
        assert_eq!(tool.posted(), logins);
    }
    assert_eq!(alice.get("/x").text(), "hello tool-user");
    assert_eq!(tool.posted(), 3);

    // The login page under every address, and the cookie gone.
    tool.end_sessions();
    assert_eq!(alice.get("/strict").text(), "hello tool-user");
    assert_eq!(tool.posted(), 4);
    tool.end_sessions();
    let page = alice.request("POST", "/strict", "", b"x");
    assert!(page.text().contains("<form method=post"), "nothing is sent twice: {}", page.text());
    assert_eq!(alice.get("/strict").text(), "hello tool-user");
    assert_eq!(tool.posted(), 5);
}

#[test]
fn a_machine_is_signed_in_as_everybody_is_and_never_as_somebody() {
    let tool = FormTool::start();
    let own = FORM
        .replace("name: all,", "name: own, path: /own,")
        .replace("username: tool-user, password_file: password", "per_account: true");
    let gate = served(builder().route(FORM, &tool.url()).route(&own, &tool.url()));
    let row = gate.cli_json(&["token", "add", "deploy", "--route", "all", "--route", "own", "--expires", "90d"]);
    let token = row["token"].as_str().unwrap().to_owned();
    gate.secrets().add(&token);
    let shown = format!("Authorization: Bearer {token}\r\n");
    let mut machine = Client::new(&gate);
    for _ in 0..2 {
        let page = machine.request("GET", "/x", &shown, b"");
        assert_eq!((page.status, page.text().as_str()), (200, "hello tool-user"));
    }
    assert_eq!(tool.posted(), 1);
    assert!(tool.recorder.requests().iter().all(|seen| seen.header("authorization").is_none()));
    assert_eq!(machine.request("GET", "/own", &shown, b"").status, 403);
    assert_eq!(tool.posted(), 1);
}

#[test]
fn a_form_that_leads_elsewhere_gets_no_password() {
    let tool = FormTool::start();
    let gate = served(builder().route(FORM, &tool.url()));
    "//evil.example".clone_into(&mut tool.known.lock().unwrap().action);
    let mut alice = client(&gate, "alice");
    for action in ["http://evil.example/login", "//evil.example/login", "javascript:alert(1)", "http://[::1"] {
        action.clone_into(&mut tool.known.lock().unwrap().action);
        assert_eq!(alice.get("/").status, 502, "{action}");
    }
    assert_eq!(tool.posted(), 0);
    assert!(tool.recorder.requests().iter().all(|seen| !String::from_utf8_lossy(&seen.body).contains(SECRET)));
    "/login".clone_into(&mut tool.known.lock().unwrap().action);
    assert_eq!(alice.get("/").status, 200);
}

#[test]
fn each_account_signs_in_with_its_own_and_changes_count_at_once() {
    let tool = FormTool::start();
    let route = FORM.replace("username: tool-user, password_file: password", "per_account: true");
    let gate = served(builder().route(&route, &tool.url()));
    let (mut alice, mut bob) = (client(&gate, "alice"), client(&gate, "bob"));
    assert_eq!(alice.request("GET", "/", "Accept: text/html\r\n", b"").status, 403);
    assert_eq!(tool.recorder.requests().len(), 0);
    let set = |login: &str, name: &str, secret: &str| {
        let all = ["tool-login", "set", login, "--route", "all", "--username", name, "--password-stdin"];
        assert!(gate.cli_with_input(&all, secret).status.success());
    };
    set("alice", "alice-there", SECRET);
    set("bob", "bob-there", SECRET);
    assert_eq!(alice.get("/").text(), "hello alice-there");
    assert_eq!(bob.get("/").text(), "hello bob-there");
    set("bob", "robert", SECRET);
    assert_eq!(bob.get("/").text(), "hello robert");
    assert_eq!(alice.get("/").text(), "hello alice-there");
    assert_eq!(tool.posted(), 3);
    assert!(gate.cli(&["tool-login", "forget", "bob", "--route", "all"]).status.success());
    assert_eq!(bob.get("/").status, 403, "although the tool still knows him");
    set("alice", "alice-there", "Wrong-secret-2");
    assert_eq!(alice.get("/").status, 502);
    assert_eq!(alice.get("/").status, 502);
    assert_eq!(tool.posted(), 4);
    set("alice", "alice-there", SECRET);
    assert_eq!(alice.get("/").text(), "hello alice-there");
}

#[test]
fn a_browser_that_is_to_have_the_tools_cookies_gets_them_and_loses_them_with_the_session() {
    let tool = FormTool::start();
    let route = FORM.replace("ended: {status: 401}}}", "cookies: browser}}, forget_cookies: [sid, token]");
    let gate = served(builder().route(&route, &tool.url()));
    let mut alice = client(&gate, "alice");
    assert!(alice.cookie_header().contains("sid=s") && alice.cookie_header().contains("token=t"));
    assert_eq!(alice.get("/y").text(), "hello tool-user");
    assert_eq!(tool.posted(), 1);
    tool.end_sessions();
    let page = alice.get("/z");
    assert_eq!((page.status, page.text().as_str()), (200, "hello tool-user"));
    let lines = page.all("set-cookie").join("\n");
    assert!(lines.contains("sid=s") && lines.contains("HttpOnly") && lines.contains("token=t"), "{lines}");
    assert_eq!(tool.posted(), 2);
    alice.sign_out();
    assert!(!alice.cookie_header().contains("sid="), "{}", alice.cookie_header());
}
