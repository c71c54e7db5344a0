//! `portal`, `mail`, `held`, `audit`: sekisho's own pages and what it sends and keeps.

use std::sync::Arc;

use super::server::reported;
use crate::authn::user::Email;
use crate::config::reader::Section;
use crate::config::values::{self, Bad, days, minutes, seconds};
use crate::config::{Audit, Held, Language, Mail, Portal, Smtp, SmtpSecurity, Theme, address, files};
use crate::secret::SecretString;

pub(super) fn portal(section: &mut Section<'_>) -> Portal {
    let path = section.field("path").parse(portal_path).unwrap_or_else(|| "/.sekisho".to_owned());
    let url = section.field("url").secret().parse(address::public_url);
    let host_field = section.field("host");
    let host = host_field.parse(values::host);
    if let (Some(url), Some(host)) = (&url, &host)
        && address::host_of(url) != Some(host.as_str())
    {
        let hint = format!("like \"https://{host}\": links in mails lead to the host that has the pages");
        host_field.error("is another host than that of `url`", Some(hint));
    }
    let admin_networks = section.within("admin", |section| {
        section.field("networks").list(|item| item.parse(values::network)).unwrap_or_default()
    });
    let languages = languages(section);
    let title = section.field("title").parse(values::label).unwrap_or_else(|| "Shop admin".to_owned());
    Portal { path, url, host, admin_networks, languages, title, theme: theme(section) }
}

fn theme(section: &mut Section<'_>) -> Option<Arc<Theme>> {
    let field = section.field("theme");
    match Theme::read(&field.path()?) {
        Ok((theme, problems)) => {
            section.context().report_elsewhere(problems);
            theme.map(Arc::new)
        }
        Err(why) => {
            field.error(why, Some("docs/theme.md says what belongs into it".to_owned()));
            None
        }
    }
}

fn portal_path(text: &str) -> Result<String, Bad> {
    let path = values::path(text)?.as_str().to_owned();
    if path == "/" {
        return Err(Bad::new("would leave no path to the tools").hint("like /.sekisho"));
    }
    if path.ends_with('/') {
        return Err(Bad::new("must not end with a slash"));
    }
    // It stands in cookies' and forms' addresses as it is, so it is kept to what needs no escaping anywhere.
    if path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-~".contains(c)) {
        Ok(path)
    } else {
        Err(Bad::new("must be letters, digits and / . _ - ~"))
    }
}

fn languages(section: &mut Section<'_>) -> Vec<Language> {
    let field = section.field("languages");
    let Some(languages) = field.list(|item| item.parse(values::language)) else {
        return vec![Language::Ja, Language::En];
    };
    if field.is_empty_list() {
        field.error("must name at least one language that the pages speak", Some("ja or en".to_owned()));
    }
    if languages.iter().enumerate().any(|(index, language)| languages.iter().take(index).any(|l| l == language)) {
        field.error("names a language twice", None);
    }
    languages
}

pub(super) fn mail(section: &mut Section<'_>) -> Option<Mail> {
    let from = section.field("from").required("like \"Shop admin <no-reply@example.com>\"").parse(mailbox);
    section.field("smtp").required("like {host: localhost, port: 25, security: none}");
    let smtp = section.optional("smtp", smtp).flatten();
    let subject = section.field("subject").parse(subject).unwrap_or_else(|| "{subject} - {title}".to_owned());
    Some(Mail { from: from?, subject, smtp: smtp? })
}

/// A line with `{subject}`, and perhaps `{title}`.
fn subject(text: &str) -> Result<String, Bad> {
    let text = values::label(text)?;
    let without = text.replace("{subject}", "").replace("{title}", "");
    if without.contains(['{', '}']) {
        return Err(Bad::new("has a placeholder that there is not").hint("{subject} and {title} are all there is"));
    }
    if !text.contains("{subject}") {
        return Err(Bad::new("does not say what a mail is about").hint("like \"{subject} - {title}\""));
    }
    Ok(text)
}

/// `name@example.com`, `Some Name <name@example.com>`.
fn mailbox(text: &str) -> Result<String, Bad> {
    let form = || Bad::new("is not a sender").hint("like \"Shop admin <no-reply@example.com>\"");
    let (name, address) = match text.strip_suffix('>').and_then(|text| text.split_once('<')) {
        Some((name, address)) => (name.trim(), address),
        None => ("", text),
    };
    address.parse::<Email>().map_err(|_| form())?;
    // What would need quoting in a header is refused rather than quoted (RFC 5322 §3.2.3).
    if name.chars().any(|c| c.is_control() || "<>\"\\,;:@()[]".contains(c)) {
        return Err(form());
    }
    Ok(text.to_owned())
}

fn smtp(section: &mut Section<'_>) -> Option<Smtp> {
    let host = section.field("host").required("the mail server's name").parse(values::host);
    let port = section.integer("port", 587, 1..=65_535);
    let modes = [("starttls", SmtpSecurity::StartTls), ("tls", SmtpSecurity::Tls), ("none", SmtpSecurity::None)];
    let security_field = section.field("security");
    let security = security_field.choice(&modes).unwrap_or(SmtpSecurity::StartTls);
    let username = section.field("username");
    let password = section.text_or_file("password", "password_file").secret();
    if username.given() != password.given() {
        let (given, missing) =
            if username.given() { (&username, "`password` or `password_file`") } else { (&password, "`username`") };
        given.error(format!("needs {missing} beside it"), None);
    }
    let authority = section.field("ca");
    let authorities = authority.path().and_then(|path| reported(&authority, files::chain(&path)));
    if authority.given() && security == SmtpSecurity::None {
        authority.error("has no use where `security` is none", None);
    }
    let name = username.text();
    let secret = password.text().map(SecretString::from);
    let host = host?;
    if security == SmtpSecurity::None && secret.is_some() && host.as_str() != "localhost" {
        let hint = "use starttls or tls".to_owned();
        security_field.error("would send the password over the network in clear", Some(hint));
    }
    Some(Smtp {
        host: host.to_string(),
        port,
        security,
        credentials: name.zip(secret),
        authorities: authorities.unwrap_or_default(),
    })
}

/// Forms kept over a login. Each is read into memory as a whole, so that the largest one has a bound.
pub(super) fn held(section: &mut Section<'_>) -> Held {
    const MIB: u64 = 1 << 20;
    let max_size = section.field("max_size").size(1..=16 * MIB).unwrap_or(MIB);
    Held {
        max_size: usize::try_from(max_size).unwrap_or(usize::MAX),
        lifetime: section.duration("lifetime", minutes(10), seconds(10)..=days(1)),
        per_session: section.integer("per_session", 3, 1..=100),
        total: section.field("total").size(1..=64 * 1024 * MIB).unwrap_or(64 * MIB),
    }
}

pub(super) fn audit(section: &mut Section<'_>) -> Audit {
    let field = section.field("file");
    let file = field.path();
    if let Some((problem, hint)) = file.as_deref().and_then(files::hard_to_append) {
        field.warn(problem, Some(hint));
    }
    Audit { file, retain: section.duration("retain", days(400), days(1)..=days(36_500)) }
}
