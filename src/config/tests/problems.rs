//! One problem at a time, with its place and what is said; then many at once.

use super::*;

/// A snippet, the place and severity, a part of the message or hint.
const TABLE: &[(&str, &str, &str)] = &[
    // Keys
    ("sesion: {}", "1:1: error:", "unknown key `sesion` (did you mean `session`?)"),
    (
        "session: {idle_timout: 5m}",
        "1:11: error:",
        "unknown key `idle_timout` in `session` (did you mean `idle_timeout`?)",
    ),
    ("session:\n  zzz: 1", "2:3: error:", "known here: idle_timeout, max_lifetime, max_per_user"),
    (
        "session:\n  max_per_user: 1\n  max_per_user: 2",
        "3:3: error:",
        "`session.max_per_user` is given twice (it stands on line 2",
    ),
    ("session: {5: 1}", "1:11: error:", "a key must be text"),
    ("session: {<<: {max_per_user: 1}}", "1:11: error:", "merge keys"),
    ("session:", "1:1: error:", "must be a mapping of keys to values, not nothing"),
    ("session: [1]", "1:10: error:", "`session`: must be a mapping of keys to values, not a list"),
    ("session: !x {max_per_user: 1}", "1:10: error:", "tags"),
    ("secrets: {}", "1:1: error:", "`secrets.key_file` is missing (`sekisho key generate FILE` makes one)"),
    ("server: {workers: 1}", "1:1: error:", "`server.listen` or `server.tls` is missing"),
    // Syntax
    ("a: [", "", "did not find expected ',' or ']'"),
    ("a: b: c", "1:5: error:", "mapping values are not allowed"),
    ("a: *nowhere", "1:4: error:", "unknown anchor"),
    // Durations, sizes, numbers, words
    (
        "session: {idle_timeout: 30}",
        "1:25: error:",
        "`session.idle_timeout`: 30 has no unit (write a whole number and a unit",
    ),
    ("session: {idle_timeout: 5 minutes}", "1:25: error:", "\"5 minutes\" is not a duration"),
    ("session: {idle_timeout: 1.5h}", "1:25: error:", "is not a duration"),
    ("session: {idle_timeout: 99999999999999999999d}", "1:25: error:", "is not a duration"),
    ("session: {idle_timeout: 9999999999999999999d}", "1:25: error:", "must be from 1s to 365d"),
    ("session: {idle_timeout: 0s}", "1:25: error:", "\"0s\" must be from 1s to 365d"),
    ("session: {idle_timeout: never}", "1:25: error:", "is not a duration"),
    ("session: {max_per_user: 0}", "1:25: error:", "must be a whole number from 1 to 1000"),
    ("session: {max_per_user: -1}", "1:25: error:", "must be a whole number"),
    ("session: {max_per_user: 1.5}", "1:25: error:", "must be a whole number, not a number"),
    ("session: {max_per_user: \"3\"}", "1:25: error:", "must be a whole number, not text"),
    ("session: {idle_timeout: 61m}", "1:25: warning:", "NIST SP 800-63B-4 §2.2.3"),
    ("session: {max_lifetime: 25h}", "1:25: warning:", "NIST SP 800-63B-4 §2.2.3"),
    ("session: {max_lifetime: 10m}", "1:25: warning:", "never comes to bear"),
    (
        "second_factor: {policy: requird}",
        "1:25: error:",
        "must be one of: required, per_user, off (did you mean `required`?)",
    ),
    ("second_factor: {recheck_interval: 31d}", "1:35: warning:", "NIST SP 800-63B-4 §2.1.3"),
    ("second_factor: {default_method: mail}", "1:33: error:", "need"),
    (
        "mail: {from: a@example.com, smtp: {host: localhost}}\nsecond_factor: {mail_code: {lifetime: 10m}}",
        "1:7: error:",
        "`mail`: needs `portal.url` beside it",
    ),
    (
        "portal: {url: \"https://a.example\"}\nmail: {subject: \"{subjekt}\", from: a@example.com, smtp: {host: localhost}}\nsecond_factor: {mail_code: {lifetime: 10m}}",
        "2:17: error:",
        "has a placeholder that there is not",
    ),
    (
        "portal: {url: \"https://a.example\"}\nmail: {subject: \"{title}\", from: a@example.com, smtp: {host: localhost}}\nsecond_factor: {mail_code: {lifetime: 10m}}",
        "2:17: error:",
        "does not say what a mail is about",
    ),
    ("second_factor: {totp: {digits: 9}}", "1:32: error:", "from 6 to 8"),
    ("second_factor: {totp: {digits: 5}}", "1:32: error:", "from 6 to 8"),
    ("second_factor: {totp: {period: 121s}}", "1:32: error:", "must be from 15s to 2m"),
    ("second_factor: {totp: {skew: 3}}", "1:30: error:", "from 0 to 2"),
    ("second_factor: {totp: {issuer: \"a:b\"}}", "1:32: error:", "colon"),
    ("second_factor: {mail_code: {lifetime: 11m}}", "1:39: warning:", "NIST SP 800-63B-4 §3.1.3.2"),
    ("password: {argon2: {memory: 7MiB}}", "1:29: error:", "must be from 8MiB to 4GiB"),
    ("password: {argon2: {memory: 19456}}", "1:29: error:", "19456 has no unit"),
    ("password: {argon2: {memory: 19MB}}", "1:29: error:", "is not a size"),
    ("password: {argon2: {memory: 16MiB}}", "1:29: warning:", "OWASP"),
    ("password: {min_length: 7}", "1:24: error:", "from 8 to 128"),
    ("password: {min_classes: 5}", "1:25: error:", "from 1 to 4"),
    ("lockout: {max_in_row: 101}", "1:23: error:", "from 1 to 100"),
    ("lockout: {max_in_row: 4}", "1:23: error:", "less than `max_failures`"),
    ("portal: {theme: nowhere}", "1:17: error:", "there is no folder"),
    ("log: {access: no}", "1:15: error:", "must be one of: off, json, combined"),
    // What a tool speaks
    ("routes: [{name: a, upstream: \"http://a\", protocol: h2}]", "1:52: error:", "must be one of: http1, http2"),
    (
        "routes: [{name: a, upstream: \"http://a\", protocol: http2}]",
        "1:52: warning:",
        "no client can reach the route without `server.tls`",
    ),
    (
        "routes: [{name: a, upstream: \"http://a\", protocol: http2, health_check: {path: /}}]",
        "1:52: error:",
        "contradicts `health_check`",
    ),
    // Server
    ("server: {listen: [\":8080\"]}", "1:19: error:", "127.0.0.1:8080 for this machine alone"),
    ("server: {listen: [localhost]}", "1:19: error:", "is not an address to listen on"),
    ("server: {listen: 127.0.0.1:80}", "1:18: error:", "must be a list, not text"),
    (
        "server: {listen: [\"127.0.0.1:0\"], proxy_protocol: true}",
        "1:51: error:",
        "needs `server.trusted_proxies` (name the load balancers' addresses there",
    ),
    ("server: {listen: []}", "1:18: error:", "names no address"),
    ("server: {listen: [\"127.0.0.1:81\", \"127.0.0.1:81\"]}", "1:18: error:", "127.0.0.1:81 is listened on twice"),
    ("server: {listen: [\"0.0.0.0:80\"]}", "1:18: warning:", "nobody can sign in over plain HTTP from another machine"),
    (
        "server: {listen: [\"0.0.0.0:80\"], trusted_proxies: [\"0.0.0.0/0\"]}",
        "1:52: warning:",
        "every client's X-Forwarded-*",
    ),
    (
        "server: {listen: [\"127.0.0.1:0\"], trusted_proxies: [10.0.0.1/8]}",
        "1:53: error:",
        "has bits beside its prefix (the network is 10.0.0.0/8)",
    ),
    ("server: {listen: [\"127.0.0.1:0\"], trusted_proxies: [example.com]}", "1:53: error:", "is not a network"),
    (
        "server: {listen: [\"127.0.0.1:0\"], metrics: \"0.0.0.0:9464\"}",
        "1:44: warning:",
        "everybody who reaches this address can read the metrics",
    ),
    (
        "server: {listen: [\"127.0.0.1:0\"], metrics: \"[2001:db8::1]:9464\"}",
        "1:44: warning:",
        "everybody who reaches this address can read the metrics",
    ),
    (
        "server: {listen: [\"127.0.0.1:81\"], metrics: \"127.0.0.1:81\"}",
        "1:45: error:",
        "127.0.0.1:81 is listened on twice",
    ),
    ("server: {tls: {listen: [\"127.0.0.1:0\"]}}", "1:10: error:", "`server.tls.certificates` is missing"),
    // Store, key file
    ("store: {engine: sled, url: \"postgresql://u:hunter2@h/d\"}", "1:28: error:", "belongs to `engine: postgres`"),
    ("secrets: {key_file: absent.key}", "1:21: error:", "absent.key: there is no such file"),
    // Variables
    ("portal: {title: \"${ABSENT}\"}", "1:17: error:", "the environment variable ABSENT is not set"),
    ("portal: {title: \"${A B}\"}", "1:17: error:", "takes the name of an environment variable"),
    ("portal: {title: \"${PORT\"}", "1:17: error:", "without its `}`"),
    // Portal
    ("portal: {path: /}", "1:16: error:", "would leave no path"),
    ("portal: {path: sekisho}", "1:16: error:", "a path begins with a slash"),
    ("portal: {path: /a/}", "1:16: error:", "must not end with a slash"),
    ("portal: {languages: [ja, fr]}", "1:26: error:", "\"fr\" is not a language"),
    ("portal: {languages: []}", "1:21: error:", "at least one language"),
    ("portal: {languages: [ja, ja]}", "1:21: error:", "twice"),
    ("portal: {title: \"\"}", "1:17: error:", "must not be empty"),
    ("portal: {title: 5}", "1:17: error:", "must be text, not a number (put it in quotes)"),
    ("portal: {url: \"http://example.com\"}", "1:15: error:", "must begin with https://"),
    // Identity
    (
        "identity: {headers: {Remote-User: \"{logn}\"}}",
        "1:35: error:",
        "has an unknown placeholder (the placeholders are {login}",
    ),
    ("identity: {headers: {Remote-User: \"{login\"}}", "1:35: error:", "a brace without its other half"),
    ("identity: {headers: {\"Remote User\": \"x\"}}", "1:22: error:", "is not the name of a header"),
    ("identity: {headers: {Cookie: \"x\"}}", "1:22: error:", "has a meaning of its own"),
    ("identity: {headers: {X-U: a, x_u: b}}", "1:30: error:", "the header is given twice"),
    ("identity: {headers: {X-U: \"a\\r\\nb\"}}", "1:27: error:", "control characters"),
    ("identity: {strip: [\"C*\"]}", "1:20: error:", "would take connection away"),
    ("identity: {strip: [Host]}", "1:20: error:", "would take host away"),
    ("identity: {strip: [\"Content_*\"]}", "1:20: error:", "would take content-encoding away"),
    ("identity: {strip: [\"_*\"]}", "1:20: error:", "is not the name of a header"),
    ("identity: {headers: {Content_Length: \"x\"}}", "1:22: error:", "has a meaning of its own"),
    // Routes
    ("routes: []", "1:9: error:", "must hold at least one route"),
    ("routes: [{upstream: \"http://a\"}]", "1:10: error:", "`routes[0].name` is missing"),
    ("routes: [{name: a}]", "1:10: error:", "`routes[0].upstream` is missing"),
    ("routes: [{name: \"a b\", upstream: \"http://a\"}]", "1:17: error:", "must be 1 to 64 letters"),
    ("routes:\n- {name: a, upstream: \"ftp://a\"}", "2:23: error:", "must be an upstream"),
    ("routes:\n- {name: a, upstream: \"http://a/b\"}", "2:23: error:", "must end after the host and port"),
    ("routes:\n- {name: a, upstream: \"http://a?b\"}", "2:23: error:", "must end after the host and port"),
    ("routes:\n- {name: a, upstream: \"http://u:hunter2@a\"}", "2:23: error:", "must not hold a user name or password"),
    ("routes:\n- {name: a, upstream: \"http://a:99999\"}", "2:23: error:", "must be an upstream"),
    ("routes:\n- {name: a, upstream: \"http://a:\"}", "2:23: error:", "must be an upstream"),
    ("routes:\n- {name: a, upstream: \"unix:tool.sock\"}", "2:23: error:", "names no socket"),
    ("routes:\n- {name: a, upstream: \"http://a\", host: \"a.example:80\"}", "2:41: error:", "no scheme, port or path"),
    ("routes:\n- {name: a, upstream: \"http://a\", host: \"*\"}", "2:41: error:", "leave `host` out"),
    ("routes:\n- {name: a, upstream: \"http://a\", host: \"a.*.example\"}", "2:41: error:", "is not a host name"),
    ("routes:\n- {name: a, upstream: \"http://a\", path: admin}", "2:41: error:", "a path begins with a slash"),
    ("routes:\n- {name: a, upstream: \"http://a\", path: /a/../b}", "2:41: error:", "is not in normal form (write /b)"),
    ("routes:\n- {name: a, upstream: \"http://a\", path: /a//b}", "2:41: error:", "is not in normal form (write /a/b)"),
    ("routes:\n- {name: a, upstream: \"http://a\", path: \"/a?b\"}", "2:41: error:", "no query"),
    ("routes:\n- {name: a, upstream: \"http://a\", path: /.sekisho/x}", "2:41: error:", "/.sekisho is reserved"),
    ("routes:\n- {name: a, upstream: \"http://a\", methods: [get]}", "2:45: error:", "methods are upper case: GET"),
    ("routes:\n- {name: a, upstream: \"http://a\", methods: [CONNECT]}", "2:45: error:", "never forwarded"),
    ("routes:\n- {name: a, upstream: \"http://a\", access: pubic}", "2:43: error:", "did you mean `public`?"),
    ("routes:\n- {name: a, upstream: \"http://a\", access: public}", "2:43: warning:", "lets everybody through"),
    ("routes:\n- {name: a, upstream: \"http://a\", allow: }", "2:35: error:", "not nothing"),
    (
        "routes:\n- {name: a, upstream: \"http://a\", path: /a, access: public, allow: {groups: [ops]}}",
        "2:77: error:",
        "contradicts `access: public`",
    ),
    ("routes:\n- {name: a, upstream: \"http://a\", allow: {groups: ops}}", "2:51: error:", "must be a list, not text"),
    ("routes:\n- {name: a, upstream: \"http://a\", allow: {users: [\"a b\"]}}", "2:51: error:", "1 to 64 letters"),
    (
        "routes:\n- {name: a, upstream: \"http://a\", idle_timeout: 31m}",
        "2:49: error:",
        "may only be shorter than `session.idle_timeout`, 30m",
    ),
    (
        "routes:\n- {name: a, upstream: \"http://a\", path: /a, idle_exempt: [/b]}",
        "2:59: warning:",
        "does not lie below",
    ),
    ("routes:\n- {name: a, upstream: \"http://a\", max_body: 10}", "2:45: error:", "10 has no unit"),
    (
        "routes:\n- {name: a, upstream: \"http://a\", websocket_origins: [\"a.example\"]}",
        "2:55: error:",
        "must be an origin",
    ),
    (
        "routes:\n- {name: a, upstream: \"http://a\", forget_cookies: [__Host-sekisho-session]}",
        "2:52: error:",
        "sekisho's own",
    ),
    (
        "routes:\n- {name: a, upstream: \"http://a\", identity: {headers: {X-None: \"\"}}}",
        "2:56: warning:",
        "nothing is removed",
    ),
    ("routes:\n- {name: a, upstreams: []}", "2:24: error:", "must hold at least one upstream"),
    ("routes:\n- {name: a, upstreams: [{url: \"http://a\", weight: 0}]}", "2:24: error:", "has the weight 0"),
    ("routes:\n- {name: a, upstreams: [{url: \"http://a\", weight: 1001}]}", "2:51: error:", "from 0 to 1000"),
    (
        "routes:\n- {name: a, upstreams: [{url: \"http://a\"}, {url: \"http://a:80\"}]}",
        "2:44: error:",
        "the same upstream is given twice",
    ),
    ("routes:\n- {name: a, upstream: \"http://a\", health_check: {interval: 5s}}", "2:35: error:", "path` is missing"),
    (
        "routes:\n- {name: a, upstream: \"http://a\", health_check: {path: /, interval: 0s}}",
        "2:69: error:",
        "must be from 1s to 1h",
    ),
    (
        "routes:\n- {name: a, upstream: \"http://a\", upstream_tls: {server_name: b}}",
        "2:35: error:",
        "leads to an upstream without TLS (write https:// before the host",
    ),
    (
        "routes:\n- {name: a, upstreams: [{url: \"https://a\"}, {url: \"unix:/a\"}], upstream_tls: {}}",
        "2:64: error:",
        "leads to an upstream without TLS",
    ),
    (
        "routes:\n- {name: a, upstream: \"https://a\", upstream_tls: {server_name: \"a:1\"}}",
        "2:64: error:",
        "is not a host name",
    ),
    (
        "routes:\n- {name: a, upstream: \"https://a\", upstream_tls: {ca: none.pem}}",
        "2:55: error:",
        "there is no such file",
    ),
    (
        "routes:\n- {name: a, upstream: \"http://a\"}\n- {name: b, upstream: \"http://b\", path: /}",
        "3:3: error:",
        "route `b` has the same host and path as `a` on line 2",
    ),
    (
        "routes:\n- {name: a, upstream: \"http://a\"}\n- {name: a, upstream: \"http://b\", path: /b}",
        "3:3: error:",
        "a second route has the name `a` (the first one stands on line 2)",
    ),
    (
        "server: {listen: [\"0.0.0.0:9000\"], trusted_proxies: [10.0.0.1]}\nroutes:\n- {name: a, upstream: \"http://127.0.0.1:9000\"}",
        "3:23: error:",
        "the upstream is sekisho itself",
    ),
];

