//! What the schema knows and this version cannot do. Nothing of it is passed over in silence: it is an error where going
//! without it would be unsafe or a surprise, a warning where it merely has no effect.
//!
//! Whoever builds one of these removes its row.

use super::reader::Context;
use super::yaml::{Entry, Kind, Node};

/// When a key asks for what is not there.
enum When {
    Is(&'static str),
    /// Something else than its default, which is what happens anyway.
    IsNot(&'static str),
}

use When::{Is, IsNot};

/// The path to a key (`*`: each item of a list), when it is refused, and what to do instead.
type Row = (&'static [&'static str], When, &'static str);

const REFUSED: &[Row] = &[(&["store", "engine"], Is("postgres"), "use sled, the embedded store")];

const WITHOUT_EFFECT: &[Row] = &[
    (&["held", "max_size"], IsNot("1MiB"), NO_HELD),
    (&["held", "lifetime"], IsNot("10m"), NO_HELD),
    (&["held", "per_session"], IsNot("3"), NO_HELD),
    (&["held", "total"], IsNot("64MiB"), NO_HELD),
];

const NO_HELD: &str = "forms are not kept over a login";

/// The keys that are asked for in vain, at least with some of their values: `routes[].upstream_tls`.
#[cfg(test)]
pub(super) fn paths() -> impl Iterator<Item = String> {
    let join = |path: &[&str]| path.join(".").replace(".*", "[]");
    REFUSED.iter().chain(WITHOUT_EFFECT).map(move |(path, ..)| join(path))
}

/// Reports everything that the file asks for in vain.
pub(super) fn report(ctx: &Context<'_>, root: &Node) {
    for (path, when, hint) in REFUSED {
        each(root, path, &mut |node, shown| {
            if when.holds(node) {
                ctx.error(node.place, format!("`{shown}`: not available in this version"), Some((*hint).to_owned()));
            }
        });
    }
    for (path, when, hint) in WITHOUT_EFFECT {
        each(root, path, &mut |node, shown| {
            if when.holds(node) {
                ctx.warn(node.place, format!("`{shown}`: has no effect in this version"), Some((*hint).to_owned()));
            }
        });
    }
}

/// Calls `found` with every node that `path` leads to.
fn each(root: &Node, path: &[&str], found: &mut dyn FnMut(&Node, &str)) {
    fn walk(node: &Node, path: &[&str], shown: &str, found: &mut dyn FnMut(&Node, &str)) {
        let Some((step, rest)) = path.split_first() else {
            found(node, shown);
            return;
        };
        match &node.kind {
            Kind::List(items) if *step == "*" => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, rest, &format!("{shown}[{index}]"), found);
                }
            }
            Kind::Map(entries) => {
                let named = |entry: &&Entry| entry.key.as_deref() == Some(step);
                if let Some(entry) = entries.iter().find(named) {
                    let dot = if shown.is_empty() { "" } else { "." };
                    walk(&entry.node, rest, &format!("{shown}{dot}{step}"), found);
                }
            }
            _ => {}
        }
    }
    walk(root, path, "", found);
}

impl When {
    fn holds(&self, node: &Node) -> bool {
        let text = match &node.kind {
            Kind::Text(text) => text.value.to_string(),
            Kind::Integer(number) => number.to_string(),
            Kind::Bool(value) => value.to_string(),
            Kind::Null | Kind::Float | Kind::List(_) | Kind::Map(_) | Kind::Tagged | Kind::Unresolved => String::new(),
        };
        match self {
            Is(word) => text == *word,
            IsNot(default) => text != *default,
        }
    }
}
