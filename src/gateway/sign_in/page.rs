//! A tool's login page, read as a browser reads it: which form is the login's, and what it would send.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use scraper::{ElementRef, Html};
use zeroize::Zeroizing;

use crate::authn::tool_login::Credentials;
use crate::config::LoginForm;
use crate::secret::ExposeSecret;

/// A login form as it is sent. Its `Debug` shows no field.
pub struct Filled {
    /// As the page spells it; empty: the page's own address.
    pub action: String,
    /// What the page says addresses begin with.
    pub base: Option<String>,
    body: Zeroizing<String>,
}

/// Why the page cannot be signed in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("no form on its login page has the field for the password")]
    NoForm,
    /// Passwords would stand in addresses, and so in logs.
    #[error("its login form is not sent by POST")]
    NotPosted,
    #[error("its login form is of a kind (enctype) that is not spoken here")]
    Enctype,
}

impl Filled {
    pub fn body(&self) -> &str {
        &self.body
    }
}

impl std::fmt::Debug for Filled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filled").field("action", &self.action).finish_non_exhaustive()
    }
}

/// Fills in the form of this page that has the field for the password. Everything else that the page would send goes along:
/// tokens against cross-site requests, ticked boxes, the button that a press of Enter would press.
pub fn fill(html: &str, form: &LoginForm, credentials: &Credentials) -> Result<Filled, Unfit> {
    let document = Html::parse_document(html);
    let elements: Vec<ElementRef<'_>> = document.root_element().descendants().filter_map(ElementRef::wrap).collect();
    let owners = owners(&elements);
    let password = elements
        .iter()
        .position(|element| is_control(*element) && element.attr("name") == Some(form.password_field.as_str()));
    let owner = password.and_then(|index| owners.get(index).copied().flatten()).ok_or(Unfit::NoForm)?;
    let owning = elements.get(owner).ok_or(Unfit::NoForm)?;
    let is_posted = owning.attr("method").is_some_and(|method| method.trim().eq_ignore_ascii_case("post"));
    if !is_posted && form.submit_to.is_none() {
        return Err(Unfit::NotPosted);
    }
    if owning.attr("enctype").is_some_and(|kind| !kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
    {
        return Err(Unfit::Enctype);
    }
    let own = elements.iter().zip(&owners).filter(|(_, of)| **of == Some(owner)).map(|(element, _)| *element);
    let given = [
        (form.username_field.as_str(), credentials.username()),
        (form.password_field.as_str(), credentials.secret().expose_secret()),
    ];
    let given: Vec<_> =
        given.into_iter().chain(form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))).collect();
    let mut body = Zeroizing::new(String::new());
    let mut button_pressed = false;
    for control in own {
        let is_button = is_submit(control) && control.attr("disabled").is_none();
        if is_button && std::mem::replace(&mut button_pressed, true) {
            continue;
        }
        let Some(name) = control.attr("name").filter(|name| !name.is_empty()) else { continue };
        if given.iter().any(|(known, _)| *known == name) {
            continue;
        }
        for value in values(control) {
            append(&mut body, name, &value);
        }
    }
    for (name, value) in given {
        append(&mut body, name, value);
    }
    let base = elements.iter().find(|element| element.value().name() == "base").and_then(|base| base.attr("href"));
    Ok(Filled {
        action: owning.attr("action").unwrap_or_default().trim().to_owned(),
        base: base.map(str::to_owned),
        body,
    })
}

/// The form of each element, by its place: the one that it names, the one that it stands in, or, in tables that old tools put a
/// form's tags between, the last one that was opened and has nothing in it.
fn owners(elements: &[ElementRef<'_>]) -> Vec<Option<usize>> {
    let is_form = |element: &ElementRef<'_>| element.value().name() == "form";
    let forms: Vec<usize> =
        elements.iter().enumerate().filter(|(_, one)| is_form(one)).map(|(index, _)| index).collect();
    let form_at = |index: usize| elements.get(index);
    let mut opened = None;
    let mut owners = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        if is_form(element) {
            let is_empty = !element.descendants().filter_map(ElementRef::wrap).any(is_control);
            let parent = element.parent().and_then(ElementRef::wrap);
            let table =
                parent.filter(|parent| matches!(parent.value().name(), "table" | "tbody" | "thead" | "tfoot" | "tr"));
            opened = table.filter(|_| is_empty).map(|table| (index, table.id()));
        }
        let named = element.attr("form").map(|id| {
            forms.iter().copied().find(|form| form_at(*form).is_some_and(|form| form.attr("id") == Some(id)))
        });
        let around = || {
            let around = element.ancestors().filter_map(ElementRef::wrap).find(|one| is_form(one))?;
            forms.iter().copied().find(|form| form_at(*form).is_some_and(|form| form.id() == around.id()))
        };
        owners.push(match named {
            Some(named) => named,
            None => around().or_else(|| {
                let (form, table) = opened?;
                element.ancestors().any(|one| one.id() == table).then_some(form)
            }),
        });
    }
    owners
}

fn is_control(element: ElementRef<'_>) -> bool {
    matches!(element.value().name(), "input" | "select" | "textarea" | "button")
}

fn kind(control: ElementRef<'_>) -> String {
    let default = if control.value().name() == "button" { "submit" } else { "text" };
    control.attr("type").unwrap_or(default).trim().to_ascii_lowercase()
}

fn is_submit(control: ElementRef<'_>) -> bool {
    matches!(control.value().name(), "input" | "button") && matches!(kind(control).as_str(), "submit" | "image")
}

