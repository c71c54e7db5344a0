//! What would come out wrong with a theme: every page is made with it, of every sample, in both languages, and compared with
//! the page without it.
//!
//! An error: a page that cannot be made, or that would not work (a form that is gone, or lacks a field). A warning: what has
//! no effect, because the pages' policy keeps it out or because nobody asks for it.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::value::{Serde, Value};
use minijinja::{Error, context};
use serde::Deserialize;

use super::Dress;
use super::html::{self, Forms, Tag};
use crate::config::theme::{Theme, ThemeText, problem};
use crate::config::{Diagnostic, Language, Portal, Severity};
use crate::i18n::replaced;
use crate::portal::view::{self, Site};

/// Contexts that pages were made of in tests, every branch of each template at least once. A test of the pages keeps them as
/// they are.
const SAMPLES: &str = include_str!("../../../assets/samples.json");

#[derive(Deserialize)]
struct Sample {
    template: String,
    page: serde_json::Value,
}

/// Everything that is wrong with this portal's theme, by file and line.
#[must_use]
pub fn check(portal: &Portal) -> Vec<Diagnostic> {
    let Some(theme) = &portal.theme else { return Vec::new() };
    let dress = Dress::new(theme.clone());
    let mut report = Report { theme, problems: BTreeMap::new() };
    for (language, text) in &theme.messages {
        for found in replaced::problems(*language, &text.text) {
            report.add(Severity::Warning, text, found.line, found.message, found.hint.as_deref());
        }
    }
    theme.style.iter().for_each(|style| report.style(style));
    report.names();
    for (name, error) in &dress.broken {
        report.failure(name, error);
    }
    for (_, text) in &theme.templates {
        report.escaping(text);
    }
    match serde_json::from_str::<Vec<Sample>>(SAMPLES) {
        Ok(samples) => report.pages(portal, &dress, &samples),
        Err(error) => tracing::error!(%error, "the samples of pages cannot be read"),
    }
    report.finish()
}

struct Report<'a> {
    theme: &'a Theme,
    /// By file, line and message, so that what many pages show is told once.
    problems: BTreeMap<(String, usize, String), Diagnostic>,
}

