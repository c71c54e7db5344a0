//! What the page of events is tried with.

use super::{AuditPage, Found, Listing, PER_PAGE};
use crate::authn::session::Origin;
use crate::authn::user::Role;
use crate::clock::Timestamp;
use crate::id::{EventId, SessionId, UserId};
use crate::portal::form::Fields;
use crate::portal::nav::{Nav, Room};
use crate::portal::refusal::Alert;
use crate::portal::view::Samples;
use crate::service::history::{Cursor, Event, Kind, Outcome, SessionMark};

const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";

/// One of each kind.
fn events() -> Vec<Event> {
    let one = |(index, kind): (usize, &Kind)| {
        let number = u8::try_from(index).unwrap();
        let user = UserId::from_bytes([number; 10]);
        let (actor, actor_id) = match index % 4 {
            0 => (Some("hanako.yamada".to_owned()), Some(user)),
            1 => (None, None),
            2 => (Some("cli".to_owned()), None),
            _ => (Some("taro.suzuki".to_owned()), Some(UserId::from_bytes([99; 10]))),
        };
        let address = if index % 3 == 0 { "192.0.2.17" } else { "2001:db8:85a3:8d3:1319:8a2e:370:7348" };
        let client = if index % 4 == 2 {
            Origin::default()
        } else {
            Origin { address: address.to_owned(), user_agent: CHROME.to_owned() }
        };
        Event {
            id: EventId::from_bytes([number; 10]),
            at: Timestamp::from_secs(1_795_339_805 - index as u64 * 7919),
            kind: *kind,
            result: if index % 4 == 1 { Outcome::Failure } else { Outcome::Success },
            user: Some(user).filter(|_| index % 4 != 1),
            login: if index % 4 == 1 { r"admin\u{202e}" } else { "hanako.yamada" }.to_owned(),
            actor,
            actor_id,
            session: (index % 2 == 0).then(|| SessionMark::of(SessionId::from_bytes([number; 10]))),
            client,
            route: (index % 5 == 0).then(|| "shop-admin".to_owned()),
            detail: if index % 4 == 1 { "no such account" } else { "" }.to_owned(),
        }
    };
    Kind::ALL.iter().enumerate().map(one).collect()
}

impl Samples for AuditPage {
    fn samples() -> Vec<(String, Self)> {
        let page = |query: &str, found: Found| {
            let listing = Listing::of(&Fields::of_query(Some(query)));
            let nav = Nav::sample(Role::Viewer, Room::Audit);
            Self::new(nav, "/.sekisho/admin/audit".to_owned(), &listing, found)
        };
        let events = events();
        let cursor = |at: usize| Some(Cursor::of(&events[at]));
        let many: Vec<Event> = events.iter().cycle().take(PER_PAGE).cloned().collect();
        let full = Found { events: many, newer: None, older: cursor(3) };
        let middle = format!("person=hanako.yamada&older={}", cursor(1).unwrap().as_str());
        let between = Found { events: events.clone(), newer: cursor(0), older: None };
        let looked = Found { events: events[..2].to_vec(), newer: None, older: cursor(9) };
        let wrong = page("address=host&from=soon", Found::default());
        vec![
            ("newest".to_owned(), page("", full)),
            ("between".to_owned(), page(&middle, between)),
            ("looked-far".to_owned(), page("q=not+there&event=login&result=failure", looked)),
            ("none-found".to_owned(), page("person=nobody", Found::default())),
            ("empty".to_owned(), page("", Found::default())),
            ("bad-address".to_owned(), Self { alert: Some(Alert::problem("problem-audit-address")), ..wrong }),
            ("bad-time".to_owned(), {
                let wrong = page("from=soon", Found::default());
                Self { alert: Some(Alert::problem("problem-audit-time")), ..wrong }
            }),
        ]
    }
}
