//! Templates: one typed context for each page, rendered by minijinja with the texts of one language.

use std::sync::LazyLock;

use fluent_bundle::{FluentArgs, FluentValue};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, context, escape_formatter};
use serde::Serialize;

use super::assets::{self, Asset};
use super::theme::Dress;
use crate::config::{Language, Portal};
use crate::i18n;

/// A page's context: the type that its template is written for.
pub trait Page: Serialize {
    /// The template's file in `assets/templates`.
    const TEMPLATE: &'static str;
    /// Whether a form on it may end at the tool, and so at wherever the tool leads.
    const LEADS_OUT: bool = false;

    /// A script of ours that makes the page more comfortable; it works without. The page's policy then lets it load that one,
    /// and lets that one ask sekisho.
    fn script(&self) -> Option<&'static Asset> {
        None
    }
}

/// What stands around every page.
#[derive(Debug, Serialize)]
pub struct Site {
    title: String,
    lang: &'static str,
    style: String,
    shell_style: String,
    /// A theme's, after all others.
    theme_style: Option<String>,
    /// A theme's, instead of the mark.
    logo: Option<String>,
    icon: String,
    icon_type: &'static str,
    script: Option<Script>,
    languages: Vec<LanguageLink>,
}

/// The page's script, and what its policy knows it by.
#[derive(Debug, Serialize)]
struct Script {
    src: String,
    nonce: String,
}

/// A link that shows the same page in another language.
#[derive(Debug, Serialize)]
struct LanguageLink {
    lang: &'static str,
    /// Its own name for itself.
    name: &'static str,
    href: String,
    current: bool,
}

impl Site {
    /// `here`: the absolute path of the page shown, if one can come back to it by GET, and the query it carries.
    #[must_use]
    pub fn new(portal: &Portal, language: Language, here: Option<(String, &str)>) -> Self {
        let languages = match here {
            Some((here, query)) if portal.languages.len() > 1 => {
                let rest = if query.is_empty() { String::new() } else { format!("&{query}") };
                let link = |offered: &Language| LanguageLink {
                    lang: i18n::tag(*offered),
                    name: own_name(*offered),
                    href: format!("{here}?lang={}{rest}", i18n::tag(*offered)),
                    current: *offered == language,
                };
                portal.languages.iter().map(link).collect()
            }
            _ => Vec::new(),
        };
        let dress = Dress::of(portal);
        let worn = |pick: fn(&Dress) -> Option<&Asset>| dress.as_deref().and_then(pick);
        let icon = worn(|dress| dress.icon.as_ref()).unwrap_or(&*assets::ICON);
        Self {
            title: portal.title.clone(),
            lang: i18n::tag(language),
            style: assets::STYLE.path(&portal.path),
            shell_style: assets::SHELL_STYLE.path(&portal.path),
            theme_style: worn(|dress| dress.style.as_ref()).map(|style| style.path(&portal.path)),
            logo: worn(|dress| dress.logo.as_ref()).map(|logo| logo.path(&portal.path)),
            icon: icon.path(&portal.path),
            icon_type: icon.content_type(),
            script: None,
            languages,
        }
    }

    /// The same around a page with this script, for a portal at `portal`.
    #[must_use]
    pub fn loading(self, script: Option<(&Asset, String)>, portal: &str) -> Self {
        Self { script: script.map(|(script, nonce)| Script { src: script.path(portal), nonce }), ..self }
    }
}

const fn own_name(language: Language) -> &'static str {
    match language {
        Language::Ja => "日本語",
        Language::En => "English",
    }
}

/// Renders a page in what the portal wears; where it cannot be made so, as it is, for people must get in.
///
/// # Errors
/// Where sekisho's own template asks for what its context or the texts do not have.
pub fn render<P: Page>(portal: &Portal, language: Language, site: &Site, page: &P) -> Result<String, Error> {
    let values = context! {
        site => Value::from(Serde(site)),
        page => Value::from(Serde(page)),
    };
    if let Some(dress) = Dress::of(portal) {
        match dress.render(language, P::TEMPLATE, &values) {
            Ok(html) => return Ok(html),
            Err(error) => tracing::error!(
                template = P::TEMPLATE, %error,
                "a page could not be made with the theme, and was made without it; `sekisho check` says more"
            ),
        }
    }
    render_own(language, P::TEMPLATE, &values)
}