impl Report<'_> {
    fn add(&mut self, severity: Severity, text: &ThemeText, line: usize, message: String, hint: Option<&str>) {
        let found = problem(severity, &text.path, line, message, hint);
        self.problems.entry((found.file.clone(), found.line, found.message.clone())).or_insert(found);
    }

    fn finish(self) -> Vec<Diagnostic> {
        self.problems.into_values().collect()
    }

    /// A template of the theme by its name.
    fn template(&self, name: &str) -> Option<&ThemeText> {
        self.theme.templates.iter().find(|(known, _)| known == name).map(|(_, text)| text)
    }

    /// What the policy of all pages keeps a style sheet from.
    fn style(&mut self, style: &ThemeText) {
        const HINT: &str = "pictures are the logo and the icon; fonts are those of the reader's system";
        for (index, line) in style.text.lines().enumerate() {
            for word in ["url(", "@import", "image-set("] {
                if line.to_ascii_lowercase().contains(word) && !line.contains("url(#") {
                    let message = format!("{word} loads what the pages' policy does not let through");
                    self.add(Severity::Warning, style, index + 1, message, Some(HINT));
                }
            }
        }
    }

    fn names(&mut self) {
        let theme = self.theme;
        for (name, text) in &theme.templates {
            let known = view::names().any(|known| known == name);
            let used = theme.templates.iter().any(|(other, text)| other != name && text.text.contains(name.as_str()));
            if !known && !used {
                let near = view::names().map(|known| (strsim::damerau_levenshtein(known, name), known)).min();
                let near = near.filter(|(distance, _)| *distance <= 4);
                let hint = near.map(|(_, known)| format!("did you mean {known}?"));
                self.add(Severity::Warning, text, 1, format!("no page uses a template {name}"), hint.as_deref());
            }
        }
    }

    fn escaping(&mut self, text: &ThemeText) {
        const HINT: &str = "logins, names and addresses are other people's words";
        for (index, line) in text.text.lines().enumerate() {
            let bare: String = line.chars().filter(|c| !c.is_whitespace()).collect();
            if bare.contains("|safe") || bare.contains("autoescapefalse") {
                let message = "switches escaping off: what people typed would become part of the page".to_owned();
                self.add(Severity::Warning, text, index + 1, message, Some(HINT));
            }
        }
    }

    /// A template that cannot be read, or a page that cannot be made.
    fn failure(&mut self, page: &str, error: &Error) {
        let name = error.name().unwrap_or(page);
        let what =
            error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
        let (text, line) = match self.template(name) {
            Some(text) => (text.clone(), error.line().unwrap_or(1)),
            // sekisho's own template stumbles over what one of the theme's did.
            None => match self.template(page).or_else(|| self.theme.templates.first().map(|(_, text)| text)) {
                Some(text) => (text.clone(), 1),
                None => return,
            },
        };
        let hint = "sekisho's own page is shown instead";
        self.add(Severity::Error, &text, line, format!("{page} cannot be made: {what}"), Some(hint));
    }

    fn pages(&mut self, portal: &Portal, dress: &Dress, samples: &[Sample]) {
        for language in [Language::Ja, Language::En] {
            for sample in samples {
                let here = Some((format!("{}/login", portal.path), "return_to=%2F"));
                let values = |portal: &Portal| {
                    let site = Site::new(portal, language, here.clone());
                    context! {
                        site => Value::from(Serde(&site)),
                        page => Value::from(Serde(&sample.page)),
                    }
                };
                let bare = Portal { theme: None, ..portal.clone() };
                // A test makes them all.
                let Ok(own) = view::render_own(language, &sample.template, &values(&bare)) else { continue };
                match dress.render(language, &sample.template, &values(portal)) {
                    Ok(page) => self.compare(&sample.template, &html::tags(&own), &html::tags(&page)),
                    Err(error) => self.failure(&sample.template, &error),
                }
            }
        }
    }

    fn compare(&mut self, template: &str, own: &[Tag], page: &[Tag]) {
        let (needed, there) = (html::forms(own), html::forms(page));
        for (form, fields) in &needed {
            self.form(template, form, fields, &there);
        }
        for form in there.keys().filter(|(_, action)| leads_elsewhere(action)) {
            let message = format!("{template} has a form that sends to {}: the pages' policy keeps it", form.1);
            self.place(template, "<form", Severity::Error, message, None);
        }
        let own: BTreeSet<&str> = own.iter().map(|tag| tag.name.as_str()).collect();
        for tag in page {
            self.policy(template, tag, &own);
        }
    }

    fn form(&mut self, template: &str, form: &(String, String), fields: &BTreeSet<String>, there: &Forms) {
        let Some(given) = there.get(form) else {
            let message = format!("{template} has no form that sends to {}", form.1);
            let hint = "the page cannot do what it is for";
            return self.place(template, "<form", Severity::Error, message, Some(hint));
        };
        let missing: Vec<&str> = fields.difference(given).map(String::as_str).collect();
        if missing.contains(&"csrf") {
            let message =
                format!("{template}: the form that sends to {} has no csrf field: all it sends is refused", form.1);
            let hint = r#"<input type="hidden" name="csrf" value="{{ page.csrf }}">"#;
            self.place(template, "<form", Severity::Error, message, Some(hint));
        }
        let others: Vec<&str> = missing.into_iter().filter(|name| *name != "csrf").collect();
        if !others.is_empty() {
            let message =
                format!("{template}: the form that sends to {} lacks the fields {}", form.1, others.join(", "));
            self.place(template, "<form", Severity::Error, message, Some("by `name`; a hidden one is needed as well"));
        }
    }

    /// What the policy of all pages keeps out, whatever stands in them.
    fn policy(&mut self, template: &str, tag: &Tag, own: &BTreeSet<&str>) {
        let needle = format!("<{}", tag.name);
        let blocked = |what: &str| format!("{what} is kept out by the pages' policy");
        if ["style", "iframe", "object", "embed", "base", "frame", "applet", "audio", "video"]
            .contains(&tag.name.as_str())
            && !own.contains(tag.name.as_str())
        {
            let hint = (tag.name == "style").then_some("write it in style.css");
            self.place(template, &needle, Severity::Warning, blocked(&format!("{needle}>")), hint);
        }
        if tag.name == "script" && tag.get("nonce").is_none() {
            self.place(
                template,
                &needle,
                Severity::Warning,
                blocked("<script>"),
                Some("the pages work without scripts"),
            );
        }
        for (name, value) in &tag.attributes {
            if name == "style" || (name.starts_with("on") && name.len() > 3) {
                let hint = if name == "style" {
                    "give it a class, and write it in style.css"
                } else {
                    "the pages work without scripts"
                };
                let message = blocked(&format!("the attribute {name} of {needle}>"));
                self.place(template, &format!("{name}="), Severity::Warning, message, Some(hint));
            }
            let loads = name == "src" || (name == "href" && tag.name == "link") || name == "srcset";
            if loads && (leads_elsewhere(value) || value.starts_with("data:")) {
                let message = blocked(&format!("{value} in {needle}>"));
                self.place(
                    template,
                    &format!("{name}="),
                    Severity::Warning,
                    message,
                    Some("pictures are the logo and the icon"),
                );
            }
        }
    }

    /// Tells something about a page where it comes from: the page's own template, or another that has the words.
    fn place(&mut self, template: &str, needle: &str, severity: Severity, message: String, hint: Option<&str>) {
        let theme = self.theme;
        let line_of =
            |text: &ThemeText| text.text.lines().position(|line| line.contains(needle)).map(|index| index + 1);
        let first = self.template(template);
        let others = theme.templates.iter().map(|(_, text)| text);
        let found = first.into_iter().chain(others).find_map(|text| line_of(text).map(|line| (text, line)));
        let found = found.or_else(|| first.map(|text| (text, 1)));
        let found = found.or_else(|| theme.templates.first().map(|(_, text)| (text, 1)));
        if let Some((text, line)) = found {
            let text = text.clone();
            self.add(severity, &text, line, message, hint);
        }
    }
}

