//! Words: which language a person is spoken to in, and the texts of `assets/locales`.

pub mod replaced;

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

use crate::config::Language;

/// The texts of one language, file by file; both languages have the same files and the same keys.
const fn sources(language: Language) -> [&'static str; 13] {
    match language {
        Language::Ja => [
            include_str!("../assets/locales/ja/common.ftl"),
            include_str!("../assets/locales/ja/login.ftl"),
            include_str!("../assets/locales/ja/second-factor.ftl"),
            include_str!("../assets/locales/ja/answers.ftl"),
            include_str!("../assets/locales/ja/mail.ftl"),
            include_str!("../assets/locales/ja/account.ftl"),
            include_str!("../assets/locales/ja/audit.ftl"),
            include_str!("../assets/locales/ja/people.ftl"),
            include_str!("../assets/locales/ja/own-settings.ftl"),
            include_str!("../assets/locales/ja/users.ftl"),
            include_str!("../assets/locales/ja/password.ftl"),
            include_str!("../assets/locales/ja/import.ftl"),
            include_str!("../assets/locales/ja/overview.ftl"),
        ],
        Language::En => [
            include_str!("../assets/locales/en/common.ftl"),
            include_str!("../assets/locales/en/login.ftl"),
            include_str!("../assets/locales/en/second-factor.ftl"),
            include_str!("../assets/locales/en/answers.ftl"),
            include_str!("../assets/locales/en/mail.ftl"),
            include_str!("../assets/locales/en/account.ftl"),
            include_str!("../assets/locales/en/audit.ftl"),
            include_str!("../assets/locales/en/people.ftl"),
            include_str!("../assets/locales/en/own-settings.ftl"),
            include_str!("../assets/locales/en/users.ftl"),
            include_str!("../assets/locales/en/password.ftl"),
            include_str!("../assets/locales/en/import.ftl"),
            include_str!("../assets/locales/en/overview.ftl"),
        ],
    }
}

static JA: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| bundle(Language::Ja));
static EN: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| bundle(Language::En));

/// The text under `key`, with its arguments filled in; `None`: there is no such text, or an argument is missing.
pub fn text(language: Language, key: &str, args: Option<&FluentArgs<'_>>) -> Option<String> {
    let bundle: &FluentBundle<FluentResource> = match language {
        Language::Ja => &JA,
        Language::En => &EN,
    };
    let text = fill(bundle, key, args);
    #[cfg(test)]
    if bundle.has_message(key) {
        used::note(language, key);
    }
    text
}

fn fill(bundle: &FluentBundle<FluentResource>, key: &str, args: Option<&FluentArgs<'_>>) -> Option<String> {
    let pattern = bundle.get_message(key)?.value()?;
    let mut errors = Vec::new();
    let text = bundle.format_pattern(pattern, args, &mut errors).into_owned();
    errors.is_empty().then_some(text)
}

fn bundle(language: Language) -> FluentBundle<FluentResource> {
    // Plurals go by it. The tags are two constants of ours, and both are well-formed.
    let id: LanguageIdentifier = tag(language).parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![id]);
    // The isolation marks that Fluent sets around arguments show up as boxes in some fonts.
    bundle.set_use_isolating(false);
    for source in sources(language) {
        // A test holds every file to parse without a complaint and every key to stand in one file only.
        let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(resource, _)| resource);
        let _ = bundle.add_resource(resource);
    }
    bundle
}

/// The tag of `lang` attributes, `?lang=` and the language cookie.
#[must_use]
pub const fn tag(language: Language) -> &'static str {
    match language {
        Language::Ja => "ja",
        Language::En => "en",
    }
}

/// A language by its tag.
#[must_use]
pub fn by_tag(tag: &str) -> Option<Language> {
    [Language::Ja, Language::En].into_iter().find(|language| self::tag(*language) == tag)
}

/// The language of an answer: what was chosen, else what the browser prefers (RFC 9110 §12.5.4), else the first offered.
#[must_use]
pub fn choose(offered: &[Language], chosen: Option<&str>, accept_language: Option<&str>) -> Language {
    let is_offered = |language: &Language| offered.contains(language);
    chosen
        .and_then(by_tag)
        .filter(is_offered)
        .or_else(|| preferred(accept_language.unwrap_or_default()).find(is_offered))
        .or_else(|| offered.first().copied())
        .unwrap_or(Language::En)
}

/// The languages of an `Accept-Language` that sekisho speaks, most wanted first.
fn preferred(header: &str) -> impl Iterator<Item = Language> {
    let mut wanted: Vec<(Language, u16)> = header
        .split(',')
        .take(32)
        .filter_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let range = parts.next()?.to_ascii_lowercase();
            let language = by_tag(range.split('-').next()?)?;
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok())?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1000")]
            let weight = (weight.clamp(0.0, 1.0) * 1000.0) as u16;
            (weight > 0).then_some((language, weight))
        })
        .collect();
    wanted.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    wanted.into_iter().map(|(language, _)| language)
}

/// Which texts were asked for, so that a test can name those that nothing uses.
#[cfg(test)]
pub mod used {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use crate::config::Language;

    thread_local! {
        static USED: RefCell<BTreeSet<(Language, String)>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub fn note(language: Language, key: &str) {
        USED.with_borrow_mut(|used| used.insert((language, key.to_owned())));
    }

    pub fn take() -> BTreeSet<(Language, String)> {
        USED.take()
    }
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeSet;

    use fluent_bundle::FluentResource;

    use super::*;

    /// Every key of a language; panics on a file that does not parse and on a key that stands twice.
    pub fn keys(language: Language) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        for source in sources(language) {
            let resource = FluentResource::try_new(source.to_owned()).map_err(|(_, errors)| errors).unwrap();
            let mut probe = FluentBundle::new_concurrent(vec![]);
            for line in source.lines() {
                let key = line.split_once(" =").map_or("", |(key, _)| key);
                if key.starts_with(|c: char| c.is_ascii_lowercase()) {
                    assert!(keys.insert(key.to_owned()), "{key} stands twice in {language:?}");
                }
            }
            let count = resource.entries().filter(|e| format!("{e:?}").starts_with("Message")).count();
            assert!(count > 0 && probe.add_resource(resource).is_ok());
        }
        keys
    }

    #[test]
    fn both_languages_have_the_same_keys() {
        assert_eq!(keys(Language::Ja), keys(Language::En));
    }

    #[test]
    fn the_choice_stands_over_the_browser_and_the_browser_over_the_default() {
        use Language::{En, Ja};
        let both = [Ja, En];
        assert_eq!(choose(&both, None, None), Ja);
        assert_eq!(choose(&both, None, Some("en-GB,en;q=0.9,ja;q=0.8")), En);
        assert_eq!(choose(&both, None, Some("ja;q=0.2, en;q=0.7")), En);
        assert_eq!(choose(&both, None, Some("fr-FR, de;q=0.9")), Ja);
        assert_eq!(choose(&both, None, Some("en;q=0")), Ja);
        assert_eq!(choose(&both, Some("ja"), Some("en")), Ja);
        assert_eq!(choose(&[En], Some("ja"), Some("ja")), En);
        assert_eq!(choose(&both, Some("xx"), Some("q=;;,,")), Ja);
    }
}
