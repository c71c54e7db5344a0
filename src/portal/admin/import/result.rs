//! `GET /admin/users/import/result`: what has become of every row.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::refused::RefusedRow;
use super::{PATH, REFUSED, RESULT, USERS};
use crate::authn::user::Role;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::nav::{Nav, Room};
use crate::portal::person;
use crate::portal::view::Page;
use crate::service::Services;
use crate::service::import::{Outcome, Progress};

/// The page.
#[derive(Debug, Serialize)]
pub struct ResultPage {
    nav: Nav,
    users: String,
    again: String,
    refused_list: String,
    /// This page, to be asked for again.
    here: String,
    /// `None`: it is not over yet.
    done: Option<Done>,
}

/// An import that is over.
#[derive(Debug, Serialize)]
struct Done {
    added: usize,
    changed: usize,
    same: usize,
    refused: Vec<RefusedRow>,
    /// How many links are on their way; `None`: none were asked for.
    links: Option<usize>,
}

impl Page for ResultPage {
    const TEMPLATE: &'static str = "admin/import_result.html";
}

/// `GET /admin/users/import/result`
pub async fn show(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (mut exchange, person) = match person::at_least(Role::Manager, &services, exchange).await {
        Ok(manager) => manager,
        Err(answer) => return Ok(*answer),
    };
    let done = match services.imports.report(&person.actor, exchange.visit.now).await? {
        None => {
            let path = exchange.page_path(PATH);
            return Ok(exchange.redirect(&format!("{path}?done=gone")));
        }
        Some(Progress::Running) => None,
        Some(Progress::Done(report)) => {
            let count = |outcome: Outcome| report.rows.iter().filter(|row| row.outcome == outcome).count();
            Some(Done {
                added: count(Outcome::Added),
                changed: count(Outcome::Changed),
                same: count(Outcome::Same),
                links: report.links,
                refused: report.rows.into_iter().filter_map(RefusedRow::of_report).collect(),
            })
        }
    };
    exchange.here(RESULT, None);
    let page = ResultPage {
        nav: Nav::new(&mut exchange, &person, Room::Users)?,
        users: exchange.page_path(USERS),
        again: exchange.page_path(PATH),
        refused_list: exchange.page_path(REFUSED),
        here: exchange.page_path(RESULT),
        done,
    };
    Ok(exchange.page(StatusCode::OK, &page))
}

#[cfg(test)]
impl crate::portal::view::Samples for ResultPage {
    fn samples() -> Vec<(String, Self)> {
        let page = |done: Option<Done>| Self {
            nav: Nav::sample(Role::Manager, Room::Users),
            users: "/.sekisho/admin/users".to_owned(),
            again: "/.sekisho/admin/users/import".to_owned(),
            refused_list: "/.sekisho/admin/users/import/refused.csv".to_owned(),
            here: "/.sekisho/admin/users/import/result".to_owned(),
            done,
        };
        let some = Done {
            added: 118,
            changed: 2,
            same: 4,
            refused: super::preview::every_fault().split_off(15),
            links: Some(101),
        };
        let all = Done { added: 1, changed: 0, same: 0, refused: vec![], links: None };
        let none = Done { added: 0, changed: 3, same: 0, refused: vec![], links: Some(0) };
        [("some", page(Some(some))), ("all", page(Some(all))), ("none", page(Some(none))), ("running", page(None))]
            .map(|(name, page)| (name.to_owned(), page))
            .into()
    }
}
