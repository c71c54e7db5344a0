//! A page that has every part that `shell.css` knows, to be looked at and to be judged by tests. Nobody is served it.

use serde::Serialize;

use crate::authn::user::Role;
use crate::portal::nav::{Nav, Room};
use crate::portal::view::{Page, Samples};

/// The page.
#[derive(Debug, Serialize)]
pub struct StyleGuide {
    nav: Nav,
    people: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    login: &'static str,
    name: &'static str,
    tone: &'static str,
}

impl Page for StyleGuide {
    const TEMPLATE: &'static str = "styleguide.html";
}

impl Samples for StyleGuide {
    fn samples() -> Vec<(String, Self)> {
        let people = [
            ("hanako.yamada", "山田 花子", "good"),
            ("a-login-that-is-as-long-as-logins-are-let-be-64-characters-long1", "", "mute"),
            ("bob", "Bob Tanaka", "bad"),
        ];
        let people = people.into_iter().map(|(login, name, tone)| Row { login, name, tone }).collect();
        vec![("all".to_owned(), Self { nav: Nav::sample(Role::Admin, Room::Users), people })]
    }
}
