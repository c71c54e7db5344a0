use super::super::requirement::Policy;
use super::super::target::RawTarget;
use super::*;

/// `host path METHODS`, where `-` is any host or all methods; an `encoded` behind them admits encoded slashes.
fn route(text: &str) -> Route {
    let mut words = text.split(' ');
    let host = match words.next().unwrap() {
        "-" => HostPattern::Any,
        host => HostPattern::parse(host).unwrap(),
    };
    let path = RoutePath::parse(words.next().unwrap()).unwrap();
    let methods = words.next().filter(|methods| *methods != "-").unwrap_or_default();
    Route {
        name: text.to_owned(),
        host,
        path,
        methods: methods.split_terminator(',').map(|method| method.parse().unwrap()).collect(),
        access: Access::Authenticated,
        allow: Allow::default(),
        second_factor: SecondFactorDemand { policy: Policy::Required, recheck_interval: Duration::from_secs(1) },
        idle_timeout: Duration::from_secs(1),
        own_idle_timeout: false,
        idle_exempt: Vec::new(),
        client_certificates: Vec::new(),
        allow_encoded_slash: words.next() == Some("encoded"),
        websocket_origins: Vec::new(),
    }
}

pub(super) fn table(routes: &[&str]) -> Result<RouteTable, Vec<(usize, usize)>> {
    RouteTable::new(routes.iter().map(|text| route(text)).collect())
        .map_err(|pairs| pairs.iter().map(|pair| (pair.first.0, pair.second.0)).collect())
}

/// The route for `METHOD host path`.
fn find<'a>(table: &'a RouteTable, request: &str) -> Result<Option<&'a str>, BadTarget> {
    let [method, host, path] = request.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
    let target =
        NormalTarget::parse(RawTarget { target: path.as_bytes(), authority: Some(host.as_bytes()), secure: true })?;
    let found = table.find(&target, &method.parse().unwrap())?;
    Ok(found.and_then(|id| table.get(id)).map(|route| route.name.as_str()))
}

#[test]
fn the_most_specific_route_wins() {
    let table = table(&[
        "- /any",
        "- /any/deep/er",
        "*.test /",
        "*.b.test /",
        "a.test /",
        "a.test /shop",
        "a.test /shop/",
        "a.test /shop/admin",
        "a.test /shop/admin GET,POST",
        "a.test /shop/admin POST",
        "a.test /head GET",
        "a.test /head HEAD",
        "only.test /here",
        "10.0.0.1 /",
        "[::1] /",
    ])
    .unwrap();
    for (request, expected) in [
        ("GET a.test /", "a.test /"),
        ("GET a.test /any/deep/er", "a.test /"),
        ("GET a.test /shopping", "a.test /"),
        ("GET a.test /Shop", "a.test /"),
        ("GET a.test /shop", "a.test /shop"),
        ("GET a.test /shop/", "a.test /shop/"),
        ("GET a.test /shop/x", "a.test /shop/"),
        ("GET a.test /shop/administrator", "a.test /shop/"),
        ("PUT a.test /shop/admin", "a.test /shop/admin"),
        ("PUT a.test /shop/admin/", "a.test /shop/admin"),
        ("GET a.test /shop/admin/x/y", "a.test /shop/admin GET,POST"),
        ("HEAD a.test /shop/admin/x/y", "a.test /shop/admin GET,POST"),
        ("POST a.test /shop/admin", "a.test /shop/admin POST"),
        ("get a.test /shop/admin", "a.test /shop/admin"),
        ("GET a.test /head", "a.test /head GET"),
        ("HEAD a.test /head", "a.test /head HEAD"),
        ("POST a.test /head", "a.test /"),
        ("GET A.TEST.:8443 /%73hop/./%61dmin", "a.test /shop/admin GET,POST"),
        ("GET a.test /x/../shop/a;x=y", "a.test /shop/"),
        ("GET b.test /any", "*.test /"),
        ("GET a.b.test /", "*.b.test /"),
        ("GET a.a.b.test /", "*.b.test /"),
        ("GET only.test /here", "only.test /here"),
        ("GET only.test /elsewhere", "*.test /"),
        ("GET test /any", "- /any"),
        ("GET test /any/deep", "- /any"),
        ("GET test /any/deep/er/x", "- /any/deep/er"),
        ("GET 10.0.0.1 /", "10.0.0.1 /"),
        ("GET [0::1] /", "[::1] /"),
    ] {
        assert_eq!(find(&table, request), Ok(Some(expected)), "{request}");
    }
    for request in ["GET test /", "GET other /x", "GET 10.0.0.2 /", "GET [::2] /", "GET atest /"] {
        assert_eq!(find(&table, request), Ok(None), "{request}");
    }
}

#[test]
fn a_host_without_a_route_never_gets_another_hosts() {
    let table = table(&["a.test /", "*.b.test /"]).unwrap();
    for host in ["b.test", "c.test", "xa.test", "a.test.evil", "x-b.test", "xb.test", "localhost", "127.0.0.1"] {
        assert_eq!(find(&table, &format!("GET {host} /")), Ok(None), "{host}");
    }
}

