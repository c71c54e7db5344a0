//! Texts of which a theme has replaced some, and what is wrong with those.

use std::collections::{BTreeMap, BTreeSet};

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};

use super::{bundle, fill, sources, text};
use crate::config::Language;

/// The texts of both languages.
pub struct Texts {
    ja: FluentBundle<FluentResource>,
    en: FluentBundle<FluentResource>,
}

impl Texts {
    /// sekisho's own, with those in `replaced` instead of their namesakes. What cannot be read of a file is left out.
    pub fn with<'a>(replaced: impl Iterator<Item = (Language, &'a str)>) -> Self {
        let mut texts = Self { ja: bundle(Language::Ja), en: bundle(Language::En) };
        for (language, source) in replaced {
            let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(resource, _)| resource);
            match language {
                Language::Ja => texts.ja.add_resource_overriding(resource),
                Language::En => texts.en.add_resource_overriding(resource),
            }
        }
        texts
    }

    /// The text under `key`, as [`super::text`]; sekisho's own where the one instead of it cannot be filled in.
    pub fn text(&self, language: Language, key: &str, args: Option<&FluentArgs<'_>>) -> Option<String> {
        let bundle = match language {
            Language::Ja => &self.ja,
            Language::En => &self.en,
        };
        fill(bundle, key, args).or_else(|| text(language, key, args))
    }
}

/// Something about a file of texts.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    pub line: usize,
    pub message: String,
    pub hint: Option<String>,
}

/// What is wrong with a file of texts that is to replace some of sekisho's.
pub fn problems(language: Language, source: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Err((_, errors)) = FluentResource::try_new(source.to_owned()) {
        for error in errors {
            let before = source.get(..error.pos.start).unwrap_or(source);
            let line = before.matches('\n').count() + 1;
            problems.push(Problem { line, message: format!("no text in Fluent's form: {}", error.kind), hint: None });
        }
    }
    let own: BTreeMap<String, BTreeSet<String>> =
        sources(language).into_iter().flat_map(entries).map(|entry| (entry.key, entry.arguments)).collect();
    for Entry { line, key, arguments } in entries(source) {
        let Some(known) = own.get(&key) else {
            let near = own.keys().map(|known| (strsim::damerau_levenshtein(known, &key), known)).min();
            let near = near.filter(|(distance, _)| *distance <= 3).map(|(_, known)| format!("did you mean {known}?"));
            problems.push(Problem { line, message: format!("no page has a text {key}"), hint: near });
            continue;
        };
        if key.starts_with("mail-") {
            let message = format!("{key} is a text of mails, which keep sekisho's words");
            problems.push(Problem { line, message, hint: None });
        }
        for argument in arguments.difference(known) {
            let all: Vec<&str> = known.iter().map(String::as_str).collect();
            let hint = if all.is_empty() { "it has none".to_owned() } else { format!("it has {}", all.join(", ")) };
            problems.push(Problem { line, message: format!("{key} has no argument {argument}"), hint: Some(hint) });
        }
    }
    problems.sort_by_key(|problem| problem.line);
    problems
}

/// A text: the line it begins on, its key, the arguments it uses.
struct Entry {
    line: usize,
    key: String,
    arguments: BTreeSet<String>,
}

/// The texts of a file, as far as their keys and arguments go; what is inside of them is Fluent's business.
fn entries(source: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (index, line) in source.lines().enumerate() {
        if line.starts_with('#') {
            continue;
        }
        if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let key = line.split_once('=').map_or(line, |(key, _)| key).trim().to_owned();
            entries.push(Entry { line: index + 1, key, arguments: BTreeSet::new() });
        }
        let Some(entry) = entries.last_mut() else { continue };
        for piece in line.split('$').skip(1) {
            let name: String = piece.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
            entry.arguments.insert(format!("${name}"));
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_replaced_stands_for_its_namesake_and_falls_back_to_it() {
        let texts = Texts::with([(Language::En, "login-submit = Come in\ntitle-problem = { $nobody }\n")].into_iter());
        assert_eq!(texts.text(Language::En, "login-submit", None).as_deref(), Some("Come in"));
        assert_eq!(texts.text(Language::Ja, "login-submit", None), text(Language::Ja, "login-submit", None));
        assert_eq!(texts.text(Language::En, "title-problem", None), text(Language::En, "title-problem", None));
        assert_eq!(texts.text(Language::En, "login-name", None), text(Language::En, "login-name", None));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let source = "# words\nlogin-submit = Come in\nlogin-submitt = x\nmail-automatic = x\n\nlogin-name = { $name }\nbroken { x\n";
        let told: Vec<_> =
            problems(Language::En, source).into_iter().map(|problem| (problem.line, problem.message)).collect();
        let lines: Vec<_> = told.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 6, 7, 7], "{told:?}");
        assert!(told[0].1.contains("no page has a text login-submitt") && told[2].1.contains("$name"), "{told:?}");
        assert_eq!(problems(Language::En, source)[0].hint.as_deref(), Some("did you mean login-submit?"));
    }

    #[test]
    fn sekishos_own_texts_have_no_such_problems() {
        for language in [Language::Ja, Language::En] {
            for source in sources(language) {
                let told = problems(language, source);
                assert!(told.iter().all(|problem| problem.message.contains("of mails")), "{told:?}");
            }
        }
    }
}