/// Renders a page without any theme.
///
/// # Errors
/// As [`render`].
pub fn render_own(language: Language, template: &str, values: &Value) -> Result<String, Error> {
    let environment = match language {
        Language::Ja => &*JA,
        Language::En => &*EN,
    };
    environment.get_template(template)?.render(values)
}

/// The names of all templates.
pub fn names() -> impl Iterator<Item = &'static str> {
    TEMPLATES.iter().map(|(name, _)| *name)
}

#[cfg(test)]
pub fn sources() -> impl Iterator<Item = (&'static str, &'static str)> {
    TEMPLATES.iter().copied()
}

const TEMPLATES: &[(&str, &str)] = &[
    ("layout.html", include_str!("../../assets/templates/layout.html")),
    ("mark.html", include_str!("../../assets/templates/mark.html")),
    ("alert.html", include_str!("../../assets/templates/alert.html")),
    ("code_field.html", include_str!("../../assets/templates/code_field.html")),
    ("remember_field.html", include_str!("../../assets/templates/remember_field.html")),
    ("moment.html", include_str!("../../assets/templates/moment.html")),
    ("moment_lines.html", include_str!("../../assets/templates/moment_lines.html")),
    ("login.html", include_str!("../../assets/templates/login.html")),
    ("second_factor.html", include_str!("../../assets/templates/second_factor.html")),
    ("recovery.html", include_str!("../../assets/templates/recovery.html")),
    ("enrol.html", include_str!("../../assets/templates/enrol.html")),
    ("recovery_codes.html", include_str!("../../assets/templates/recovery_codes.html")),
    ("welcome.html", include_str!("../../assets/templates/welcome.html")),
    ("new_password.html", include_str!("../../assets/templates/new_password.html")),
    ("password/own.html", include_str!("../../assets/templates/password/own.html")),
    ("password/forgot.html", include_str!("../../assets/templates/password/forgot.html")),
    ("password/reset.html", include_str!("../../assets/templates/password/reset.html")),
    ("password/due.html", include_str!("../../assets/templates/password/due.html")),
    ("held.html", include_str!("../../assets/templates/held.html")),
    ("logout.html", include_str!("../../assets/templates/logout.html")),
    ("landing.html", include_str!("../../assets/templates/landing.html")),
    ("message.html", include_str!("../../assets/templates/message.html")),
    ("login_needed.html", include_str!("../../assets/templates/login_needed.html")),
    ("shell.html", include_str!("../../assets/templates/shell.html")),
    ("account/confirm.html", include_str!("../../assets/templates/account/confirm.html")),
    ("admin/user.html", include_str!("../../assets/templates/admin/user.html")),
    ("admin/user_fields.html", include_str!("../../assets/templates/admin/user_fields.html")),
    ("admin/user_edit.html", include_str!("../../assets/templates/admin/user_edit.html")),
    ("admin/user_new.html", include_str!("../../assets/templates/admin/user_new.html")),
    ("admin/audit.html", include_str!("../../assets/templates/admin/audit.html")),
    ("admin/sessions.html", include_str!("../../assets/templates/admin/sessions.html")),
    ("admin/users_bulk.html", include_str!("../../assets/templates/admin/users_bulk.html")),
    ("admin/users.html", include_str!("../../assets/templates/admin/users.html")),
    ("account/second_factor.html", include_str!("../../assets/templates/account/second_factor.html")),
    ("account/recovery_codes.html", include_str!("../../assets/templates/account/recovery_codes.html")),
    ("account/email.html", include_str!("../../assets/templates/account/email.html")),
    ("account/devices.html", include_str!("../../assets/templates/account/devices.html")),
    ("account/tools.html", include_str!("../../assets/templates/account/tools.html")),
    ("account/sessions.html", include_str!("../../assets/templates/account/sessions.html")),
    ("account/overview.html", include_str!("../../assets/templates/account/overview.html")),
    #[cfg(test)]
    ("styleguide.html", include_str!("tests/styleguide.html")),
    ("admin/overview.html", include_str!("../../assets/templates/admin/overview.html")),
    ("admin/plot.html", include_str!("../../assets/templates/admin/plot.html")),
    ("admin/import.html", include_str!("../../assets/templates/admin/import.html")),
    ("admin/import_preview.html", include_str!("../../assets/templates/admin/import_preview.html")),
    ("admin/import_refused.html", include_str!("../../assets/templates/admin/import_refused.html")),
    ("admin/import_result.html", include_str!("../../assets/templates/admin/import_result.html")),
];