fn leads_elsewhere(address: &str) -> bool {
    address.starts_with("//") || address.contains("://")
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    /// What is said of a folder with these files, a line each.
    fn said(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        said_of(folder.path())
    }

    fn said_of(folder: &Path) -> Vec<String> {
        let (theme, problems) = Theme::read(folder).unwrap();
        let portal = Portal { theme: theme.map(Arc::new), ..Site::sample_portal(Language::En) };
        let mut all = problems;
        all.extend(check(&portal));
        let shown = all.iter().map(|problem| {
            let file = problem.file.strip_prefix(folder.to_str().unwrap()).unwrap().trim_start_matches('/');
            format!("{file}:{}: {:?}: {}", problem.line, problem.severity, problem.message)
        });
        shown.collect()
    }

    #[track_caller]
    fn assert_said(files: &[(&str, &str)], parts: &[&str]) {
        let said = said(files);
        for part in parts {
            assert!(said.iter().any(|line| line.contains(part)), "{part}: {said:#?}");
        }
        assert_eq!(said.len(), parts.len(), "{said:#?}");
    }

    #[test]
    fn the_worked_example_has_nothing_wrong() {
        assert_eq!(said_of(Path::new("assets/theme-example")), [""; 0]);
    }

    #[test]
    fn every_template_as_it_is_has_nothing_wrong() {
        let own: Vec<_> = view::sources().map(|(name, source)| (format!("templates/{name}"), source)).collect();
        let files: Vec<_> = own.iter().map(|(name, source)| (name.as_str(), *source)).collect();
        assert_eq!(said(&files), [""; 0]);
    }

    #[test]
    fn a_template_that_cannot_be_read_or_made_is_told_with_its_line() {
        assert_said(
            &[("templates/login.html", "<p>\n{% if %}")],
            &["login.html:2: Error: login.html cannot be made: syntax error"],
        );
        assert_said(
            &[(
                "templates/logout.html",
                "{% extends 'builtin/logout.html' %}\n{% block title %}{{ page.nothing }}{% endblock %}",
            )],
            &["logout.html:2: Error: logout.html cannot be made: undefined value"],
        );
        assert_said(
            &[(
                "templates/logout.html",
                "{% extends 'builtin/logout.html' %}\n\n{% block title %}{{ t('no-such') }}{% endblock %}",
            )],
            &["logout.html:3: Error: logout.html cannot be made: invalid operation: there is no text no-such"],
        );
    }

    #[test]
    fn a_form_that_would_not_work_is_told() {
        let login = "{% extends 'layout.html' %}\n{% block main %}\n<form method='post' action='{{ page.action }}'>\n";
        let fields = "<input name=login><input name=password type=password><input type=hidden name=return_to>";
        let end = "</form>{% endblock %}";
        let without_csrf = format!("{login}{fields}{end}");
        assert_said(
            &[("templates/login.html", &without_csrf)],
            &["login.html:3: Error: login.html: the form that sends to /.sekisho/login has no csrf"],
        );
        let without_fields = format!("{login}<input type=hidden name=csrf value='{{{{ page.csrf }}}}'>{end}");
        assert_said(
            &[("templates/login.html", &without_fields)],
            &[
                "login.html:3: Error: login.html: the form that sends to /.sekisho/login lacks the fields login, password, return_to",
            ],
        );
        assert_said(
            &[("templates/login.html", "{% extends 'layout.html' %}{% block main %}hello{% endblock %}")],
            &["login.html:1: Error: login.html has no form that sends to /.sekisho/login"],
        );
        let away =
            format!("{login}{fields}<input type=hidden name=csrf></form><form action='https://evil.test/'>{end}");
        assert_said(&[("templates/login.html", &away)], &["sends to https://evil.test/: the pages' policy keeps it"]);
    }

    #[test]
    fn what_the_policy_keeps_out_is_told() {
        let page = "{% extends 'builtin/logout.html' %}\n{% block head %}<style>p{}</style><script>1</script>\n\
                    <link rel=stylesheet href=//cdn.test/x.css>{% endblock %}\n{% block kind %}\" style=\"a\" onload=\"b{% endblock %}";
        assert_said(
            &[
                ("templates/logout.html", page),
                ("style.css", "@import 'x';\nbody { background: url(/x.png) }\na { fill: url(#b) }"),
            ],
            &[
                "logout.html:2: Warning: <style> is kept out",
                "logout.html:2: Warning: <script> is kept out",
                "logout.html:3: Warning: //cdn.test/x.css in <link> is kept out",
                "logout.html:4: Warning: the attribute style of <body> is kept out",
                "Warning: the attribute onload of <body> is kept out",
                "style.css:1: Warning: @import loads",
                "style.css:2: Warning: url( loads",
            ],
        );
    }

    #[test]
    fn what_nobody_asks_for_and_what_is_dangerous_is_told() {
        assert_said(
            &[
                ("templates/logn.html", "x"),
                ("templates/parts/footer.html", "x"),
                (
                    "templates/logout.html",
                    "{% extends 'builtin/logout.html' %}{% block kind %}{% include 'parts/footer.html' %}{% endblock %}",
                ),
                (
                    "templates/landing.html",
                    "{% extends 'builtin/landing.html' %}\n{% block kind %}{{ site.title | safe }}{% endblock %}",
                ),
                ("messages/en.ftl", "login-sumbit = x"),
            ],
            &[
                "messages/en.ftl:1: Warning: no page has a text login-sumbit",
                "templates/landing.html:2: Warning: switches escaping off",
                "templates/logn.html:1: Warning: no page uses a template logn.html",
            ],
        );
    }
}
