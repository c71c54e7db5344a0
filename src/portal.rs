//! sekisho's own pages: an axum router, called in process by the gateway with a settled [`Visit`].
//!
//! A page is one file here and one template. It reads the [`exchange::Exchange`], asks a service, and answers with a typed
//! context ([`view::Page`]); words live in `assets/locales`. What is right about a login is `service`'s business; what is
//! right about a form (where it comes from, its token, its fields) is settled here, before a service is asked.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`exchange`] | one request and what its answer will carry |
//! | [`guard`] [`form`] [`csrf`] [`return_to`] [`cookie`] | what is believed of a request; what is set |
//! | [`view`] [`theme`] [`headers`] [`assets`] [`qr`] [`moment`] | how an answer is made |
//! | [`answers`] [`negotiate`] | what the gateway says through the portal: challenge, denial, failure |
//! | [`api`] [`problem`] | logging in for programmes; refusals that they understand |
//! | [`person`] [`nav`] [`account`] [`admin`] | who may open a page of their own; the bar above it; one's own settings; other people's accounts |
//! | [`sign_on`] | one login for several hosts: which pages are where, and the way between them |
//! | [`login`] [`second_factor`] [`recovery`] [`enrol`] [`recovery_codes`] [`welcome`] [`password`] [`held`] [`logout`] [`landing`] | the pages |

mod account;
mod admin;
mod answers;
mod api;
mod assets;
mod browser_name;
mod cookie;
mod csrf;
mod enrol;
mod error;
mod exchange;
mod form;
mod guard;
mod headers;
mod held;
mod jwks;
mod landing;
mod login;
mod logout;
mod message;
mod moment;
mod nav;
mod negotiate;
mod password;
mod pending;
mod person;
mod problem;
mod qr;
mod recovery;
mod recovery_codes;
mod refusal;
mod return_to;
mod second_factor;
mod sign_on;
mod span;
mod step;
pub mod theme;
mod tool_cookies;
mod upload;
mod view;
mod welcome;

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::routing::{MethodRouter, get, post};
use http::{Request, Response, StatusCode, Uri};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use self::admin::user::deed::Deed;
use self::error::Trouble;
use crate::service::Services;
use crate::service::visit::{Ask, Visit};

/// For the fuzz targets (`fuzz/`) alone.
#[cfg(fuzzing)]
pub use self::return_to::path as return_to;

/// The portal as the gateway sees it. The request carries a [`Visit`] as an extension.
pub type PortalService = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;

/// Builds the portal.
#[must_use]
pub fn service(services: Services) -> PortalService {
    let pages = pages(services.clone());
    BoxCloneSyncService::new(tower::service_fn(move |request| {
        let (pages, services) = (pages.clone(), services.clone());
        async move { Ok(answer(pages, services, request).await) }
    }))
}

