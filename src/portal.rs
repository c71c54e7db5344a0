//! sekisho's own pages: an axum router, called in process by the gateway with a settled [`crate::service::visit::Visit`].

use std::convert::Infallible;

use axum::body::Body;
use tower::util::BoxCloneSyncService;

use crate::service::Services;

/// The portal as the gateway sees it. The request carries a [`crate::service::visit::Visit`] as an extension.
pub type PortalService = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;

/// Builds the portal.
#[must_use]
pub fn service(_services: Services) -> PortalService {
    todo!("portal helper")
}