static JA: LazyLock<Environment<'static>> =
    LazyLock::new(|| environment(|key, args| i18n::text(Language::Ja, key, args)));
static EN: LazyLock<Environment<'static>> =
    LazyLock::new(|| environment(|key, args| i18n::text(Language::En, key, args)));

/// sekisho's own templates, with these texts.
pub fn environment<T>(texts: T) -> Environment<'static>
where
    T: Fn(&str, Option<&FluentArgs<'_>>) -> Option<String> + Send + Sync + 'static,
{
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    // Lines that hold a tag alone leave no empty line behind; the usual marks, so that building them cannot fail.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => out.write_str(&escaped(text)).map_err(Error::from),
        _ => escape_formatter(out, state, value),
    });
    environment.add_function("t", move |key: &str, args: Kwargs| text(&texts, key, &args));
    for (name, source) in TEMPLATES {
        if let Err(error) = environment.add_template(name, source) {
            // A test renders every template; one that does not parse cannot get past it.
            tracing::error!(template = name, %error, "a template cannot be read");
        }
    }
    environment
}

/// `text` where HTML expects text or a quoted attribute. The template engine's own would turn every `/` of every address
/// into an entity as well.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// Gives sekisho's own templates a second name each, `builtin/…`, by which those that replace them can build on them.
pub fn add_own_names(environment: &mut Environment<'static>) {
    for (name, source) in TEMPLATES {
        // They were read under their first names.
        let _ = environment.add_template_owned(format!("builtin/{name}"), *source);
    }
}

/// `t("key", name=value)`: a text of this language.
fn text<T>(texts: &T, key: &str, args: &Kwargs) -> Result<String, Error>
where
    T: Fn(&str, Option<&FluentArgs<'_>>) -> Option<String>,
{
    let mut fluent = FluentArgs::new();
    for name in args.args() {
        let value: Value = args.get(name)?;
        let value = match i64::try_from(value.clone()) {
            Ok(number) if value.is_number() => FluentValue::from(number),
            _ => FluentValue::from(value.to_string()),
        };
        fluent.set(name.to_owned(), value);
    }
    texts(key, Some(&fluent)).ok_or_else(|| {
        Error::new(ErrorKind::InvalidOperation, format!("there is no text {key}, or it lacks an argument"))
    })
}

/// Contexts to try a template with: every branch of it at least once.
#[cfg(test)]
pub trait Samples: Page + Sized {
    /// Each with a name for its file.
    fn samples() -> Vec<(String, Self)>;
}

#[cfg(test)]
impl Site {
    /// What stands around a sample.
    pub fn sample(language: Language) -> Self {
        Self::new(&Self::sample_portal(language), language, Some(("/.sekisho/login".to_owned(), "return_to=%2Forders")))
    }

    pub fn sample_portal(language: Language) -> Portal {
        Portal {
            path: "/.sekisho".to_owned(),
            url: None,
            host: None,
            admin_networks: Vec::new(),
            languages: vec![Language::Ja, Language::En],
            title: match language {
                Language::Ja => "ショップ管理".to_owned(),
                Language::En => "Shop admin".to_owned(),
            },
            theme: None,
        }
    }
}
