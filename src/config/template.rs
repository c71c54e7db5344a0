//! Header templates: text with `{login}`, `{id}`, `{name}`, `{email}`, `{groups}`, `{role}`; `{{` and `}}` are braces.

use super::values::Bad;
use super::{HeaderTemplate, TemplatePart};

const PLACEHOLDERS: &str = "the placeholders are {login} {id} {name} {email} {groups} {role}";

/// Reads a template. An empty one has no parts.
pub(super) fn parse(text: &str) -> Result<HeaderTemplate, Bad> {
    if text.chars().any(char::is_control) {
        return Err(Bad::new("must not hold control characters"));
    }
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        literal.push_str(before);
        if let Some(after) = from.strip_prefix("{{") {
            literal.push('{');
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            literal.push('}');
            rest = after;
        } else {
            let inner = from.strip_prefix('{').and_then(|from| from.split_once('}'));
            let (name, after) = inner.ok_or_else(|| {
                Bad::new("has a brace without its other half").hint("write {{ or }} for a brace itself")
            })?;
            if !literal.is_empty() {
                parts.push(TemplatePart::Text(std::mem::take(&mut literal)));
            }
            parts.push(placeholder(name)?);
            rest = after;
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(TemplatePart::Text(literal));
    }
    Ok(HeaderTemplate(parts))
}

fn placeholder(name: &str) -> Result<TemplatePart, Bad> {
    match name {
        "id" => Ok(TemplatePart::Id),
        "login" => Ok(TemplatePart::Login),
        "name" => Ok(TemplatePart::Name),
        "email" => Ok(TemplatePart::Email),
        "groups" => Ok(TemplatePart::Groups),
        "role" => Ok(TemplatePart::Role),
        _ => Err(Bad::new("has an unknown placeholder").hint(PLACEHOLDERS)),
    }
}