/// What a control sends (HTML, "constructing the entry list").
fn values(control: ElementRef<'_>) -> Vec<String> {
    if control.attr("disabled").is_some() {
        return Vec::new();
    }
    let value = || control.attr("value").map(str::to_owned);
    match control.value().name() {
        "input" | "button" => match kind(control).as_str() {
            "checkbox" | "radio" if control.attr("checked").is_none() => Vec::new(),
            "checkbox" | "radio" => vec![value().unwrap_or_else(|| "on".to_owned())],
            "button" | "reset" | "file" | "image" => Vec::new(),
            _ => vec![value().unwrap_or_default()],
        },
        "textarea" => vec![control.text().collect()],
        "select" => {
            let options: Vec<_> = control
                .descendants()
                .filter_map(ElementRef::wrap)
                .filter(|one| one.value().name() == "option" && one.attr("disabled").is_none())
                .collect();
            let chosen: Vec<_> = options.iter().filter(|one| one.attr("selected").is_some()).collect();
            let value = |option: &ElementRef<'_>| match option.attr("value") {
                Some(value) => value.to_owned(),
                None => option.text().collect::<String>().trim().to_owned(),
            };
            match (chosen.as_slice(), control.attr("multiple").is_some()) {
                ([], true) => Vec::new(),
                ([], false) => options.first().map(value).into_iter().collect(),
                (chosen, true) => chosen.iter().map(|option| value(option)).collect(),
                ([.., last], false) => vec![value(last)],
            }
        }
        _ => Vec::new(),
    }
}

fn append(body: &mut String, name: &str, value: &str) {
    if !body.is_empty() {
        body.push('&');
    }
    body.extend(utf8_percent_encode(name, NON_ALPHANUMERIC));
    body.push('=');
    body.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::tool_login::Kind;
    use crate::config::{LoginForm, ToolCookies};

    fn form() -> LoginForm {
        LoginForm {
            page: "/login".to_owned(),
            username_field: "user".to_owned(),
            password_field: "pass".to_owned(),
            fields: Vec::new(),
            submit_to: None,
            logout: None,
            success: crate::config::SignedIn::default(),
            ended: crate::config::SignedOut::default(),
            cookies: ToolCookies::Kept,
        }
    }

    fn filled(html: &str, form: &LoginForm) -> Result<(String, String), Unfit> {
        let credentials = Credentials::new(Kind::Form, "alice", "p&ss=1".into()).unwrap();
        fill(html, form, &credentials).map(|filled| (filled.action.clone(), filled.body().to_owned()))
    }

    const WHO: &str = "user=alice&pass=p%26ss%3D1";

    #[test]
    fn what_a_browser_would_send_is_sent() {
        for (html, action, others) in [
            ("<form method=post action=/in><input name=user><input type=password name=pass></form>", "/in", ""),
            (
                "<form action='/search'><input name=q></form><form METHOD=POST action='in?a=1&amp;b=2'>\
                 <input type=hidden name=csrf value='a&quot;b<c'><input name=user value=root><input name=pass>\
                 <input type=checkbox name=keep><input type=checkbox name=tos checked><input type=radio name=r value=1>\
                 <input type=radio name=r value=2 checked><input name=off disabled value=x><input type=reset name=re value=x>\
                 <select name=lang><option value=en>English<option selected value=ja>日本語</select>\
                 <select name=server><option> 1 </option><option>2</option></select><textarea name=note>a b</textarea>\
                 <button name=go value=yes>In</button><input type=submit name=other value=no></form>",
                "in?a=1&b=2",
                "csrf=a%22b%3Cc&tos=on&r=2&lang=ja&server=1&note=a%20b&go=yes&",
            ),
            (
                "<form id=f method=post></form><input form=f name=csrf value=1><input form=f name=pass><input name=lost value=1>",
                "",
                "csrf=1&",
            ),
            (
                "<table><form method=post action=/t><tr><td><input type=hidden name=csrf value=1><input name=user>\
                 <input name=pass></td></tr></form></table>",
                "/t",
                "csrf=1&",
            ),
        ] {
            assert_eq!(filled(html, &form()).unwrap(), (action.to_owned(), format!("{others}{WHO}")), "{html}");
        }
    }

    #[test]
    fn the_configurations_fields_stand_over_the_pages() {
        let form = LoginForm { fields: vec![("server".to_owned(), "db 2".to_owned())], ..form() };
        let html = "<form method=post><input name=server value=db1><input name=x value=1><input name=pass></form>";
        assert_eq!(filled(html, &form).unwrap().1, format!("x=1&{WHO}&server=db%202"));
    }

    #[test]
    fn no_password_goes_into_an_address_or_to_another_form() {
        for (html, expected) in [
            ("", Unfit::NoForm),
            ("<form method=post><input name=user></form>", Unfit::NoForm),
            ("<!-- <form method=post><input name=pass></form> -->", Unfit::NoForm),
            ("<script>'<form method=post><input name=pass></form>'</script>", Unfit::NoForm),
            ("<form><input name=pass></form>", Unfit::NotPosted),
            ("<form method=get><input name=pass></form>", Unfit::NotPosted),
            ("<form method=dialog><input name=pass></form>", Unfit::NotPosted),
            ("<form method=post enctype=multipart/form-data><input name=pass></form>", Unfit::Enctype),
            ("<form method=post enctype=text/plain><input name=pass></form>", Unfit::Enctype),
        ] {
            assert_eq!(filled(html, &form()).err(), Some(expected), "{html}");
        }
        let posted = LoginForm { submit_to: Some("/in".to_owned()), ..form() };
        assert!(filled("<form><input name=pass></form>", &posted).is_ok());
    }
}
