//! The access log (`log.access`), as the programmes read it that are made for such logs.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use crate::harness::{Client, Conn, PASSWORD, Recorder, Sekisho, h2};
use crate::wire::gate;

const FIELDS: [&str; 17] = [
    "time",
    "request",
    "trace",
    "client",
    "login",
    "route",
    "method",
    "host",
    "path",
    "status",
    "bytes",
    "duration_ms",
    "upstream_ms",
    "user_agent",
    "referer",
    "protocol",
    "tls",
];
/// What would end a line, leave its quotes, or steer the terminal that shows it.
const AGENT: &[u8] = b"x\" 200 1 \"\\ \t\x9b31m \xe2\x80\xae \\x41";

fn send(gate: &Sekisho, bytes: &[u8]) -> u16 {
    let mut conn = Conn::plain(gate.address());
    let _ = conn.try_send(bytes);
    conn.read_response(false).map_or(0, |answer| answer.status)
}

fn request(path: &str) -> Vec<u8> {
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: app.test\r\nReferer: https://app.test/a?token=hidden#hidden\r\nUser-Agent: "
    );
    [head.as_bytes(), AGENT, b"\r\n\r\n"].concat()
}

#[test]
fn json_lines_say_what_people_on_call_ask_for() {
    let (upstream, dead) = (Recorder::ok(), Recorder::dies_in_its_body());
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}", nowhere.local_addr().unwrap());
    drop(nowhere);
    let mut gate = gate(&upstream)
        .route("{name: gone, path: /gone, access: public, upstream: UPSTREAM}", &gone)
        .route("{name: dead, path: /dead, access: public, upstream: UPSTREAM}", &dead.url())
        .tls(&["app.test"])
        .set("server.tls.redirect_http", "false")
        .start();
    let before = gate.unix_now();
    assert_eq!(send(&gate, &request("/public/a%22b?q=hidden")), 200);
    assert_eq!(send(&gate, &request("/gone")), 502);
    assert_eq!(send(&gate, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
    assert_eq!(send(&gate, b"GET /%zz HTTP/1.1\r\nHost: app.test\r\n\r\n"), 400);
    let over_h2 = http::Request::get("https://app.test/public/h2?q=hidden").body(bytes::Bytes::new()).unwrap();
    assert_eq!(h2::request(&gate, "app.test", over_h2).status, 200);
    send(&gate, &request("/dead"));

    let lines: Vec<Json> = gate.access_log(6).iter().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in &lines {
        let names: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = FIELDS;
        expected.sort_unstable();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected, "{line}");
        assert!(!line.to_string().contains("hidden"), "{line}");
        let time = line["time"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.len() == "2026-11-22T03:24:42.045Z".len(), "{time}");
        assert!(time.parse::<jiff::Timestamp>().unwrap().as_second() >= i64::try_from(before).unwrap() - 1);
    }
    let by_path =
        |path: &str| lines.iter().find(|line| line["path"] == path).unwrap_or_else(|| panic!("{path}: {lines:?}"));
    let plain = by_path("/public/a%22b");
    assert_eq!((&plain["status"], &plain["bytes"], &plain["method"]), (&200.into(), &2.into(), &"GET".into()));
    assert_eq!(
        (&plain["route"], &plain["host"], &plain["client"]),
        (&"public".into(), &"app.test".into(), &"127.0.0.1".into())
    );
    assert_eq!((&plain["login"], &plain["tls"], &plain["protocol"]), (&Json::Null, &Json::Null, &"HTTP/1.1".into()));
    assert_eq!(plain["referer"], "https://app.test/a");
    let agent = plain["user_agent"].as_str().unwrap();
    assert!(
        agent.starts_with("x\" 200 1 \"\\ ") && !agent.chars().any(|c| c.is_control() || c == '\u{202e}'),
        "{agent:?}"
    );
    let (whole, upstream_part) = (plain["duration_ms"].as_f64().unwrap(), plain["upstream_ms"].as_f64().unwrap());
    assert!(0.0 < upstream_part && upstream_part <= whole, "{plain}");
    let seen = upstream.requests().into_iter().find(|seen| seen.target() == "/public/a%22b?q=hidden").unwrap();
    assert_eq!(plain["request"].as_str(), seen.header("x-request-id"), "the tool's log can be matched with it");

    let secure = by_path("/public/h2");
    assert_eq!((&secure["protocol"], &secure["tls"]), (&"HTTP/2.0".into(), &"1.3".into()));
    let gone = by_path("/gone");
    assert_eq!((&gone["status"], &gone["upstream_ms"]), (&502.into(), &Json::Null));
    assert_eq!(by_path("/dead")["status"], 200, "the answer had begun");
    let refused: Vec<_> = lines.iter().filter(|line| line["path"].is_null()).collect();
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|line| line["status"] == 400 && line["client"] == "127.0.0.1"), "{refused:?}");

    // The gateway's own line about the same request has its names.
    let logs = gate.logs();
    let warned = logs.iter().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let mut warned = warned.filter(|line| line["fields"]["message"] == "a request could not be served");
    let warned = warned.find(|line| line["fields"]["route"] == "gone").expect("it is told");
    assert_eq!((&warned["request"], &warned["trace"]), (&gone["request"], &gone["trace"]));
    gate.stop();
}

