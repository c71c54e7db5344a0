//! The schema: which keys there are, what each may say, and its default. What spans several sections is checked when the
//! [`Draft`] becomes a [`Config`](super::Config), in [`super::validate`].

mod access;
mod login;
mod portal;
pub(super) mod route;
mod server;
pub(super) mod upstream;
pub(super) mod upstream_auth;

use std::path::PathBuf;

use super::files;
use super::reader::Section;
use super::{Audit, Held, Identity, Lockout, Log, Mail, Password, Portal, SecondFactor, Server, Session, Store};
use crate::secret::Keys;

/// Everything the file says, each part valid in itself. `None` where a required part is missing or wrong, which has been
/// reported.
pub(super) struct Draft {
    pub server: Server,
    pub log: Log,
    pub store: Option<Store>,
    /// The file to keep the store's id beside, the one that they were read from, and the keys.
    pub keys: Option<(PathBuf, PathBuf, Keys)>,
    pub session: Session,
    pub second_factor: SecondFactor,
    pub password: Password,
    pub lockout: Lockout,
    pub mail: Option<Mail>,
    pub portal: Portal,
    pub identity: Identity,
    pub held: Held,
    pub audit: Audit,
    pub routes: Vec<route::Draft>,
}

/// Reads the whole file.
pub(super) fn read(root: &mut Section<'_>) -> Draft {
    let server = root.within("server", server::server);
    let log = root.within("log", server::log);
    root.field("store").required("the least is `store: {path: /var/lib/sekisho}`");
    let store = root.optional("store", server::store).flatten();
    root.field("secrets").required("`sekisho key generate FILE` makes a key; name it as `secrets: {key_file: FILE}`");
    let keys = root.optional("secrets", secrets).flatten();
    let session = root.within("session", login::session);
    let portal = root.within("portal", portal::portal);
    let mail_field = root.field("mail");
    if mail_field.given() && portal.url.is_none() {
        // Links in mails come from the configuration alone, never from a request's Host.
        let hint = "like \"https://shop-admin.example.com\"; links in mails lead there".to_owned();
        mail_field.error("needs `portal.url` beside it", Some(hint));
    }
    let mail = root.optional("mail", portal::mail).flatten();
    let second_factor =
        root.within("second_factor", |section| login::second_factor(section, &portal.title, mail.is_some()));
    let password = root.within("password", login::password);
    let lockout = root.within("lockout", login::lockout);
    let identity = root.within("identity", access::identity);
    let held = root.within("held", portal::held);
    let audit = root.within("audit", portal::audit);
    let routes = route::routes(root);
    Draft {
        server,
        log,
        store,
        keys,
        session,
        second_factor,
        password,
        lockout,
        mail,
        portal,
        identity,
        held,
        audit,
        routes,
    }
}

fn secrets(section: &mut Section<'_>) -> Option<(PathBuf, PathBuf, Keys)> {
    let field = section.field("key_file").required("`sekisho key generate FILE` makes one");
    let path = field.path()?;
    match files::keys(&path) {
        Ok(keys) => Some((field.path_to_keep_beside()?, path, keys)),
        Err(bad) => {
            field.error(bad.rule, bad.hint);
            None
        }
    }
}
