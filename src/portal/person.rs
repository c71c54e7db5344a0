//! Who opens a page of their own, or of administration: signed in, with nothing due, and with the role and from the network
//! that the page asks for. These pages belong to no route; what a route's gate asks is asked here.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::Method;

use super::answers;
use super::csrf::Form;
use super::error::PortalError;
use super::exchange::Exchange;
use super::form::Fields;
use super::message::{self, Kind};
use super::{guard, return_to};
use crate::authn::user::Role;
use crate::authz::Challenge;
use crate::authz::identity::Account;
use crate::authz::requirement::Due;
use crate::secret::Token;
use crate::service::Services;
use crate::service::actor::Actor;
use crate::service::denials::Denied;
use crate::service::session::LiveSession;

/// Somebody signed in, with nothing due.
pub struct Person {
    /// The session cookie's value: what this person's forms are bound to.
    pub token: Token,
    pub live: Arc<LiveSession>,
    pub account: Arc<Account>,
    /// The same for `service`.
    pub actor: Actor,
}

/// The person who opens a page of their own.
///
/// # Errors
/// The way to the login or to the code that is due, or the page that says why not.
pub async fn signed_in(services: &Services, exchange: Exchange) -> Result<(Exchange, Person), Box<Response>> {
    let exchange = guard::page(exchange)?;
    let visit = &exchange.visit;
    let live = visit.session.clone().filter(|live| live.is_alive(visit.now));
    let actor = Actor::of(visit, exchange.user_agent());
    let back = way_back(&exchange);
    let (Some(live), Some(token), Some(actor)) = (live, visit.cookies.session.clone(), actor) else {
        return Err(Box::new(exchange.redirect_to_login(&back, None)));
    };
    let account = live.account();
    match visit.config.portal_demand().due(account.second_factor, live.second_factor_at(), visit.now) {
        Due::Nothing => {}
        due => {
            let challenge = if due == Due::Code { Challenge::SecondFactor } else { Challenge::Enrolment };
            return Err(Box::new(answers::lead_to_page(services, exchange, challenge, &back).await));
        }
    }
    services.sessions.touch_own(&live, visit.now);
    Ok((exchange, Person { token, live, account, actor }))
}

/// The same for a page of administration: with this role at least, from where `portal.admin.networks` allows.
///
/// # Errors
/// As [`signed_in`], or 403.
pub async fn at_least(
    role: Role,
    services: &Services,
    exchange: Exchange,
) -> Result<(Exchange, Person), Box<Response>> {
    let (exchange, person) = signed_in(services, exchange).await?;
    let networks = &exchange.visit.config.portal.admin_networks;
    let client = exchange.visit.client.to_canonical();
    if !networks.is_empty() && !networks.iter().any(|network| network.contains(&client)) {
        services.denials.note(&exchange.visit, exchange.user_agent(), Denied::AdminNetwork).await;
        return Err(Box::new(message::page(exchange, Kind::DeniedNetwork)));
    }
    if person.account.role < role {
        services.denials.note(&exchange.visit, exchange.user_agent(), Denied::AdminRole).await;
        return Err(Box::new(message::page(exchange, Kind::DeniedAccount)));
    }
    Ok((exchange, person))
}

/// A form that a person has posted on a page of their own; `form` is the name that its token was made for.
///
/// # Errors
/// As [`signed_in`], or the page that says that the form is not good any more.
pub async fn form(
    services: &Services,
    exchange: Exchange,
    body: Body,
    form: &'static str,
) -> Result<(Exchange, Person, Fields), Box<Response>> {
    let (exchange, fields) = guard::form(exchange, body).await?;
    let (exchange, person) = signed_in(services, exchange).await?;
    checked(exchange, person, fields, form)
}

/// The same for a form of administration.
///
/// # Errors
/// As [`at_least`] and [`form`].
pub async fn form_at_least(
    role: Role,
    services: &Services,
    exchange: Exchange,
    body: Body,
    form: &'static str,
) -> Result<(Exchange, Person, Fields), Box<Response>> {
    let (exchange, fields) = guard::form(exchange, body).await?;
    let (exchange, person) = at_least(role, services, exchange).await?;
    checked(exchange, person, fields, form)
}

fn checked(
    exchange: Exchange,
    person: Person,
    fields: Fields,
    form: &'static str,
) -> Result<(Exchange, Person, Fields), Box<Response>> {
    if exchange.token_is_valid(Form::Own { form, session: &person.token }, &fields) {
        Ok((exchange, person, fields))
    } else {
        Err(Box::new(message::page(exchange, Kind::FormExpired)))
    }
}

/// Where the way leads after a login that comes in between: a page can be opened again, a form has to be filled in anew.
fn way_back(exchange: &Exchange) -> String {
    match exchange.method {
        Method::GET | Method::HEAD => return_to::of_request(&exchange.visit),
        _ => exchange.page_path("/account"),
    }
}

impl Person {
    /// The token of a form on a page that is being made for this person.
    ///
    /// # Errors
    /// As [`Exchange::form_token`].
    pub fn form_token(&self, exchange: &mut Exchange, form: &'static str) -> Result<String, PortalError> {
        exchange.form_token(Form::Own { form, session: &self.token })
    }
}
