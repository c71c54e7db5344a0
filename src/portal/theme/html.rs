//! Reads a page as far as a check needs it: its tags, and the forms that they make.

use std::collections::{BTreeMap, BTreeSet};

/// A start tag.
#[derive(Debug, PartialEq, Eq)]
pub struct Tag {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

impl Tag {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a form sends, and where to.
pub type Forms = BTreeMap<(String, String), BTreeSet<String>>;

/// Start and end tags in order; an end tag's name begins with `/`. Comments and what stands between tags is left out.
pub fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once('<') {
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
            continue;
        }
        if !after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') {
            rest = after;
            continue;
        }
        let end = after.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(after.len());
        let (name, tail) = after.split_at(end);
        let (attributes, tail) = attributes(tail);
        let name = name.trim_end_matches('/').to_ascii_lowercase();
        let raw = matches!(name.as_str(), "script" | "style" | "textarea" | "title");
        rest = if raw { tail.find(&format!("</{name}")).and_then(|at| tail.get(at..)).unwrap_or("") } else { tail };
        tags.push(Tag { name, attributes });
    }
    tags
}

fn attributes(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() {
            return (attributes, rest);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (attributes, after);
        }
        let end = rest.find(|c: char| c.is_whitespace() || "=>/".contains(c)).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end.max(rest.chars().next().map_or(0, char::len_utf8)));
        let name = name.to_ascii_lowercase();
        let Some(tail) = tail.trim_start().strip_prefix('=').map(str::trim_start) else {
            attributes.push((name, String::new()));
            rest = tail;
            continue;
        };
        let (value, tail) = match tail.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inner = tail.strip_prefix(quote).unwrap_or(tail);
                inner.split_once(quote).unwrap_or((inner, ""))
            }
            _ => tail.split_at(tail.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(tail.len())),
        };
        attributes.push((name, value.to_owned()));
        rest = tail;
    }
}

/// The forms that send something, by method and address; two to one address count as one.
pub fn forms(tags: &[Tag]) -> Forms {
    let mut forms = Forms::new();
    let mut by_id: BTreeMap<&str, (String, String)> = BTreeMap::new();
    let mut open: Option<(String, String)> = None;
    for tag in tags {
        let address = |tag: &Tag, method: &str, action: &str| {
            (tag.get(method).unwrap_or("get").to_ascii_lowercase(), tag.get(action).unwrap_or_default().to_owned())
        };
        match tag.name.as_str() {
            "form" => {
                let form = address(tag, "method", "action");
                if let Some(id) = tag.get("id") {
                    by_id.insert(id, form.clone());
                }
                forms.entry(form.clone()).or_default();
                open = Some(form);
            }
            "/form" => open = None,
            "input" | "button" | "select" | "textarea" => {
                let form = tag.get("form").and_then(|id| by_id.get(id).cloned()).or_else(|| open.clone());
                if let (Some(form), Some(name)) = (form, tag.get("name")) {
                    forms.entry(form).or_default().insert(name.to_owned());
                }
            }
            _ => {}
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_however_they_are_written() {
        let html = "<!doctype html><!-- <b> --><FORM Method=post action='/a?b' ><input name=\"x\" value=\"\"disabled><br/>a < b</form>\
                    <script>if (a<b) '<form>'</script><p class>";
        let read = tags(html);
        let names: Vec<_> = read.iter().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names, ["form", "input", "br", "/form", "script", "/script", "p"]);
        assert_eq!((read[0].get("method"), read[0].get("action")), (Some("post"), Some("/a?b")));
        assert_eq!((read[1].get("value"), read[1].get("disabled")), (Some(""), Some("")));
    }

    #[test]
    fn a_form_has_what_stands_in_it_and_what_names_it() {
        let html =
            "<form method=post action=/a id=f><input name=csrf></form><button form=f name=deed><form action=/b></form>";
        let forms = forms(&tags(html));
        let fields = |method: &str, action: &str| forms.get(&(method.to_owned(), action.to_owned())).map(BTreeSet::len);
        assert_eq!((fields("post", "/a"), fields("get", "/b")), (Some(2), Some(0)));
    }

    proptest::proptest! {
        #[test]
        fn no_page_makes_it_panic_or_hang(html in "[<>/='\" a-z!é-]{0,80}") {
            let _ = forms(&tags(&html));
        }
    }
}
