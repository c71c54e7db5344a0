//! The sample tool's pages: templates and texts in both languages, and what a page reads from the request.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::demo::Language;

/// The cookie of the language that was chosen; the tool's own, like everything here.
pub const LANGUAGE_COOKIE: &str = "shop_language";

/// A page of the tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    Overview,
    Orders,
    Order,
    Products,
    Accounting,
    Live,
    Feed,
    Headers,
    Notice,
}

impl Page {
    #[cfg(test)]
    pub const ALL: [Self; 9] = [
        Self::Overview,
        Self::Orders,
        Self::Order,
        Self::Products,
        Self::Accounting,
        Self::Live,
        Self::Feed,
        Self::Headers,
        Self::Notice,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Orders => "orders",
            Self::Order => "order",
            Self::Products => "products",
            Self::Accounting => "accounting",
            Self::Live => "live",
            Self::Feed => "feed",
            Self::Headers => "headers",
            Self::Notice => "notice",
        }
    }
}

const TEMPLATES: [(&str, &str); 10] = [
    ("layout.html", include_str!("../../../assets/demo/layout.html")),
    ("overview.html", include_str!("../../../assets/demo/overview.html")),
    ("orders.html", include_str!("../../../assets/demo/orders.html")),
    ("order.html", include_str!("../../../assets/demo/order.html")),
    ("products.html", include_str!("../../../assets/demo/products.html")),
    ("accounting.html", include_str!("../../../assets/demo/accounting.html")),
    ("live.html", include_str!("../../../assets/demo/live.html")),
    ("feed.html", include_str!("../../../assets/demo/feed.html")),
    ("headers.html", include_str!("../../../assets/demo/headers.html")),
    ("notice.html", include_str!("../../../assets/demo/notice.html")),
];

/// All templates and texts.
pub struct Pages {
    templates: Environment<'static>,
    english: Texts,
    japanese: Texts,
    default: Language,
}

type Texts = BTreeMap<String, String>;

impl Pages {
    /// Reads what is built in.
    pub fn new(default: Language) -> Result<Self, minijinja::Error> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        templates.add_filter("yen", |amount: u32| yen(amount));
        for (name, text) in TEMPLATES {
            templates.add_template(name, text)?;
        }
        let texts = |text: &str| {
            serde_yaml::from_str::<Texts>(text)
                .map_err(|error| minijinja::Error::new(minijinja::ErrorKind::CannotDeserialize, error.to_string()))
        };
        Ok(Self {
            templates,
            english: texts(include_str!("../../../assets/demo/en.yaml"))?,
            japanese: texts(include_str!("../../../assets/demo/ja.yaml"))?,
            default,
        })
    }

    /// One page as HTML.
    pub fn render(
        &self,
        page: Page,
        headers: &HeaderMap,
        visits: u64,
        notice: Option<&str>,
        extra: &serde_json::Value,
    ) -> Result<String, minijinja::Error> {
        let language = self.language(headers);
        let texts = match language {
            Language::En => &self.english,
            Language::Ja => &self.japanese,
        };
        let common = Value::from(Serde(serde_json::json!({
            "t": texts,
            "language": language.code(),
            "page": page.name(),
            "person": person(headers),
            "login": identity(headers, "remote-user"),
            "visits": visits,
            "notice": notice,
        })));
        self.templates
            .get_template(&format!("{}.html", page.name()))?
            .render(context! { ..Value::from(Serde(extra)), ..common })
    }

    /// As chosen; else by `Accept-Language`, roughly: whichever of the two is named first.
    fn language(&self, headers: &HeaderMap) -> Language {
        match cookie(headers, LANGUAGE_COOKIE).as_deref() {
            Some("ja") => return Language::Ja,
            Some("en") => return Language::En,
            _ => (),
        }
        let wished = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let named = wished.split(',').find_map(|range| match range.trim().get(..2) {
            Some("ja") => Some(Language::Ja),
            Some("en") => Some(Language::En),
            _ => None,
        });
        named.unwrap_or(self.default)
    }
}

/// One cookie of the request.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(cookie::Cookie::split_parse)
        .flatten()
        .find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
}

/// Who sekisho says it is: the name, or the login where there is none.
pub fn person(headers: &HeaderMap) -> Option<String> {
    identity(headers, "remote-name").filter(|name| !name.is_empty()).or_else(|| identity(headers, "remote-user"))
}

/// An identity header, decoded (`identity.encoding: percent`).
fn identity(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// A header as the page shows it.
#[derive(Debug, Serialize)]
pub struct Received {
    name: String,
    value: String,
    decoded: Option<String>,
    /// It is there because sekisho set it.
    from_sekisho: bool,
}

/// All headers that reached the tool, those of sekisho first.
pub fn received(headers: &HeaderMap) -> Vec<Received> {
    let ours = |name: &str| {
        name.starts_with("remote-") || name.starts_with("x-forwarded-") || matches!(name, "x-real-ip" | "x-request-id")
    };
    let mut all: Vec<Received> = headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let decoded = percent_decode_str(&value).decode_utf8_lossy().into_owned();
            let decoded = (name.as_str().starts_with("remote-") && decoded != value).then_some(decoded);
            Received { name: name.to_string(), value, decoded, from_sekisho: ours(name.as_str()) }
        })
        .collect();
    all.sort_by(|a, b| (!a.from_sekisho, &a.name).cmp(&(!b.from_sekisho, &b.name)));
    all
}

/// `4360` as `¥4,360`.
fn yen(amount: u32) -> String {
    let digits = amount.to_string();
    let mut text = String::from("¥");
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
