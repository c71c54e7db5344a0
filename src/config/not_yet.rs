//! What the schema knows and this version cannot do. Nothing of it is passed over in silence: it is an error.
//!
//! Whoever builds one of these removes its row.

use super::reader::Context;
use super::yaml::{Entry, Kind, Node};

/// When a key asks for what is not there.
enum When {
    Is(&'static str),
}

use When::Is;

/// The path to a key (`*`: each item of a list), when it is refused, and what to do instead.
type Row = (&'static [&'static str], When, &'static str);

const REFUSED: &[Row] = &[(&["store", "engine"], Is("postgres"), "use sled, the embedded store")];

/// The keys that are asked for in vain, at least with some of their values: `routes[].upstream_tls`.
#[cfg(test)]
pub(super) fn paths() -> impl Iterator<Item = String> {
    let join = |path: &[&str]| path.join(".").replace(".*", "[]");
    REFUSED.iter().map(move |(path, ..)| join(path))
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
        }
    }
}