#[test]
fn each_problem_is_told_with_its_place() {
    let mut wrong = Vec::new();
    for (snippet, place, text) in TABLE {
        let said = said(snippet);
        if !said.iter().any(|line| line.starts_with(place) && line.contains(text)) {
            wrong.push(format!("{snippet}\nshould say {place} … {text}\nbut says {said:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_problem_is_told_once() {
    for (snippet, ..) in TABLE {
        let mut said = said(snippet);
        // That the value would have no effect yet is another thing than that it is wrong.
        said.retain(|line| !line.contains("in this version"));
        assert!(said.len() <= 1, "{snippet}\n{said:#?}");
    }
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let said = said(
        "session: {idle_timeout: 5, max_lifetime: x}\nlog: {accss: off}\nroutes:\n- {upstream: \"ftp://a\", path: b}\n\
         store: {engine: mysql}\npassword: {min_length: \"${NO}\"}\nwhat: 1",
    );
    let places: Vec<_> = said.iter().map(|line| line.split(" error").next().unwrap()).collect();
    assert_eq!(places, ["1:25:", "1:42:", "2:7:", "4:3:", "4:14:", "4:31:", "5:17:", "6:24:", "7:1:"], "{said:#?}");
}

#[test]
fn a_portal_host_asks_for_routes_that_name_theirs_and_for_the_address_that_mails_lead_to() {
    let said_of = |portal: &str, host: &str| {
        said(&format!("portal: {portal}\nroutes: [{{name: a, upstream: \"http://a\"{host}}}]"))
    };
    assert_eq!(said_of("{host: auth.example.com}", ", host: tool.example.com"), [""; 0]);
    assert_eq!(said_of("{host: auth.example.com}", ", host: \"*.example.org\""), [""; 0]);
    let wide = said_of("{host: auth.example.com}", ", host: \"*.example.com\"");
    assert!(wide[0].contains("warning: route `a` takes auth.example.com as well"), "{wide:#?}");
    let kept_out = "\"*.example.com\"}, {name: b, upstream: \"http://a\", access: deny, host: auth.example.com";
    assert_eq!(said_of("{host: auth.example.com}", &format!(", host: {kept_out}")), [""; 0]);
    assert_eq!(said_of("{host: auth.example.com, url: \"https://auth.example.com\"}", ", host: b.test"), [""; 0]);
    assert_eq!(said_of("{host: auth.example.com}", ", access: public, path: /x"), [""; 0]);
    let without = said_of("{host: auth.example.com}", "");
    assert!(without[0].contains("warning: route `a` names no host"), "{without:#?}");
    let other = said_of("{host: auth.example.com, url: \"https://tool.example.com:8443\"}", ", host: tool.example.com");
    assert!(other[0].contains("error: `portal.host`: is another host than that of `url`"), "{other:#?}");
    for wrong in ["\"*.example.com\"", "\"auth.example.com:443\"", "\"https://auth.example.com\""] {
        let said = said_of(&format!("{{host: {wrong}}}"), ", host: tool.example.com");
        assert!(said[0].contains("error: `portal.host`"), "{wrong}: {said:#?}");
    }
}

#[test]
fn a_way_to_sign_in_to_a_tool_is_one_that_can_be_gone() {
    let of =
        |route: &str| said(&format!("routes: [{{name: a, upstream: \"http://127.0.0.1:9\", {route}}}]")).join("\n");
    for right in [
        "upstream_auth: {basic: {username: u, password: \"p: ü\"}}",
        "upstream_auth: {basic: {per_account: true}}",
        "upstream_auth: {bearer: {token: a.b-c}}",
        "upstream_auth: {bearer: {per_account: true}}",
        "upstream_auth: {form: {page: \"/in?a=1\", username: u, password: p, success: {cookie: sid}}}",
        "upstream_auth: {form: {page: /in, per_account: true, success: {status: 302}, cookies: browser}}, forget_cookies: [sid]",
    ] {
        assert_eq!(of(right), "", "{right}");
    }
    for (wrong, expected) in [
        ("upstream_auth: {}", "names no way to sign in"),
        ("upstream_auth: {basic: {username: u}}", "`routes[0].upstream_auth.basic.password` is missing"),
        ("upstream_auth: {basic: {password: p}}", "`routes[0].upstream_auth.basic.username` is missing"),
        ("upstream_auth: {basic: {username: \"a:b\", password: p}}", "must not have a colon"),
        ("upstream_auth: {basic: {username: u, password: \"a\\nb\"}}", "must be one line"),
        ("upstream_auth: {basic: {username: u, password: p, password_file: f}}", "is given as well"),
        ("upstream_auth: {basic: {username: u, per_account: true}}", "`per_account: true` is given as well"),
        ("upstream_auth: {basic: {username: u, password: p}, bearer: {token: t}}", "is given as well"),
        ("upstream_auth: {bearer: {token: \"a b\"}}", "must be visible ASCII"),
        ("upstream_auth: {form: {per_account: true, success: {status: 302}}}", "form.page` is missing"),
        ("upstream_auth: {form: {page: /in, per_account: true}}", "names no sign"),
        ("upstream_auth: {form: {page: in, per_account: true, success: {status: 302}}}", "must be a path on the tool"),
        (
            "upstream_auth: {form: {page: //evil.example/in, per_account: true, success: {status: 302}}}",
            "must be a path",
        ),
        (
            "upstream_auth: {form: {page: /in, per_account: true, success: {status: 302}, cookies: browser}}",
            "name them in `forget_cookies`",
        ),
        (
            "upstream_auth: {form: {page: /in, per_account: true, success: {cookie: a}, cookies: browser}}, forget_cookies: [b]",
            "name them in `forget_cookies`",
        ),
        ("upstream_auth: {form: {page: /in, per_account: true, success: {redirect_to: /in}}}", "cannot be told apart"),
        (
            "protocol: http2, upstream_auth: {form: {page: /in, per_account: true, success: {cookie: a}}}",
            "sent over HTTP/1.1",
        ),
        ("access: public, path: /x, upstream_auth: {bearer: {token: t}}", "this route asks nobody who it is"),
    ] {
        assert!(of(wrong).contains(expected), "{wrong}: {}", of(wrong));
    }
    let elsewhere = said("routes: [{name: a, upstream: \"http://tool.example\", upstream_auth: {bearer: {token: t}}}]");
    assert!(elsewhere.join("").contains("cross the network unencrypted"), "{elsewhere:?}");
}

#[test]
fn names_of_headers_have_no_capitals_over_http2() {
    let route = "routes: [{name: a, upstream: \"http://a\", protocol: http2, header_names: title}]";
    let told = said(route);
    assert!(told.iter().any(|told| told.starts_with("1:73: error: `routes[0].header_names`: contradicts")), "{told:?}");
}

#[test]
fn a_database_is_asked_for_over_tls_and_whoever_wants_none_is_warned() {
    let one = |rest: &str| said(&format!("store: {{engine: postgres, {rest}}}")).join("\n");
    assert_eq!(one("url: \"postgresql://u@localhost/d\""), "");
    assert_eq!(one("url: \"postgresql://u@db.example.com/d\", stale_for: 5s"), "");
    let warned = one("url: \"postgresql://u@db.example.com/d?sslmode=disable\"");
    assert!(
        warned.contains("warning: `store.url`: everything crosses the network to db.example.com in clear"),
        "{warned}"
    );
    assert!(one("url: \"postgresql://u@h/d\", path: /x").contains("belongs to `engine: sled`"));
    assert!(one("url: \"postgresql://u@h/d\", ca: nowhere.pem").contains("error: `store.ca`"));
    assert!(one("stale_for: 5s").contains("`store.url` is missing"));
    assert!(said("store: {path: /x, ca: a.pem}").join("\n").contains("belongs to `engine: postgres`"));
}

#[test]
fn an_audit_file_that_cannot_be_written_is_warned_of() {
    let warned = |snippet: &str| said(snippet).join("\n");
    assert_eq!(warned("audit: {file: audit.jsonl}"), "");
    assert!(warned("audit: {file: none/audit.jsonl}").starts_with("1:15: warning: `audit.file`: there is no folder"));
    assert!(warned("audit: {file: /}").contains("is a folder"));
}

#[test]
fn what_is_right_is_read_as_it_stands() {
    let config = config(
        "server: {listen: [\"127.0.0.1:8080\", \"[::1]:0\"], trusted_proxies: [10.0.0.0/8, \"2001:db8::1\"], workers: 3}\n\
         log: {access: combined, format: text}\n\
         session: {idle_timeout: 5m, max_lifetime: 12h, max_per_user: 2}\n\
         second_factor: {policy: per_user, recheck_interval: 1d, remember_device: never, totp: {issuer: X}}\n\
         password: {argon2: {memory: 64MiB, iterations: 3, parallelism: 4}}\n\
         identity: {headers: {X-Who: \"{{{login}}}, {groups}\"}, encoding: utf8, strip: [X-Old, \"X-Older-*\"]}\n\
         routes:\n\
         - {name: a, host: Shop.Example.COM., path: /a, methods: [GET, POST], upstream: \"https://[2001:db8::1]\",\n   \
            allow: {groups: [ops], users: [Alice], networks: [192.0.2.0/24]}, second_factor: \"off\",\n   \
            recheck_interval: 1h, idle_timeout: 1m, idle_exempt: [/a/poll], identity: {headers: {X-Who: \"\", X-B: b}},\n   \
            timeouts: {read: 5m}, max_body: 10MiB, websocket_origins: [\"HTTPS://B.example:443\"]}\n\
         - {name: b, host: \"*.example.com\", upstream: \"unix:/run/b.sock\", preserve_host: false, header_names: title}\n\
         - {name: c, access: deny, path: /c}\n\
         - {name: d, health_check: {path: /d/health}, upstreams: [\
             {url: \"http://${PORT}.example:${PORT}\", weight: 3}, {url: \"http://9001.example:9002\", weight: 0}]}",
    );
    assert_eq!(config.server.workers, 3);
    assert!(config.trusts("10.1.2.3".parse().unwrap()) && !config.trusts("11.1.2.3".parse().unwrap()));
    assert_eq!(config.password.max_age, None);
    assert_eq!(config.password.argon2, Argon2 { memory_kib: 65_536, iterations: 3, parallelism: 4 });
    let who = HeaderTemplate(vec![
        TemplatePart::Text("{".into()),
        TemplatePart::Login,
        TemplatePart::Text("}, ".into()),
        TemplatePart::Groups,
    ]);
    assert_eq!(config.identity.headers, [(HeaderName::from_static("x-who"), who)]);
    let strip = [Stripped::Name("x-old".to_owned()), Stripped::Beginning("x-older-".to_owned())];
    assert_eq!(config.identity.strip, strip);

    let (id, route) = config.routes.iter().next().unwrap();
    assert_eq!(route.host, crate::authz::HostPattern::Exact(Host::parse("shop.example.com").unwrap()));
    assert_eq!(route.second_factor.policy, crate::authz::Policy::Off);
    assert_eq!(route.second_factor.recheck_interval, Duration::from_secs(3600));
    assert!(route.own_idle_timeout && route.idle_timeout == Duration::from_secs(60));
    assert_eq!(route.websocket_origins, ["https://b.example"]);
    let upstream = config.upstream(id).unwrap();
    let https = Upstream::Https { host: "2001:db8::1".into(), port: 443 };
    assert_eq!(https.to_string(), "https://[2001:db8::1]");
    assert_eq!(upstream.upstreams, [WeightedUpstream { upstream: https, weight: 1 }]);
    assert!(!upstream.tls.as_ref().unwrap().authorities.is_empty(), "the machine's");
    assert_eq!(upstream.identity.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x-b"]);
    assert_eq!(upstream.max_body, Some(10 << 20));
    assert_eq!(upstream.timeouts.connect, Duration::from_secs(5));

    let upstreams: Vec<_> = config.upstreams.iter().skip(1).map(|upstream| upstream.upstreams.clone()).collect();
    let unix = WeightedUpstream { upstream: Upstream::Unix { path: "/run/b.sock".into() }, weight: 1 };
    let http = |weight| WeightedUpstream {
        upstream: Upstream::Http { host: "9001.example".into(), port: 9001 + u16::from(weight == 0) },
        weight,
    };
    assert_eq!(upstreams, [vec![unix], vec![], vec![http(3), http(0)]]);
    let health_check = HealthCheck { path: "/d/health".to_owned(), interval: Duration::from_secs(10) };
    assert_eq!(config.upstreams[3].health_check, Some(health_check));
    let names: Vec<_> = config.upstreams.iter().map(|upstream| upstream.header_names).collect();
    assert_eq!(names, [HeaderNames::Lower, HeaderNames::Title, HeaderNames::Lower, HeaderNames::Lower]);
    let second = config.routes.iter().nth(1).unwrap().1;
    assert!(!second.own_idle_timeout && second.idle_timeout == Duration::from_secs(300));
    assert_eq!(second.second_factor.policy, crate::authz::Policy::PerUser);
}

#[test]
fn aliases_work_and_point_at_where_they_stand() {
    let good = "session: {idle_timeout: &short 5m}\nroutes: [{name: a, upstream: \"http://a\", idle_timeout: *short}]";
    assert!(config(good).routes.iter().all(|(_, route)| route.idle_timeout == Duration::from_secs(300)));
    let bad = "session: &s {max_per_user: 3}\nlockout: *s";
    assert!(
        said(bad).iter().any(|line| line.starts_with("2:10: error: unknown key `max_per_user`")),
        "{:#?}",
        said(bad)
    );
}

#[test]
fn diagnostics_are_rendered_as_text_and_as_json() {
    let problems = load_in(&folder(), &completed("sesion: 1")).unwrap_err();
    let text = diagnostic::render(&problems);
    assert!(
        text.ends_with("sekisho.yaml:1:1: error: unknown key `sesion`\n    hint: did you mean `session`?\n"),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&diagnostic::render_json(&problems)).unwrap();
    assert_eq!(json[0]["severity"], "error");
    assert_eq!((json[0]["line"].as_u64(), json[0]["column"].as_u64()), (Some(1), Some(1)));
    assert_eq!(json[0]["hint"], "did you mean `session`?");
}
