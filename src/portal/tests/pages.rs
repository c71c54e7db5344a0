//! Every page with every sample, in every language.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::super::view::{Samples, Site, render};
use super::super::{
    account, admin, answers, assets, enrol, held, landing, login, logout, message, password, recovery, recovery_codes,
    second_factor, welcome,
};
use crate::config::Language;
use crate::i18n;
use crate::secret::ExposeSecret;

/// Where `SEKISHO_PAGES` names a folder, every sample is written there, to be looked at in a browser.
fn write_to_look_at(language: Language, file: &str, html: &str) {
    let Some(folder) = std::env::var_os("SEKISHO_PAGES") else { return };
    let folder = std::path::Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    let html = html.replace(&assets::STYLE.path("/.sekisho"), "sekisho.css");
    let html = html.replace(&assets::SHELL_STYLE.path("/.sekisho"), "shell.css");
    std::fs::write(folder.join(format!("{file}.{}.html", i18n::tag(language))), html).unwrap();
    std::fs::write(folder.join("sekisho.css"), include_str!("../../../assets/static/sekisho.css")).unwrap();
    std::fs::write(folder.join("shell.css"), include_str!("../../../assets/static/shell.css")).unwrap();
}

thread_local! {
    static SEEN: RefCell<Vec<serde_json::Value>> = const { RefCell::new(Vec::new()) };
}

/// The samples are kept in a file as well, for who checks a theme with a programme that has no tests in it.
/// `SEKISHO_SAMPLES=write cargo test --lib every_page_can_be_made` writes it anew.
fn are_kept(seen: &[serde_json::Value]) {
    let lines: Vec<String> =
        seen.iter().filter(|one| one["template"] != "styleguide.html").map(ToString::to_string).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/samples.json");
    if std::env::var_os("SEKISHO_SAMPLES").is_some() {
        std::fs::write(file, &text).unwrap();
    }
    let same = std::fs::read_to_string(file).is_ok_and(|kept| kept == text);
    assert!(
        same,
        "assets/samples.json is not what the samples are: SEKISHO_SAMPLES=write cargo test --lib every_page_can_be_made"
    );
}

fn try_all<P: Samples>(language: Language) {
    for (name, page) in P::samples() {
        let site =
            Site::sample(language).loading(page.script().map(|script| (script, "bm9uY2U".to_owned())), "/.sekisho");
        let file = format!("{}-{name}", P::TEMPLATE.trim_end_matches(".html").replace('/', "-"));
        let html = render(&Site::sample_portal(language), language, &site, &page)
            .unwrap_or_else(|error| panic!("{file} in {language:?}: {error:?}"));
        well_formed(&file, &html);
        SEEN.with_borrow_mut(|seen| {
            seen.push(serde_json::json!({"template": P::TEMPLATE, "name": name, "page": page}));
        });
        write_to_look_at(language, &file, &html);
    }
}

#[test]
fn every_page_can_be_made_in_every_language_and_uses_every_text() {
    for language in [Language::Ja, Language::En] {
        i18n::used::take();
        SEEN.take();
        try_all::<login::LoginPage>(language);
        try_all::<second_factor::SecondFactorPage>(language);
        try_all::<recovery::RecoveryPage>(language);
        try_all::<enrol::EnrolPage>(language);
        try_all::<recovery_codes::RecoveryCodesPage>(language);
        text_file(language);
        try_all::<welcome::WelcomePage>(language);
        try_all::<password::due::DuePage>(language);
        try_all::<password::forgot::ForgotPage>(language);
        try_all::<password::reset::ResetPage>(language);
        try_all::<password::own::OwnPage>(language);
        try_all::<held::HeldPage>(language);
        try_all::<logout::LogoutPage>(language);
        try_all::<landing::LandingPage>(language);
        try_all::<message::Message>(language);
        try_all::<answers::LoginNeeded>(language);
        try_all::<account::overview::AccountPage>(language);
        try_all::<super::styleguide::StyleGuide>(language);
        admin::rejection::every_text(language);
        admin::user::deed::every_text(language);
        try_all::<admin::overview::OverviewPage>(language);
        try_all::<admin::import::ImportPage>(language);
        try_all::<admin::import::preview::PreviewPage>(language);
        try_all::<admin::import::result::ResultPage>(language);
        try_all::<account::confirm::ConfirmPage>(language);
        try_all::<admin::users::UsersPage>(language);
        try_all::<admin::users::bulk::BulkPage>(language);
        try_all::<account::second_factor::OwnFactorPage>(language);
        try_all::<account::recovery_codes::OwnCodesPage>(language);
        try_all::<account::devices::DevicesPage>(language);
        try_all::<account::tools::ToolsPage>(language);
        try_all::<account::email::EmailPage>(language);
        try_all::<account::sessions::SessionsPage>(language);
        try_all::<admin::user::UserPage>(language);
        try_all::<admin::user::edit::EditPage>(language);
        try_all::<admin::user::new::NewPage>(language);
        try_all::<admin::audit::AuditPage>(language);
        try_all::<admin::sessions::AllSessionsPage>(language);
        crate::service::testing::every_mail(language);
        let used: BTreeSet<String> = i18n::used::take().into_iter().map(|(_, key)| key).collect();
        assert_eq!(used, i18n::tests::keys(language), "texts that nothing uses in {language:?}");
    }
    are_kept(&SEEN.take());
}

