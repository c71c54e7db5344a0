//! The list of Authelia's file backend: `users:`, and below it for each login `password`, `displayname`, `email`, `groups`,
//! `disabled`. What else stands there sekisho has no place for.

use super::{Draft, Entry, Given, NoList, bare};
use crate::authn::user::{DisplayName, Email, Group, LoginName};
use crate::config::yaml::{self, Entry as Pair, Kind, Node};

pub fn read(text: &str, given: &Given) -> Result<Vec<Entry>, NoList> {
    let root = yaml::parse(text).map_err(|error| NoList::NoYaml { line: error.place.line, message: error.message })?;
    let Kind::Map(pairs) = &root.kind else { return Err(NoList::NoUsers) };
    let users = pairs.iter().find(|pair| pair.key.as_deref() == Some("users")).ok_or(NoList::NoUsers)?;
    match &users.node.kind {
        Kind::Map(users) => Ok(users.iter().map(|user| entry(user, given)).collect()),
        Kind::Null => Ok(Vec::new()),
        _ => Err(NoList::NoUsers),
    }
}

fn entry(user: &Pair, given: &Given) -> Entry {
    let line = user.key_place.line.try_into().unwrap_or(u64::MAX);
    let mut draft = Draft::of(line, user.key.as_deref().unwrap_or_default());
    let login = match &user.key {
        Some(login) => draft.field::<LoginName>("the login", login),
        None => {
            draft.refuse("the login is no text; put it in quotes");
            None
        }
    };
    let Kind::Map(fields) = &user.node.kind else {
        draft.refuse("nothing stands below the login");
        return draft.finish(None);
    };
    let hash = text(fields, "password", &mut draft).unwrap_or_default();
    let hash = draft.hash(&hash);
    let Some(mut account) = login.zip(hash).map(|(login, hash)| bare(login, hash, given)) else {
        return draft.finish(None);
    };
    if let Some(name) = text(fields, "displayname", &mut draft) {
        account.name = draft.field::<DisplayName>("the name", &name).unwrap_or_default();
    }
    if let Some(email) = text(fields, "email", &mut draft) {
        account.email = draft.field::<Email>("the mail address", &email);
    }
    account.groups.extend(groups(fields, &mut draft));
    account.disabled = disabled(fields, &mut draft);
    draft.finish(Some(account))
}

fn find<'f>(fields: &'f [Pair], name: &str) -> Option<&'f Node> {
    let pair = fields.iter().find(|pair| pair.key.as_deref() == Some(name))?;
    Some(&pair.node).filter(|node| !matches!(node.kind, Kind::Null))
}

/// A text; an empty one is none.
fn text(fields: &[Pair], name: &str, draft: &mut Draft) -> Option<String> {
    match &find(fields, name)?.kind {
        Kind::Text(text) if text.value.is_empty() => None,
        Kind::Text(text) => Some(text.value.to_string()),
        _ => {
            draft.refuse(format!("`{name}` is no text"));
            None
        }
    }
}

fn groups(fields: &[Pair], draft: &mut Draft) -> Vec<Group> {
    let Some(node) = find(fields, "groups") else { return Vec::new() };
    let Kind::List(items) = &node.kind else {
        draft.refuse("`groups` is no list");
        return Vec::new();
    };
    let mut groups = Vec::new();
    for item in items {
        match &item.kind {
            Kind::Text(text) => groups.extend(draft.field::<Group>("a group", &text.value)),
            _ => draft.refuse("a group is no text"),
        }
    }
    groups
}

fn disabled(fields: &[Pair], draft: &mut Draft) -> bool {
    match find(fields, "disabled").map(|node| &node.kind) {
        None => false,
        Some(Kind::Bool(disabled)) => *disabled,
        Some(_) => {
            draft.refuse("`disabled` is neither true nor false");
            false
        }
    }
}
