//! The truth table. Each row: route, request, session, account → what must come of it.

use std::time::Duration;

use super::super::host::Host;
use super::super::identity::AccountSecondFactor;
use super::super::path::RoutePath;
use super::super::requirement::{Policy, SecondFactorDemand};
use super::super::route::{Allow, HostPattern};
use super::*;
use crate::authn::user::{Method, Role};
use crate::id::UserId;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const IDLE: Duration = Duration::from_secs(1_800);
const INTERVAL: Duration = Duration::from_secs(604_800);
const MINUTE: u64 = 60;

/// taro is in `ops`, and asks from 10.0.0.7.
const TABLE: &str = "
access        | allow         | client  | session | policy   | account  | factor | origin  | decision
deny          |               | near    | alive   | required | enrolled | fresh  |         | deny Route
deny          |               | near    | none    | off      | off      | never  |         | deny Route
deny          | user=taro     | near    | alive   | off      | off      | never  |         | deny Route

public        |               | near    | none    | required | enrolled | never  |         | forward nobody
public        |               | near    | idle    | required | enrolled | fresh  |         | forward nobody
public        |               | near    | expired | required | enrolled | fresh  |         | forward nobody
public        |               | near    | alive   | required | enrolled | fresh  |         | forward taro
public        |               | near    | alive   | required | enrolled | stale  |         | forward nobody
public        |               | near    | alive   | required | enrolled | never  |         | forward nobody
public        |               | near    | alive   | required | fresh    | never  |         | forward nobody
public        |               | near    | alive   | off      | off      | never  |         | forward taro
public        | net=10.0.0.0  | near    | none    | off      | off      | never  |         | forward nobody
public        | net=10.0.0.0  | mapped  | none    | off      | off      | never  |         | forward nobody
public        | net=10.0.0.0  | far     | alive   | off      | off      | never  |         | deny Network
public        |               | near    | alive   | off      | off      | never  | own     | forward taro
public        |               | near    | alive   | off      | off      | never  | foreign | forward nobody
public        |               | near    | none    | off      | off      | never  | foreign | forward nobody
public        | user=hanako   | near    | none    | off      | off      | never  |         | challenge Login
public        | user=hanako   | near    | alive   | off      | off      | never  |         | deny NotAllowed
public        | group=ops     | near    | alive   | off      | off      | never  |         | forward taro

authenticated |               | near    | none    | off      | off      | never  |         | challenge Login
authenticated |               | near    | idle    | off      | off      | never  |         | challenge Login
authenticated |               | near    | expired | off      | off      | never  |         | challenge Login
authenticated |               | near    | alive   | off      | off      | never  |         | forward taro
authenticated |               | near    | alive   | off      | enrolled | stale  |         | forward taro
authenticated |               | near    | alive   | per_user | off      | never  |         | forward taro
authenticated |               | near    | alive   | per_user | enrolled | never  |         | challenge SecondFactor
authenticated |               | near    | alive   | per_user | enrolled | stale  |         | challenge SecondFactor
authenticated |               | near    | alive   | per_user | enrolled | fresh  |         | forward taro
authenticated |               | near    | alive   | per_user | fresh    | never  |         | challenge Enrolment
authenticated |               | near    | alive   | required | off      | never  |         | challenge Enrolment
authenticated |               | near    | alive   | required | fresh    | fresh  |         | challenge Enrolment
authenticated |               | near    | alive   | required | enrolled | never  |         | challenge SecondFactor
authenticated |               | near    | alive   | required | enrolled | stale  |         | challenge SecondFactor
authenticated |               | near    | alive   | required | enrolled | ahead  |         | challenge SecondFactor
authenticated |               | near    | alive   | required | enrolled | fresh  |         | forward taro
authenticated |               | near    | idle    | required | enrolled | fresh  |         | challenge Login
authenticated |               | near    | expired | required | enrolled | fresh  |         | challenge Login

authenticated | user=taro     | near    | alive   | off      | off      | never  |         | forward taro
authenticated | user=hanako   | near    | alive   | off      | off      | never  |         | deny NotAllowed
authenticated | user=hanako   | near    | none    | off      | off      | never  |         | challenge Login
authenticated | group=ops     | near    | alive   | off      | off      | never  |         | forward taro
authenticated | group=dev     | near    | alive   | off      | off      | never  |         | deny NotAllowed
authenticated | group=dev     | near    | alive   | required | enrolled | stale  |         | deny NotAllowed
authenticated | user=taro group=ops | near | alive | off     | off      | never  |         | forward taro
authenticated | user=taro group=dev | near | alive | off     | off      | never  |         | deny NotAllowed
authenticated | user=hanako group=ops | near | alive | off   | off      | never  |         | deny NotAllowed
authenticated | net=10.0.0.0  | near    | alive   | off      | off      | never  |         | forward taro
authenticated | net=10.0.0.0  | mapped  | alive   | off      | off      | never  |         | forward taro
authenticated | net=10.0.0.0  | far     | alive   | off      | off      | never  |         | deny Network
authenticated | net=10.0.0.0  | far     | none    | off      | off      | never  |         | deny Network
authenticated | net=10.0.0.0 user=hanako | near | alive | off | off     | never  |         | deny NotAllowed