fn text_file(language: Language) {
    let view = recovery_codes::sample_view();
    let text = recovery_codes::text_file(language, &view);
    let lines: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
    assert!(lines.iter().all(|line| !line.contains(['\r', '\n'])), "{text:?}");
    let boxes: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("[ ] ")).collect();
    assert_eq!(boxes, view.codes.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>());
    for part in [": hanako.yamada", ": Shop admin", ": 2027-01-15"] {
        assert!(lines.iter().any(|line| line.ends_with(part)), "{text}");
    }
}

/// Elements that have no end tag (HTML §13.1.2).
const VOID: [&str; 4] = ["meta", "link", "input", "br"];

/// Tags nest, attributes are quoted, ids are unique and what refers to one finds it; and nothing is there that the
/// content policy would stop: a script is a file of ours and waits for the page.
fn well_formed(file: &str, html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut ids = BTreeSet::new();
    let mut references = Vec::new();
    let body = html.strip_prefix("<!doctype html>").expect("a doctype");
    for tag in body.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("{file}: a tag without end: {tag}"));
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{file}: end tag {name}");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap();
        assert!(!["style", "iframe", "object", "base"].contains(&name), "{file}: <{name}>");
        assert!(name != "script" || is_ours(&attributes(file, tag)), "{file}: <{tag}>");
        for attribute in attributes(file, tag) {
            let (key, value) = attribute;
            assert!(key != "style" && !key.starts_with("on"), "{file}: {key} in <{tag}>");
            match key {
                "id" => assert!(ids.insert(value.to_owned()), "{file}: the id {value} stands twice"),
                "for" | "aria-describedby" => references.extend(value.split(' ').map(str::to_owned)),
                _ => {}
            }
        }
        if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{file}: not ended: {open:?}");
    for reference in references {
        assert!(ids.contains(&reference), "{file}: nothing has the id {reference}");
    }
}

fn is_ours(script: &[(&str, &str)]) -> bool {
    let [("src", source), ("nonce", "bm9uY2U"), ("defer", "")] = script else { return false };
    source.ends_with(".js") && assets::all().iter().any(|asset| asset.path("/.sekisho") == *source)
}

fn attributes<'a>(file: &str, tag: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut rest = tag.split_once(' ').map_or("", |(_, rest)| rest).trim();
    let mut found = Vec::new();
    while !rest.is_empty() && rest != "/" {
        let end = rest.find([' ', '=']).unwrap_or(rest.len());
        let (key, tail) = rest.split_at(end);
        match tail.strip_prefix("=\"") {
            Some(tail) => {
                let (value, tail) = tail.split_once('"').unwrap_or_else(|| panic!("{file}: quotes in <{tag}>"));
                found.push((key, value));
                rest = tail.trim_start();
            }
            None => {
                assert!(!tail.starts_with('='), "{file}: no quotes in <{tag}>");
                found.push((key, ""));
                rest = tail.trim_start();
            }
        }
    }
    found
}
