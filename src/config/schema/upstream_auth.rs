//! `upstream_auth`: how sekisho signs in to the route's tool.

use crate::authz::Access;
use crate::config::UpstreamAuth;
use crate::config::diagnostic::Place;
use crate::config::reader::Section;
use crate::config::values::Bad;

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
    let username = section.field("username").required("").parse(user_id);
    let password = section.text_or_file("password", "password_file").secret();
    let password = password.required("or `password_file`").parse(secret);
    Some(UpstreamAuth::Basic { username: username?, password: password?.into() })
}

fn bearer(section: &mut Section<'_>) -> Option<UpstreamAuth> {
    let token = section.text_or_file("token", "token_file").secret();
    let token = token.required("or `token_file`").parse(token_text)?;
    Some(UpstreamAuth::Bearer { token: token.into() })
}

/// A user-id of RFC 7617 §2: the first colon ends it.
fn user_id(text: &str) -> Result<String, Bad> {
    match secret(text) {
        Ok(_) if text.contains(':') => Err(Bad::new("must not have a colon, which ends a name in HTTP Basic")),
        other => other,
    }
}

fn secret(text: &str) -> Result<String, Bad> {
    if text.chars().any(char::is_control) {
        Err(Bad::new("must be one line, without control characters"))
    } else {
        Ok(text.to_owned())
    }
}

/// What can stand behind `Bearer`: what tools call a token is not always the `b64token` of RFC 6750 §2.1.
fn token_text(text: &str) -> Result<String, Bad> {
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(Bad::new("must be visible ASCII characters, without blanks"))
    }
}