#[test]
fn routes_that_cannot_be_told_apart_are_an_error() {
    for (routes, expected) in [
        (&["- /", "- /"][..], &[(0, 1)][..]),
        (&["a.test /x", "a.test /x", "a.test /x"], &[(0, 1), (0, 2)]),
        (&["a.test /x GET", "A.test. /x GET"], &[(0, 1)]),
        (&["a.test /x GET,POST", "a.test /x POST,GET"], &[(0, 1)]),
        (&["a.test /x GET,POST", "a.test /x POST,PUT"], &[(0, 1)]),
        (&["a.test /x GET,POST", "a.test /x POST,PUT", "a.test /x GET"], &[(0, 1)]),
        (&["a.test /x%41", "a.test //y/../xA"], &[(0, 1)]),
        (&["*.a.test /", "*.A.test /"], &[(0, 1)]),
    ] {
        assert_eq!(table(routes).map(|_| ()), Err(expected.to_vec()), "{routes:?}");
    }
    for routes in [
        &["a.test /x", "a.test /x GET"][..],
        &["a.test /x GET", "a.test /x POST"],
        &["a.test /x GET", "a.test /x HEAD"],
        &["a.test /x GET,POST", "a.test /x POST"],
        &["a.test /x", "b.test /x", "*.test /x", "- /x"],
        &["a.test /x", "a.test /x/"],
    ] {
        assert!(table(routes).is_ok(), "{routes:?}");
    }
}

#[test]
fn a_path_whose_readings_lead_to_different_routes_is_refused() {
    let table = table(&["- /", "- /public", "- /public/private", "- /app/public", "- /files - encoded"]).unwrap();
    for (path, expected) in [
        ("/public;x/a", Err(BadTarget::Parameters)),
        ("/public;x", Err(BadTarget::Parameters)),
        ("/public%3bx", Err(BadTarget::Parameters)),
        ("/public/private;x", Err(BadTarget::Parameters)),
        ("/app;x/public", Err(BadTarget::Parameters)),
        ("/app/public/x;y", Ok(Some("- /app/public"))),
        ("/public/a;x/private", Ok(Some("- /public"))),
        ("/x;y/z", Ok(Some("- /"))),
        ("/public%3fx", Err(BadTarget::Parameters)),
        ("/public%23/a", Err(BadTarget::Parameters)),
        ("/x%3f/a", Ok(Some("- /"))),
        ("/%2570ublic", Err(BadTarget::Parameters)),
        ("/%252570ublic", Err(BadTarget::Parameters)),
        ("/public/100%2525", Ok(Some("- /public"))),
        ("/public%253fx", Err(BadTarget::Parameters)),
        ("/publi%c1%a3", Err(BadTarget::Parameters)),
        ("/%e0%81%b0ublic/x", Err(BadTarget::Parameters)),
        ("/%25c1%25b0ublic/x", Err(BadTarget::Parameters)),
        ("/public%c0%bbx", Err(BadTarget::Parameters)),
        ("/public%c0%bfx", Err(BadTarget::Parameters)),
        ("/public/%c1%a1", Ok(Some("- /public"))),
        ("/x%2fy", Err(BadTarget::EncodedSlash)),
        ("/public%2fa", Err(BadTarget::Parameters)),
        ("/files/a%2Fb", Ok(Some("- /files - encoded"))),
        ("/files/%2F/b", Ok(Some("- /files - encoded"))),
        ("/files%2Fb", Err(BadTarget::Parameters)),
        ("/x%2F../files/b", Err(BadTarget::Path)),
        ("/x%2Fy/../files/b", Err(BadTarget::EncodedSlash)),
        ("/files/../files/a%2Fb", Ok(Some("- /files - encoded"))),
        ("/files/a%2Fb/../../x", Err(BadTarget::EncodedSlash)),
    ] {
        assert_eq!(find(&table, &format!("GET a.test {path}")), expected, "{path}");
    }
}

#[test]
fn a_routes_path_is_read_as_people_write_it() {
    for (text, expected) in [
        ("/", Ok("/")),
        ("/shop", Ok("/shop")),
        ("/shop/", Ok("/shop/")),
        ("//shop/./x/..", Ok("/shop/")),
        ("/受注 管理", Ok("/%E5%8F%97%E6%B3%A8 %E7%AE%A1%E7%90%86")),
        ("/%e5%8f%97", Ok("/%E5%8F%97")),
        ("/a%20b", Ok("/a b")),
        ("/100%25", Ok("/100%25")),
        ("", Err(BadTarget::Form)),
        ("shop", Err(BadTarget::Form)),
        ("/..", Err(BadTarget::Climbs)),
        ("/a?b", Err(BadTarget::Path)),
        ("/a#b", Err(BadTarget::Path)),
        ("/100%", Err(BadTarget::Path)),
        ("/a\\b", Err(BadTarget::Path)),
        ("/a%2Fb", Err(BadTarget::EncodedSlash)),
        ("/a;b", Err(BadTarget::Parameters)),
    ] {
        assert_eq!(RoutePath::parse(text).as_ref().map(RoutePath::as_str).map_err(|error| *error), expected, "{text}");
    }
}

#[test]
fn a_route_path_covers_whole_segments() {
    for (path, covered, others) in [
        ("/", &["/", "/a", "/a/"][..], &[""][..]),
        ("/a", &["/a", "/a/", "/a/b"], &["/", "/ab", "/A", "/b/a"]),
        ("/a/", &["/a/", "/a/b"], &["/a", "/ab"]),
    ] {
        let path = RoutePath::parse(path).unwrap();
        assert!(covered.iter().all(|other| path.covers(other)), "{path}");
        assert!(!others.iter().any(|other| path.covers(other)), "{path}");
    }
}
