//! `upstream_auth`: how sekisho signs in to the route's tool.

use crate::authn::tool_login::{Credentials, Kind, Unusable};
use crate::authz::Access;
use crate::config::diagnostic::Place;
use crate::config::reader::Section;
use crate::config::values::Bad;
use crate::config::{UpstreamAuth, Way, Whose};
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
        let ways = ["basic", "bearer"].map(|way| section.field(way));
        let mut given = ways.iter().filter(|way| way.given());
        match (given.next(), given.next()) {
            (None, _) => {
                let hint =
                    "one of `basic` and `bearer`, like {basic: {username: admin, password_file: FILE}}".to_owned();
                section.context().error(section.place(), "`upstream_auth` names no way to sign in", Some(hint));
            }
            (Some(_), Some(second)) => {
                second.error_at_key("another way to sign in is given as well", Some("keep one of them".to_owned()));
            }
            (Some(_), None) => {}
        }
        let basic = section.optional("basic", basic);
        let bearer = section.optional("bearer", bearer);
        basic.or(bearer).flatten()
    });
    auth.flatten().map(|auth| (auth, place))
}

fn basic(section: &mut Section<'_>) -> Option<UpstreamAuth> {
    whose(section, Kind::Basic).map(|whose| UpstreamAuth { way: Way::Basic, whose })
}

fn bearer(section: &mut Section<'_>) -> Option<UpstreamAuth> {
    whose(section, Kind::Bearer).map(|whose| UpstreamAuth { way: Way::Bearer, whose })
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
