//! What the tests that speak in raw bytes share: a gateway with a public corner, and short ways to ask and to look.

use crate::harness::{Builder, Conn, Recorder, Response, Sekisho};

/// A page of sekisho's own.
pub struct Page {
    /// Below the portal's path, with `{id}` and `{file}` as they stand in the table.
    pub path: String,
    pub get: bool,
    pub post: bool,
}

/// Every page, out of the product's own table: a new one is asked for without another word.
pub fn pages_of_the_portal() -> Vec<Page> {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/portal.rs");
    let text = std::fs::read_to_string(file).unwrap();
    let table = text.split_once("fn table()").unwrap().1.split_once("\n}\n").unwrap().0;
    let page = |line: &str| {
        let (path, methods) = line.trim().strip_prefix('(')?.split_once(", ")?;
        // The one that stands there by its constant's name.
        let path = if path == "admin::import::PATH" { "/admin/users/import" } else { path.trim_matches('"') };
        let post = methods.contains("post(") || methods.starts_with("Deed::");
        Some(Page { path: path.to_owned(), get: methods.starts_with("get("), post })
    };
    let pages: Vec<Page> = table.lines().filter_map(page).collect();
    assert!(pages.len() > 50 && pages.iter().all(|page| page.path.starts_with('/') && (page.get || page.post)));
    pages
}

/// The id of an account.
pub fn id_of(gate: &Sekisho, login: &str) -> String {
    gate.cli_json(&["user", "show", login])["id"].as_str().expect("an account has an id").to_owned()
}

/// A gateway with `/public/` open and everything else behind the login. Passwords alone sign in, so that these tests
/// need no codes.
pub fn gate(upstream: &Recorder) -> Builder {
    Sekisho::builder()
        .set("second_factor.policy", "off")
        .user("keeper", &["--role", "admin"])
        .route("{name: public, path: /public/, access: public, upstream: UPSTREAM}", &upstream.url())
        .route("{name: tool, path: /, upstream: UPSTREAM}", &upstream.url())
}

/// Sends bytes over a fresh plain connection and reads one answer; `None`: the connection was closed without one.
pub fn ask(gate: &Sekisho, bytes: impl AsRef<[u8]>) -> Option<Response> {
    let mut conn = Conn::plain(gate.address());
    // The gateway may answer and close before it has read everything.
    let _ = conn.try_send(bytes.as_ref());
    conn.read_response(false)
}

/// The same, and the gateway must close the connection after its one answer.
#[track_caller]
pub fn ask_and_see_it_close(gate: &Sekisho, bytes: impl AsRef<[u8]>) -> Option<Response> {
    let mut conn = Conn::plain(gate.address());
    let _ = conn.try_send(bytes.as_ref());
    let response = conn.read_response(false);
    let rest = conn.until_close();
    assert!(rest.is_empty(), "after its answer the gateway said more: {}", String::from_utf8_lossy(&rest));
    response
}

/// The status of an answer, zero for none.
pub fn status(response: &Option<Response>) -> u16 {
    response.as_ref().map_or(0, |response| response.status)
}

/// A GET with this target and further header lines, to the gateway's own address.
pub fn get(gate: &Sekisho, target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", gate.address())
}
