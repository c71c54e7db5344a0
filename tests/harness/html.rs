//! Forms out of a page: enough of HTML for pages that are well-formed, as ours and Debian's are.

/// A form as a browser would send it if nothing were filled in.
#[derive(Debug, Clone, Default)]
pub struct Form {
    pub action: String,
    /// `GET` or `POST`.
    pub method: String,
    /// Names and values of `input`, `button` and `textarea`, in their order; unticked boxes are left out.
    pub fields: Vec<(String, String)>,
    /// Every named control, ticked or not.
    pub names: Vec<String>,
    /// Boxes that are not ticked, with what they send when they are.
    pub boxes: Vec<(String, String)>,
}

impl Form {
    /// Fills a field in, or adds it.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Ticks a box.
    #[must_use]
    #[track_caller]
    pub fn ticked(mut self, name: &str) -> Self {
        if self.field(name).is_none() {
            let found = self.boxes.iter().find(|(key, _)| key == name).cloned();
            self.fields.push(found.unwrap_or_else(|| panic!("no box `{name}`: {self:?}")));
        }
        self
    }

    /// The field's value.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body that a browser would send.
    pub fn encoded(&self) -> String {
        encode(&self.fields)
    }
}

/// `application/x-www-form-urlencoded`.
pub fn encode<K: AsRef<str>, V: AsRef<str>>(fields: &[(K, V)]) -> String {
    fields.iter().map(|(k, v)| format!("{}={}", encoded(k.as_ref()), encoded(v.as_ref()))).collect::<Vec<_>>().join("&")
}

/// One value, percent-encoded.
pub fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// All forms of a page.
pub fn forms(page: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut inside = false;
    for tag in tags(page) {
        match tag.name.as_str() {
            "form" => {
                inside = true;
                forms.push(Form {
                    action: tag.attribute("action").unwrap_or_default(),
                    method: tag.attribute("method").unwrap_or_else(|| "get".into()).to_uppercase(),
                    ..Form::default()
                });
            }
            "/form" => inside = false,
            "input" | "button" | "textarea" | "select" if inside => {
                let (Some(form), Some(name)) = (forms.last_mut(), tag.attribute("name")) else { continue };
                let kind = tag.attribute("type").unwrap_or_default();
                let unticked = matches!(kind.as_str(), "checkbox" | "radio") && tag.attribute("checked").is_none();
                form.names.push(name.clone());
                let value = tag.attribute("value");
                if unticked {
                    form.boxes.push((name, value.unwrap_or_else(|| "on".into())));
                } else if tag.name != "button" {
                    form.fields.push((name, value.unwrap_or_default()));
                }
            }
            _ => {}
        }
    }
    forms
}

/// The text of a page without its tags, blanks folded.
pub fn text(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some(open) = rest.find('<') {
        text.push_str(&rest[..open]);
        text.push(' ');
        rest = rest[open..].find('>').map_or("", |close| &rest[open + close + 1..]);
    }
    text.push_str(rest);
    unescape(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn attribute(&self, name: &str) -> Option<String> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }
}

fn tags(page: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(open) = rest.find('<') {
        rest = &rest[open + 1..];
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '/' || *c == '-').collect();
        rest = &rest[name.len()..];
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            if rest.is_empty() || rest.starts_with(['>', '<']) {
                break;
            }
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>')).unwrap_or(rest.len());
            let key = rest[..end].to_lowercase();
            rest = rest[end..].trim_start();
            let value;
            (value, rest) = match rest.strip_prefix('=').map(str::trim_start) {
                None => (String::new(), rest),
                Some(after) => match after.chars().next() {
                    Some(quote @ ('"' | '\'')) => {
                        let close = after[1..].find(quote).map_or(after.len(), |at| at + 1);
                        (unescape(&after[1..close]), after.get(close + 1..).unwrap_or_default())
                    }
                    _ => {
                        let end = after.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(after.len());
                        (unescape(&after[..end]), &after[end..])
                    }
                },
            };
            if key.is_empty() {
                break;
            }
            attributes.push((key, value));
        }
        tags.push(Tag { name: name.to_lowercase(), attributes });
    }
    tags
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(end) = rest.find(';').filter(|end| *end < 10) else {
            plain.push('&');
            rest = &rest[1..];
            continue;
        };
        let entity = &rest[1..end];
        let number = entity.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        });
        match (entity, number.and_then(char::from_u32)) {
            (_, Some(letter)) => plain.push(letter),
            ("amp", _) => plain.push('&'),
            ("lt", _) => plain.push('<'),
            ("gt", _) => plain.push('>'),
            ("quot", _) => plain.push('"'),
            ("apos", _) => plain.push('\''),
            ("nbsp", _) => plain.push(' '),
            _ => plain.push_str(&rest[..=end]),
        }
        rest = &rest[end + 1..];
    }
    plain.push_str(rest);
    plain
}
