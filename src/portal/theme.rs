//! A theme as the pages wear it: its files under names with their digests, its texts, its templates between sekisho's own.
//!
//! What a theme cannot do is weaken a page: the policy and all other headers are the pages' own, and a page that cannot be
//! made with the theme is made without it, so that people still get in. [`check`] finds beforehand what would come out
//! wrong.

mod check;
mod html;

use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use minijinja::value::Value;
use minijinja::{Environment, Error};

use super::assets::{self, Asset};
use super::view;
use crate::config::theme::{Picture, PictureFormat, Theme};
use crate::config::{Language, Portal};
use crate::i18n::replaced::Texts;

pub use check::check;

/// A theme, made ready.
pub struct Dress {
    theme: Arc<Theme>,
    pub style: Option<Asset>,
    pub logo: Option<Asset>,
    pub icon: Option<Asset>,
    ja: Environment<'static>,
    en: Environment<'static>,
    /// Templates that cannot be read, with why; sekisho's own stand for them.
    broken: Vec<(String, Error)>,
}

/// The last one made ready: all pages have the same until the configuration is another.
static LAST: LazyLock<ArcSwapOption<Dress>> = LazyLock::new(ArcSwapOption::empty);

impl Dress {
    /// What the pages of this portal wear beside sekisho's own.
    #[must_use]
    pub fn of(portal: &Portal) -> Option<Arc<Self>> {
        let theme = portal.theme.as_ref()?;
        if let Some(last) = LAST.load_full().filter(|last| Arc::ptr_eq(&last.theme, theme)) {
            return Some(last);
        }
        let dress = Arc::new(Self::new(Arc::clone(theme)));
        for (name, error) in &dress.broken {
            tracing::error!(template = name, %error, "a template of the theme cannot be read: sekisho's own stands for it");
        }
        LAST.store(Some(Arc::clone(&dress)));
        Some(dress)
    }

    fn new(theme: Arc<Theme>) -> Self {
        let texts = theme.messages.iter().map(|(language, text)| (*language, text.text.as_str()));
        let texts = Arc::new(Texts::with(texts));
        let mut broken = Vec::new();
        let mut environment = |language| {
            let texts = Arc::clone(&texts);
            let mut environment = view::environment(move |key, args| texts.text(language, key, args));
            view::add_own_names(&mut environment);
            broken.clear();
            for (name, text) in &theme.templates {
                if let Err(error) = environment.add_template_owned(name.clone(), text.text.clone()) {
                    broken.push((name.clone(), error));
                }
            }
            environment
        };
        let (ja, en) = (environment(Language::Ja), environment(Language::En));
        let style = theme.style.as_ref().map(|style| {
            Asset::new("theme", "css", "text/css; charset=utf-8", Bytes::from(style.text.clone().into_bytes()))
        });
        let (logo, icon) = (picture("logo", theme.logo.as_ref()), picture("theme-icon", theme.icon.as_ref()));
        Self { theme, style, logo, icon, ja, en, broken }
    }

    /// The files of a theme that are served.
    pub fn assets(&self) -> impl Iterator<Item = &Asset> {
        [&self.style, &self.logo, &self.icon].into_iter().flatten()
    }

    /// Renders a page with it.
    ///
    /// # Errors
    /// Where a template asks for what is not there.
    pub fn render(&self, language: Language, template: &str, values: &Value) -> Result<String, Error> {
        let environment = match language {
            Language::Ja => &self.ja,
            Language::En => &self.en,
        };
        environment.get_template(template)?.render(values)
    }
}

fn picture(stem: &str, picture: Option<&Picture>) -> Option<Asset> {
    let picture = picture?;
    let (extension, content_type) = match picture.format {
        PictureFormat::Svg => ("svg", assets::SVG),
        PictureFormat::Png => ("png", "image/png"),
    };
    Some(Asset::new(stem, extension, content_type, Bytes::from(picture.bytes.clone())))
}
