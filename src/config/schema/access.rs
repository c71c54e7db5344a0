//! `identity`: what upstreams are told about the account. The same headers stand on a route.

use http::HeaderName;

use crate::config::header_name::normal;
use crate::config::reader::{Field, Section};
use crate::config::{HeaderEncoding, HeaderTemplate, HeaderTemplates, Identity, TemplatePart, header_name, template};

pub(super) fn identity(section: &mut Section<'_>) -> Identity {
    let field = section.field("headers");
    let headers = if field.given() {
        // A list of one's own stands in the place of the built-in one; an empty text is a header that is not sent.
        headers(&field).into_iter().filter(|header| !header.template.0.is_empty()).map(Header::into_pair).collect()
    } else {
        default_headers()
    };
    let encodings =
        [("percent", HeaderEncoding::Percent), ("utf8", HeaderEncoding::Utf8), ("rfc2047", HeaderEncoding::Rfc2047)];
    Identity {
        headers,
        encoding: section.choice("encoding", HeaderEncoding::Percent, &encodings),
        strip: section.field("strip").list(|item| item.parse(header_name::stripped)).unwrap_or_default(),
        assertion: section.boolean("assertion", false),
    }
}

fn default_headers() -> HeaderTemplates {
    let header = |name, part| (HeaderName::from_static(name), HeaderTemplate(vec![part]));
    vec![
        header("remote-user", TemplatePart::Login),
        header("remote-groups", TemplatePart::Groups),
        header("remote-email", TemplatePart::Email),
        header("remote-name", TemplatePart::Name),
    ]
}

/// A header of the file, with its field for what is found out about it later.
pub(in crate::config) struct Header<'a> {
    pub name: HeaderName,
    pub template: HeaderTemplate,
    pub field: Field<'a>,
}

impl Header<'_> {
    fn into_pair(self) -> (HeaderName, HeaderTemplate) {
        (self.name, self.template)
    }
}

/// Reads names and templates. Two spellings of one name (`Remote-User`, `remote_user`) are an error.
pub(super) fn headers<'a>(field: &Field<'a>) -> Vec<Header<'a>> {
    let mut headers: Vec<Header<'a>> = Vec::new();
    for (key, field) in field.entries().unwrap_or_default() {
        let name = match header_name::of_identity(key) {
            Ok(name) => name,
            Err(bad) => {
                field.error_at_key(bad.rule, bad.hint);
                continue;
            }
        };
        let same = |earlier: &&Header| normal(earlier.name.as_str()) == normal(name.as_str());
        if let Some(earlier) = headers.iter().find(same) {
            let hint = format!("it stands on line {} already, maybe spelled otherwise", earlier.field.key_place().line);
            field.error_at_key("the header is given twice", Some(hint));
            continue;
        }
        if let Some(template) = field.parse_or_empty(template::parse) {
            headers.push(Header { name, template, field });
        }
    }
    headers
}