authenticated |               | near    | alive   | off      | off      | never  | own     | forward taro
authenticated |               | near    | alive   | off      | off      | never  | OWN     | forward taro
authenticated |               | near    | alive   | off      | off      | never  | listed  | forward taro
authenticated |               | near    | alive   | off      | off      | never  | absent  | forward taro
authenticated |               | near    | alive   | off      | off      | never  | foreign | deny WebSocketOrigin
authenticated |               | near    | alive   | off      | off      | never  | null    | deny WebSocketOrigin
authenticated |               | near    | alive   | off      | off      | never  | empty   | deny WebSocketOrigin
authenticated |               | near    | alive   | required | enrolled | stale  | foreign | deny WebSocketOrigin
authenticated |               | near    | alive   | required | enrolled | stale  | own     | challenge SecondFactor
authenticated |               | near    | none    | off      | off      | never  | foreign | challenge Login
";

#[test]
fn every_row_of_the_truth_table_holds() {
    for row in TABLE.lines().filter(|line| !line.is_empty()).skip(1) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [access, allow, client, session, policy, account, factor, origin, expected] = cells.try_into().unwrap();
        let route = route(access, allow, policy);
        let facts = Facts { client: address(client), websocket_origin: websocket_origin(origin) };
        let identity = identity(session, account, factor);
        let decision = match decide(&route, &facts, identity.as_ref(), NOW) {
            Decision::Forward(permit) => {
                assert_eq!(permit.account().is_some(), permit.session().is_some());
                format!("forward {}", permit.account().map_or("nobody", |account| account.login.as_str()))
            }
            Decision::Challenge(challenge) => format!("challenge {challenge:?}"),
            Decision::Deny(denial) => format!("deny {denial:?}"),
        };
        assert_eq!(decision, expected, "{row}");
    }
}

#[test]
fn a_session_ends_at_the_moment_that_its_times_name() {
    let route = route("authenticated", "", "off");
    let facts = Facts { client: address("near"), websocket_origin: None };
    let passes = |expires_at: u64, last_seen: u64| {
        let mut identity = identity("alive", "off", "never").unwrap();
        identity.expires_at = Timestamp::from_millis(expires_at);
        identity.last_seen = Timestamp::from_millis(last_seen);
        matches!(decide(&route, &facts, Some(&identity), NOW), Decision::Forward(_))
    };
    let (now, idle) = (NOW.millis(), 1_800_000);
    assert!(passes(now + 1, now - idle + 1));
    assert!(!passes(now, now));
    assert!(!passes(now + 1, now - idle));
    // A request that read the clock a little later makes nothing older. Behind a clock that was set back nobody knows for how long
    // it was idle.
    assert!(passes(now + 1, now + 5));
    assert!(passes(now + 1, now + 60_000));
    assert!(!passes(now + 1, now + 60_001));
}

/// A token for the route `tool`, or for another one, or one that is over. Each row: route, client, token, origin → what must come of it.
const MACHINES: &str = "
deny          |                | near | good  |         | deny Route
public        |                | near | good  |         | forward token:deploy
public        |                | near | other |         | deny Scope
public        |                | near | over  |         | deny Scope
public        | net=10.0.0.0   | far  | good  |         | deny Network
authenticated |                | near | good  |         | forward token:deploy
authenticated |                | near | other |         | deny Scope
authenticated |                | near | over  |         | deny Scope
authenticated | user=taro      | near | good  |         | forward token:deploy
authenticated | group=ops      | near | good  |         | forward token:deploy
authenticated | group=ops      | near | other |         | deny Scope
authenticated | net=10.0.0.0   | near | good  |         | forward token:deploy
authenticated | net=10.0.0.0   | far  | good  |         | deny Network
authenticated |                | near | good  | own     | forward token:deploy
authenticated |                | near | good  | absent  | forward token:deploy
authenticated |                | near | good  | foreign | deny WebSocketOrigin
public        |                | near | good  | foreign | deny WebSocketOrigin
";

#[test]
fn a_token_is_good_on_its_routes_from_their_networks_until_it_is_over_and_nowhere_else() {
    for row in MACHINES.lines().filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [access, allow, client, token, origin, expected] = cells.try_into().unwrap();
        // As strict a route as there is: a factor that no machine has.
        let route = route(access, allow, "required");
        let facts = Facts { client: address(client), websocket_origin: websocket_origin(origin) };
        let decision = match decide_machine(&route, &facts, &machine(token), NOW) {
            Decision::Forward(permit) => {
                assert!(permit.account().is_none() && permit.session().is_none());
                assert!(matches!(permit.whose(), Some(Whose::Machine(_))));
                format!("forward {}", permit.machine().unwrap().login())
            }
            Decision::Challenge(challenge) => format!("challenge {challenge:?}"),
            Decision::Deny(denial) => format!("deny {denial:?}"),
        };
        assert_eq!(decision, expected, "{row}");
    }
}