#[test]
fn whoever_is_signed_in_is_named() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).user("alice", &[]).start();
    let mut alice = Client::new(&gate);
    let login = alice.open("/orders");
    alice.fill_password(&login, "alice", PASSWORD);
    alice.get("/.sekisho/account");
    let lines = crate::harness::wait_until("their lines", || {
        let lines = gate.access_log(0);
        let lines: Vec<Json> = lines.iter().map(|line| serde_json::from_str(line).expect(line)).collect();
        lines.iter().any(|line| line["path"] == "/.sekisho/account").then_some(lines)
    });
    let login_of = |path: &str, status: u16| {
        lines.iter().find(|line| line["path"] == path && line["status"] == status).map(|line| line["login"].clone())
    };
    assert_eq!(login_of("/orders", 303), Some(Json::Null));
    assert_eq!(login_of("/orders", 200), Some("alice".into()));
    assert_eq!(login_of("/.sekisho/account", 200), Some("alice".into()));
    assert!(gate.logs().iter().all(|line| !line.contains("return_to")), "no query anywhere");
}

#[test]
fn the_combined_format_is_read_by_the_tools_made_for_it() {
    let upstream = Recorder::ok();
    let gate = gate(&upstream).set("log.access", "combined").start();
    assert_eq!(send(&gate, &request("/public/a%22b?q=hidden")), 200);
    assert_eq!(send(&gate, b"GET /public/plain HTTP/1.1\r\nHost: app.test\r\n\r\n"), 200);
    assert_eq!(
        send(&gate, b"POST /public/none HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\nUser-Agent: curl/8\r\n\r\n"),
        200
    );
    assert_eq!(send(&gate, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
    // Each is written when its answer is through, which need not be in the order of the requests.
    let mut lines = gate.access_log(4);
    lines.sort_by_key(|line| line.split_once('"').map(|(_, rest)| rest.to_owned()));
    let text = lines.join("\n") + "\n";
    assert_eq!(lines.len(), 4, "{text}");
    assert!(!text.contains("hidden") && text.is_ascii(), "{text}");
    let date = date_of(&lines[1]);
    assert!(date.ends_with(" +0000") && jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", date).is_ok(), "{date}");
    assert!(
        lines[1].ends_with("\"https://app.test/a\" \"x\\x22 200 1 \\x22\\x5C \\x09\\x9B31m \\xE2\\x80\\xAE \\x5Cx41\""),
        "{text}"
    );

    let by_column = filter(Command::new("awk").arg("{print $1, $2, $3, $6, $7, $9, $10}"), &text);
    let expected = [
        "127.0.0.1 - - \"-\" 400 \"-\" \"-\"",
        "127.0.0.1 - - \"GET /public/a%22b 200 2",
        "127.0.0.1 - - \"GET /public/plain 200 2",
        "127.0.0.1 - - \"POST /public/none 200 2",
    ];
    assert_eq!(by_column.lines().collect::<Vec<_>>(), expected);

    let report = filter(
        Command::new("goaccess").args(["--log-format=COMBINED", "--no-global-config", "--tz=UTC", "-o", "json", "-"]),
        &lines[1..].iter().map(|line| format!("{line}\n")).collect::<String>(),
    );
    let report: Json = serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}: {report}"));
    let general = &report["general"];
    assert_eq!((&general["valid_requests"], &general["failed_requests"]), (&3.into(), &0.into()), "{general}");
}

fn date_of(line: &str) -> &str {
    line.split_once('[').and_then(|(_, rest)| rest.split_once(']')).expect("a date in brackets").0
}

fn filter(command: &mut Command, input: &str) -> String {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