/// Every page: its path below `portal.path`, and what is done there. A test has a row for each path and method.
fn table() -> Vec<(&'static str, MethodRouter<Services>)> {
    vec![
        ("/", get(landing::show)),
        ("/login", get(login::show).post(login::submit)),
        ("/second-factor", get(second_factor::show).post(second_factor::submit)),
        ("/second-factor/resend", post(second_factor::resend)),
        ("/second-factor/delivery", get(second_factor::delivery)),
        ("/second-factor/recovery", get(recovery::show).post(recovery::submit)),
        ("/enrol", get(enrol::show).post(enrol::submit)),
        ("/enrol/cancel", post(enrol::cancel)),
        ("/enrol/recovery-codes", get(recovery_codes::show).post(recovery_codes::submit)),
        ("/enrol/recovery-codes.txt", get(recovery_codes::download)),
        ("/enrol/again", post(welcome::again)),
        ("/welcome", get(welcome::show)),
        ("/password", get(password::show).post(password::submit)),
        ("/password/forgot", get(password::forgot::show).post(password::forgot::submit)),
        ("/password/reset", get(password::reset::show).post(password::reset::submit)),
        ("/held/{id}", get(held::show).post(held::submit)),
        ("/logout", get(logout::ask).post(logout::submit)),
        ("/sign-on", get(sign_on::show)),
        ("/handoff", get(sign_on::redeem)),
        ("/api/login", post(api::login)),
        ("/api/second-factor", post(api::second_factor)),
        ("/api/logout", post(api::logout)),
        ("/api/session", get(api::session)),
        ("/account", get(account::overview::show)),
        ("/account/confirm", get(account::confirm::show).post(account::confirm::submit)),
        ("/account/second-factor", get(account::second_factor::show)),
        ("/account/second-factor/app", post(account::second_factor::app)),
        ("/account/second-factor/on", post(account::second_factor::on)),
        ("/account/second-factor/remove", post(account::second_factor::remove)),
        ("/account/recovery-codes", get(account::recovery_codes::show).post(account::recovery_codes::renew)),
        ("/account/email", get(account::email::show).post(account::email::begin)),
        ("/account/email/confirm", post(account::email::prove)),
        ("/account/email/resend", post(account::email::resend)),
        ("/account/email/cancel", post(account::email::cancel)),
        ("/account/devices", get(account::devices::show)),
        ("/account/devices/forget", post(account::devices::forget)),
        ("/account/devices/forget-all", post(account::devices::forget_all)),
        ("/account/tools", get(account::tools::show).post(account::tools::set)),
        ("/account/tools/forget", post(account::tools::forget)),
        ("/account/sessions", get(account::sessions::show)),
        ("/account/sessions/end", post(account::sessions::end)),
        ("/account/sessions/end-others", post(account::sessions::end_others)),
        ("/admin/sessions", get(admin::sessions::show)),
        ("/admin/sessions/end", post(admin::sessions::end)),
        ("/admin/audit", get(admin::audit::show)),
        ("/admin/audit.jsonl", get(admin::audit::export::download)),
        ("/admin/users", get(admin::users::show).post(admin::users::bulk::submit)),
        ("/admin/users.csv", get(admin::users::export::download)),
        ("/admin/users/new", get(admin::user::new::show).post(admin::user::new::submit)),
        ("/admin/users/{id}", get(admin::user::show)),
        ("/admin/users/{id}/edit", get(admin::user::edit::show).post(admin::user::edit::submit)),
        ("/admin/users/{id}/disable", Deed::Disable.page()),
        ("/admin/users/{id}/enable", Deed::Enable.page()),
        ("/admin/users/{id}/unlock", Deed::Unlock.page()),
        ("/admin/users/{id}/reset-second-factor", Deed::ResetSecondFactor.page()),
        ("/admin/users/{id}/send-link", Deed::SendLink.page()),
        ("/admin/users/{id}/end-session", Deed::EndSession.page()),
        ("/admin/users/{id}/end-sessions", Deed::EndSessions.page()),
        ("/admin/users/{id}/forget-device", Deed::ForgetDevice.page()),
        ("/admin/users/{id}/forget-devices", Deed::ForgetDevices.page()),
        ("/admin/users/{id}/tool-login", Deed::SetToolLogin.page()),
        ("/admin/users/{id}/forget-tool-login", Deed::ForgetToolLogin.page()),
        ("/admin/users/{id}/delete", Deed::Delete.page()),
        ("/admin", get(admin::overview::show)),
        (admin::import::PATH, get(admin::import::show).post(admin::import::submit)),
        ("/admin/users/import/preview", get(admin::import::preview::show).post(admin::import::preview::submit)),
        ("/admin/users/import/result", get(admin::import::result::show)),
        ("/admin/users/import/refused.csv", get(admin::import::refused::download)),
        ("/jwks.json", get(jwks::show)),
        ("/static/{file}", get(assets::serve)),
    ]
}

fn pages(services: Services) -> Router {
    let pages = table().into_iter().fold(Router::new(), |pages, (path, page)| pages.route(path, page));
    pages.method_not_allowed_fallback(message::method_not_allowed).fallback(message::not_found).with_state(services)
}

async fn answer(pages: Router, services: Services, mut request: Request<Body>) -> Response<Body> {
    let Some(visit) = request.extensions().get::<Visit>().cloned() else {
        tracing::error!("a request reached the portal without having been settled");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    };
    let response = match visit.ask {
        Ask::Page => {
            *request.uri_mut() = relative(&visit);
            let (method, headers) = (request.method().clone(), request.headers().clone());
            if let Some(elsewhere) = sign_on::elsewhere(&visit, request.uri().path(), &method, &headers) {
                return protected(elsewhere, &visit);
            }
            let response = pages.oneshot(request).await.unwrap_or_else(|never| match never {});
            match response.extensions().get::<Trouble>() {
                Some(trouble) => answers::trouble(&visit, method, headers, *trouble),
                None => response,
            }
        }
        asked => answers::answer(&services, &visit, asked, request).await,
    };
    protected(response, &visit)
}

fn protected(mut response: Response<Body>, visit: &Visit) -> Response<Body> {
    headers::protect(response.headers_mut(), visit.secure);
    response
}

/// The page's path below `portal.path`, by the target that the gateway settled and not by what came over the wire.
fn relative(visit: &Visit) -> Uri {
    let path = visit.target.matching_path();
    let below = path.strip_prefix(visit.config.portal.path.as_str()).unwrap_or("/nowhere");
    let query = visit.target.query().map(|query| format!("?{query}")).unwrap_or_default();
    let slash = if below.starts_with('/') { "" } else { "/" };
    // What is no URI is no page either.
    format!("{slash}{below}{query}").parse().unwrap_or_else(|_| Uri::from_static("/nowhere"))
}

#[cfg(test)]
mod tests;
