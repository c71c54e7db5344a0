//! Files that pages load: kept in the binary, served under a name that has their digest in it, so that a browser may
//! keep them for good and still never shows an old one.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use sha2::{Digest, Sha256};

use super::exchange::Exchange;
use super::message;
use super::theme::Dress;

/// A file and the name it is served under.
pub struct Asset {
    name: String,
    bytes: Bytes,
    content_type: &'static str,
}

/// The style sheet of all pages.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "sekisho",
        "css",
        "text/css; charset=utf-8",
        Bytes::from_static(include_bytes!("../../assets/static/sekisho.css")),
    )
});

/// What the pages of somebody signed in have beside it.
pub static SHELL_STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "shell",
        "css",
        "text/css; charset=utf-8",
        Bytes::from_static(include_bytes!("../../assets/static/shell.css")),
    )
});

/// The mark, as the icon of the browser's tab.
pub static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("icon", "svg", SVG, Bytes::from_static(include_bytes!("../../assets/static/icon.svg")))
});

/// The script of every form that takes a new password.
pub static NEW_PASSWORD: LazyLock<Asset> =
    LazyLock::new(|| Asset::script("new-password", include_bytes!("../../assets/static/new-password.js")));

/// Tells on the page for a mailed code what became of the mail.
pub static DELIVERY: LazyLock<Asset> =
    LazyLock::new(|| Asset::script("delivery", include_bytes!("../../assets/static/delivery.js")));

impl Asset {
    fn script(stem: &str, bytes: &'static [u8]) -> Self {
        Self::new(stem, "js", "text/javascript; charset=utf-8", Bytes::from_static(bytes))
    }

    pub fn new(stem: &str, extension: &str, content_type: &'static str, bytes: Bytes) -> Self {
        let mut digest = HEXLOWER.encode(&Sha256::digest(&bytes));
        digest.truncate(16);
        Self { name: format!("{stem}.{digest}.{extension}"), bytes, content_type }
    }

    pub const fn content_type(&self) -> &'static str {
        self.content_type
    }

    /// Where it is, for a portal at `portal`.
    #[must_use]
    pub fn path(&self, portal: &str) -> String {
        format!("{portal}/static/{}", self.name)
    }
}

/// Everything of sekisho's own that is served.
pub fn all() -> [&'static Asset; 5] {
    [&STYLE, &SHELL_STYLE, &ICON, &NEW_PASSWORD, &DELIVERY]
}

/// Of our own pictures and a theme's.
pub const SVG: &str = "image/svg+xml; charset=utf-8";
/// For a picture that somebody opens by itself: nothing in it runs, or loads anything.
const PICTURE_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'");

/// `GET /static/{file}`
pub async fn serve(Path(file): Path<String>, exchange: Exchange) -> Response {
    let dress = Dress::of(&exchange.visit.config.portal);
    let mut all = all().into_iter().chain(dress.iter().flat_map(|dress| dress.assets()));
    let Some(asset) = all.find(|asset| asset.name == file) else {
        return message::page(exchange, message::Kind::NotFound);
    };
    let head = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    let mut response = (head, asset.bytes.clone()).into_response();
    if asset.content_type == SVG {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, PICTURE_POLICY);
    }
    response
}
