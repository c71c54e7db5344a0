//! `upstream_auth`: how sekisho signs in to the route's tool.

use crate::authn::tool_login::{Credentials, Kind, Unusable};
use crate::authz::Access;
use crate::config::diagnostic::Place;
use crate::config::reader::{Field, Section};
use crate::config::values::{self, Bad};
use crate::config::{LoginForm, SignedIn, SignedOut, ToolCookies, UpstreamAuth, Way, Whose};
use crate::secret::SecretString;

/// What the section says, and where its key stands.
pub(in crate::config) type Draft = (UpstreamAuth, Place);

pub(super) fn upstream_auth(section: &mut Section<'_>, access: Access) -> Option<Draft> {
    let field = section.field("upstream_auth");
    if field.given() && access == Access::Public {
        let hint = "use `access: authenticated`".to_owned();
        field.error_at_key(
            "only who is known is signed in to the tool, and this route asks nobody who it is",
            Some(hint),
        );
    }
    let place = field.key_place();
    let auth = section.optional("upstream_auth", |section| {
        let ways = ["basic", "bearer", "form"].map(|way| section.field(way));
        let mut given = ways.iter().filter(|way| way.given());
        match (given.next(), given.next()) {
            (None, _) => {
                let hint = "one of `basic`, `bearer` and `form`, like {basic: {username: admin, password_file: FILE}}"
                    .to_owned();
                section.context().error(section.place(), "`upstream_auth` names no way to sign in", Some(hint));
            }
            (Some(_), Some(second)) => {
                second.error_at_key("another way to sign in is given as well", Some("keep one of them".to_owned()));
            }
            (Some(_), None) => {}
        }
        let basic = section.optional("basic", basic);
        let bearer = section.optional("bearer", bearer);
        let form = section.optional("form", form);
        basic.or(bearer).or(form).flatten()
    });
    auth.flatten().map(|auth| (auth, place))
}

fn basic(section: &mut Section<'_>) -> Option<UpstreamAuth> {
    whose(section, Kind::Basic).map(|whose| UpstreamAuth { way: Way::Basic, whose })
}

fn bearer(section: &mut Section<'_>) -> Option<UpstreamAuth> {
    whose(section, Kind::Bearer).map(|whose| UpstreamAuth { way: Way::Bearer, whose })
}

fn form(section: &mut Section<'_>) -> Option<UpstreamAuth> {
    let whose = whose(section, Kind::Form);
    let page = section.field("page").required("the path of the tool's login page, like /login").parse(address);
    let named = |field: Field<'_>, default: &str| match field.given() {
        true => field.text(),
        false => Some(default.to_owned()),
    };
    let username_field = named(section.field("username_field"), "username");
    let password_field = named(section.field("password_field"), "password");
    let fields = section.field("fields").entries().unwrap_or_default();
    let fields = fields.into_iter().filter_map(|(name, field)| {
        let value = field.secret().parse_or_empty(|text| Ok(text.to_owned()));
        value.map(|value| (name.to_owned(), value))
    });
    let fields = fields.collect();
    let submit_to = section.field("submit_to").parse(address);
    let logout = section.field("logout").parse(path);
    let place = section.place();
    let success = section.within("success", |section| {
        let status = section.field("status").integer(200..=399);
        let redirect_to = section.field("redirect_to").parse(path);
        let cookie = section.field("cookie").parse(values::cookie_name);
        SignedIn { status: status.and_then(|status| u16::try_from(status).ok()), redirect_to, cookie }
    });
    if success.status.is_none() && success.redirect_to.is_none() && success.cookie.is_none() {
        let hint = "one of `cookie`, `redirect_to` and `status`; the surest is the tool's session cookie";
        let message = "`upstream_auth.form.success` names no sign by which a login that was right is known";
        section.context().error(place, message, Some(hint.to_owned()));
    }
    let ended = section.within("ended", |section| {
        let status = section.field("status").integer(400..=499);
        let redirect_to = section.field("redirect_to").parse(path);
        SignedOut { status: status.and_then(|status| u16::try_from(status).ok()), redirect_to }
    });
    let cookies = [("kept", ToolCookies::Kept), ("browser", ToolCookies::Browser)];
    let cookies = section.choice("cookies", ToolCookies::Kept, &cookies);
    let form = LoginForm {
        page: page?,
        username_field: username_field?,
        password_field: password_field?,
        fields,
        submit_to,
        logout,
        success,
        ended,
        cookies,
    };
    if form.success.redirect_to.as_deref() == Some(form.leads_back_to()) {
        let hint = "name another path in `ended.redirect_to`, or know the login by its `cookie`".to_owned();
        let message = "a login that was right leads where one does that is over: the two cannot be told apart";
        section.context().error(place, message, Some(hint));
    }
    Some(UpstreamAuth { way: Way::Form(Box::new(form)), whose: whose? })
}

/// A path with or without a query, as it stands in a request line.
fn address(text: &str) -> Result<String, Bad> {
    let is_one = text.starts_with('/') && !text.starts_with("//");
    let is_one = is_one && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\');
    if is_one { Ok(text.to_owned()) } else { Err(Bad::new("must be a path on the tool, like /login")) }
}

fn path(text: &str) -> Result<String, Bad> {
    address(text)
        .and_then(|path| if path.contains('?') { Err(Bad::new("must be a path without a query")) } else { Ok(path) })
}

/// The configuration's own credentials, or each account's.
fn whose(section: &mut Section<'_>, kind: Kind) -> Option<Whose> {
    let (key, key_file) = if kind.has_name() { ("password", "password_file") } else { ("token", "token_file") };
    let username = kind.has_name().then(|| section.field("username"));
    let secret = section.text_or_file(key, key_file).secret();
    if section.boolean("per_account", false) {
        let given = username.iter().chain([&secret]).find(|field| field.given());
        if let Some(given) = given {
            given.error_at_key("`per_account: true` is given as well", Some("keep one of the two".to_owned()));
        }
        return Some(Whose::PerAccount);
    }
    let hint = "or `per_account: true`";
    let checked = |text: &str, check: Result<(), Unusable>| match check {
        Ok(()) => Ok(text.to_owned()),
        Err(why) => Err(Bad::new(why.to_string())),
    };
    let username = match username {
        Some(field) => field.required(hint).parse(|text| checked(text, kind.check_name(text))),
        None => Some(String::new()),
    };
    let hint = format!("or `{key_file}`, {hint}");
    let secret = secret.required(&hint).parse(|text| checked(text, kind.check_secret(text)).map(SecretString::from));
    Credentials::new(kind, &username?, secret?).ok().map(Whose::Everybody)
}
