//! Where the keys of a file stand, for problems that are found when it has been read: a port that is taken, say.

use std::collections::HashMap;

use super::diagnostic::{Diagnostic, Place, Severity};
use super::yaml::{Kind, Node};

/// The place of each key that the file gives.
#[derive(Debug)]
pub struct Anchors {
    file: String,
    /// By the dotted path: `server.tls.listen`, `routes.0.upstream`.
    keys: HashMap<String, Place>,
}

impl Anchors {
    pub(super) fn new(file: String, root: &Node) -> Self {
        let mut keys = HashMap::new();
        collect(root, "", &mut keys);
        Self { file, keys }
    }

    /// An error at `key`, or at the innermost section around it that the file gives.
    #[must_use]
    pub fn error(&self, key: &str, message: impl Into<String>, hint: Option<String>) -> Diagnostic {
        let Place { line, column } = self.place(key);
        Diagnostic { severity: Severity::Error, file: self.file.clone(), line, column, message: message.into(), hint }
    }

    fn place(&self, key: &str) -> Place {
        let mut path = key;
        loop {
            if let Some(place) = self.keys.get(path) {
                return *place;
            }
            match path.rsplit_once('.') {
                Some((outer, _)) => path = outer,
                None => return Place::START,
            }
        }
    }
}

fn collect(node: &Node, prefix: &str, keys: &mut HashMap<String, Place>) {
    let mut add = |name: &str, place: Place, inner: &Node| {
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        collect(inner, &path, keys);
        keys.insert(path, place);
    };
    match &node.kind {
        Kind::Map(entries) => {
            for entry in entries {
                if let Some(key) = &entry.key {
                    add(key, entry.key_place, &entry.node);
                }
            }
        }
        Kind::List(items) => {
            for (index, item) in items.iter().enumerate() {
                add(&index.to_string(), item.place, item);
            }
        }
        _ => {}
    }
}