#[test]
fn no_machine_has_a_persons_login() {
    assert!(machine("good").login().parse::<crate::authn::user::LoginName>().is_err());
}

fn machine(token: &str) -> Arc<Machine> {
    let (route, expires_at) = match token {
        "good" => ("tool", NOW.plus(IDLE)),
        "other" => ("tool2", NOW.plus(IDLE)),
        "over" => ("tool", NOW),
        other => panic!("{other}"),
    };
    Arc::new(Machine {
        id: MachineId::Token(crate::id::TokenId::from_bytes([3; 10])),
        name: "deploy".to_owned(),
        routes: std::collections::BTreeSet::from([route.to_owned()]),
        since: Timestamp::from_secs(1),
        expires_at,
    })
}

fn route(access: &str, allow: &str, policy: &str) -> Route {
    let mut allowed = Allow::default();
    for word in allow.split_whitespace() {
        match word.split_once('=').unwrap() {
            ("user", login) => drop(allowed.users.insert(login.parse().unwrap())),
            ("group", group) => drop(allowed.groups.insert(group.parse().unwrap())),
            ("net", network) => allowed.networks.push(format!("{network}/24").parse().unwrap()),
            other => panic!("{other:?}"),
        }
    }
    let policy = match policy {
        "off" => Policy::Off,
        "per_user" => Policy::PerUser,
        "required" => Policy::Required,
        other => panic!("{other}"),
    };
    Route {
        name: "tool".to_owned(),
        host: HostPattern::Exact(Host::parse("app.test").unwrap()),
        path: RoutePath::root(),
        methods: Vec::new(),
        access: match access {
            "deny" => Access::Deny,
            "public" => Access::Public,
            "authenticated" => Access::Authenticated,
            other => panic!("{other}"),
        },
        allow: allowed,
        second_factor: SecondFactorDemand { policy, recheck_interval: INTERVAL },
        idle_timeout: IDLE,
        own_idle_timeout: false,
        idle_exempt: Vec::new(),
        allow_encoded_slash: false,
        client_certificates: Vec::new(),
        websocket_origins: vec!["https://listed.test".to_owned()],
    }
}

fn address(client: &str) -> IpAddr {
    let text = match client {
        "near" => "10.0.0.7",
        "mapped" => "::ffff:10.0.0.7",
        "far" => "10.0.1.7",
        other => panic!("{other}"),
    };
    text.parse().unwrap()
}

fn websocket_origin(origin: &str) -> Option<WebSocketOrigin<'_>> {
    let origin = match origin {
        "" => return None,
        "own" => Some("https://app.test"),
        "OWN" => Some("HTTPS://App.Test"),
        "listed" => Some("https://listed.test"),
        "foreign" => Some("https://app.test.evil"),
        "null" => Some("null"),
        "empty" => Some(""),
        "absent" => None,
        other => panic!("{other}"),
    };
    Some(WebSocketOrigin { origin, own: "https://app.test" })
}

fn identity(session: &str, account: &str, factor: &str) -> Option<Identity> {
    let ago = |seconds: u64| Timestamp::from_secs(NOW.secs() - seconds);
    let (expires_at, last_seen) = match session {
        "none" => return None,
        "alive" => (NOW.plus(IDLE), ago(MINUTE)),
        "idle" => (NOW.plus(IDLE), ago(30 * MINUTE)),
        "expired" => (ago(1), ago(MINUTE)),
        other => panic!("{other}"),
    };
    let (switched_on, usable) = match account {
        "off" => (false, false),
        // Switched on, and nothing enrolled yet.
        "fresh" => (true, false),
        "enrolled" => (true, true),
        other => panic!("{other}"),
    };
    let second_factor_at = match factor {
        "never" => None,
        "fresh" => Some(ago(MINUTE)),
        "stale" => Some(ago(INTERVAL.as_secs())),
        "ahead" => Some(NOW.plus(IDLE)),
        other => panic!("{other}"),
    };
    let account = Account {
        id: UserId::from_bytes([1; 10]),
        login: "taro".parse().unwrap(),
        name: "山田太郎".parse().unwrap(),
        email: None,
        groups: vec!["ops".parse().unwrap()],
        role: Role::User,
        second_factor: AccountSecondFactor { switched_on, method: Method::Totp, usable },
    };
    let session = SessionId::from_bytes([2; 10]);
    Some(Identity {
        account: Arc::new(account),
        session,
        begun_at: ago(60 * MINUTE),
        expires_at,
        last_seen,
        second_factor_at,
    })
}
