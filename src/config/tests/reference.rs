//! What is written about the configuration, held against what the schema asks: the reference (`docs/configuration.md`) and the JSON
//! Schema for editors (`config/sekisho.schema.json`), which is made of the schema's kinds, the example's defaults and the
//! reference's words.
//!
//! `SEKISHO_WRITE=1 cargo test --lib reference` writes the reference's columns of kinds and defaults, and the JSON Schema anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};

use super::example::{complete_example, example};
use super::*;
use crate::config::reader::{Asked, Context, Shape};
use crate::config::values::{spell_duration, spell_size};

const REFERENCE: &str = "docs/configuration.md";
const SCHEMA: &str = "config/sekisho.schema.json";

/// Asked for as required only under a condition that no list of keys can say.
const CONDITIONAL: &[&str] = &[
    "routes[].upstream",
    "routes[].upstream_auth.basic.username",
    "routes[].upstream_auth.basic.password",
    "routes[].upstream_auth.basic.password_file",
    "routes[].upstream_auth.bearer.token",
    "routes[].upstream_auth.form.username",
    "routes[].upstream_auth.form.password",
    "routes[].upstream_auth.form.password_file",
    "routes[].upstream_auth.bearer.token_file",
    "routes[].upstream_tls.certificate",
    "routes[].upstream_tls.key",
    "store.ca",
    "store.url",
    "store.url_file",
];
/// What the example shows without a default being behind it.
const MERE_EXAMPLES: &[&str] = &["server.listen", "second_factor.totp.issuer"];

/// Defaults of keys in sections that are off, which the example shows all the same.
const COMMENTED_OUT: &[&str] = &[
    "server.tls.redirect_http",
    "mail.subject",
    "mail.smtp.port",
    "mail.smtp.security",
    "routes[].upstreams[].weight",
    "routes[].health_check.interval",
    "routes[].upstream_auth.basic.per_account",
    "routes[].upstream_auth.bearer.per_account",
    "routes[].upstream_auth.form.per_account",
    "routes[].upstream_auth.form.username_field",
    "routes[].upstream_auth.form.password_field",
    "routes[].upstream_auth.form.cookies",
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

fn writes() -> bool {
    std::env::var_os("SEKISHO_WRITE").is_some()
}

/// Every key that the schema asks for when it reads the example with all that is commented out in it.
fn asked() -> BTreeMap<String, Asked> {
    let folder = folder();
    let none = |_: &str| None;
    let file = folder.path().join("sekisho.yaml");
    let ctx = Context::new(&file, &none);
    load::read(&complete_example(), &ctx);
    let mut asked = ctx.finish().1;
    // The keys of a mapping with free keys are the example's own.
    let free: Vec<String> = of_shape(&asked, &Shape::Entries);
    asked.retain(|key, _| !free.iter().any(|free| key.starts_with(&format!("{free}."))));
    asked
}

fn of_shape(asked: &BTreeMap<String, Asked>, shape: &Shape) -> Vec<String> {
    asked.iter().filter(|(_, asked)| asked.shape.as_ref() == Some(shape)).map(|(key, _)| key.clone()).collect()
}

fn is_required(key: &str, asked: &Asked) -> bool {
    asked.required && !CONDITIONAL.contains(&key)
}

/// The defaults: what the example shows without a # before it, of what is no section.
fn defaults() -> BTreeMap<String, serde_yaml::Value> {
    fn collect(value: &serde_yaml::Value, path: &str, found: &mut BTreeMap<String, serde_yaml::Value>) {
        match value {
            serde_yaml::Value::Mapping(entries)
                if path != "identity.headers" && path != "routes[].identity.headers" =>
            {
                for (key, value) in entries {
                    let key = key.as_str().unwrap();
                    collect(value, &if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }, found);
                }
            }
            serde_yaml::Value::Sequence(items) if items.iter().any(serde_yaml::Value::is_mapping) => {
                items.iter().for_each(|item| collect(item, &format!("{path}[]"), found));
            }
            other => drop(found.insert(path.to_owned(), other.clone())),
        }
    }
    let (mut found, mut commented_out) = (BTreeMap::new(), BTreeMap::new());
    collect(&serde_yaml::from_str(&example()).unwrap(), "", &mut found);
    collect(&serde_yaml::from_str(&complete_example()).unwrap(), "", &mut commented_out);
    commented_out.retain(|key, _| COMMENTED_OUT.contains(&key.as_str()));
    found.extend(commented_out);
    found.retain(|key, _| !MERE_EXAMPLES.contains(&key.as_str()));
    found
}

/// The kind of a value, as the reference's column has it.
fn kind(key: &str, asked: &BTreeMap<String, Asked>) -> String {
    let Some(shape) = asked[key].shape.as_ref() else { return "text".to_owned() };
    match shape {
        Shape::Section => "section".to_owned(),
        Shape::Entries => "names and texts".to_owned(),
        Shape::Text => "text".to_owned(),
        Shape::Path => "path".to_owned(),
        Shape::Boolean => "true or false".to_owned(),
        Shape::Integer(range) => format!("{} to {}", range.start(), range.end()),
        Shape::Duration(range) => {
            format!("duration, {} to {}", spell_duration(*range.start()), spell_duration(*range.end()))
        }
        Shape::Size { range, or_zero } => {
            let zero = if *or_zero { "0, or " } else { "" };
            format!("{zero}size, {} to {}", spell_size(*range.start()), spell_size(*range.end()))
        }
        Shape::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Shape::List => match asked.get(&format!("{key}[]")).and_then(|item| item.shape.as_ref()) {
            Some(Shape::Section) => "list of sections".to_owned(),
            _ => "list of texts".to_owned(),
        },
    }
}

/// The default, as the reference's column has it.
fn default(key: &str, asked: &Asked, defaults: &BTreeMap<String, serde_yaml::Value>) -> String {
    match defaults.get(key) {
        _ if is_required(key, asked) => "required".to_owned(),
        Some(serde_yaml::Value::Mapping(entries)) if !entries.is_empty() => "below".to_owned(),
        Some(value) => format!("`{}`", serde_json::to_string(value).unwrap().trim_matches('"')),
        None => String::new(),
    }
}

/// A row of the reference's tables.
struct Row<'t> {
    line: &'t str,
    key: &'t str,
    words: &'t str,
}

fn rows(reference: &str) -> Vec<Row<'_>> {
    let row = |line| {
        let cells: Vec<&str> = str::strip_prefix(line, "|")?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [key, _, _, words] = cells[..] else { return None };
        // Other tables have no key in their first column.
        let key = key.strip_prefix('`')?.strip_suffix('`')?;
        (!key.contains(' ')).then_some(Row { line, key, words })
    };
    reference.lines().filter_map(row).collect()
}

/// A row as it should stand there.
fn spelled(cells: [&str; 4]) -> String {
    let cells = cells.map(|cell| if cell.is_empty() { " ".to_owned() } else { format!(" {cell} ") });
    format!("|{}|", cells.join("|"))
}

#[test]
fn the_reference_has_every_key_with_its_kind_and_default_and_no_other() {
    let (asked, defaults) = (asked(), defaults());
    let mut reference = read(REFERENCE);
    let text = reference.clone();
    let rows = rows(&text);
    let expected: BTreeSet<&str> = asked.keys().map(String::as_str).filter(|key| !key.ends_with("[]")).collect();
    let found: BTreeSet<&str> = rows.iter().map(|row| row.key).collect();
    assert_eq!(expected.difference(&found).collect::<Vec<_>>(), Vec::<&&str>::new(), "missing in {REFERENCE}");
    assert_eq!(found.difference(&expected).collect::<Vec<_>>(), Vec::<&&str>::new(), "not in the schema");
    assert_eq!(rows.len(), found.len(), "a key stands there twice");
    for Row { line, key, words } in rows {
        let (kind, default) = (kind(key, &asked), default(key, &asked[key], &defaults));
        let right = spelled([&format!("`{key}`"), &kind, &default, words]);
        if writes() {
            reference = reference.replace(line, &right);
        } else {
            assert_eq!(line, right);
        }
    }
    if writes() {
        std::fs::write(path(REFERENCE), reference).unwrap();
    }
}

#[test]
fn the_json_schema_is_the_one_that_the_schema_makes() {
    let made = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if writes() {
        std::fs::write(path(SCHEMA), &made).unwrap();
    }
    assert!(read(SCHEMA) == made, "{SCHEMA} is out of date: SEKISHO_WRITE=1 cargo test --lib reference");
}

#[test]
fn the_json_schema_takes_what_is_shipped_and_refuses_what_is_wrong() {
    let schema = json_schema();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("schema.json", schema).unwrap();
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile("schema.json", &mut schemas).unwrap();
    let judge = |yaml: &str| {
        let value: Json = serde_yaml::from_str(yaml).unwrap();
        schemas.validate(&value, index).map_err(|error| format!("{error:#}"))
    };
    let demo = read("config/demo.yaml").replace("{{mail_port}}", "25").replace("{{languages}}", "[en]");
    for (name, text) in [
        ("minimal", read("config/minimal.yaml")),
        ("demo", demo),
        ("example", example()),
        ("the whole example", complete_example()),
    ] {
        judge(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for wrong in [
        "{}",
        "sesion: {}",
        "session: {idle_timeout: 30}",
        "session: {idle_timeout: 30 minutes}",
        "session: {max_per_user: 0}",
        "session: {max_per_user: ten}",
        "second_factor: {policy: always}",
        "routes: [{name: tool, upstream: \"http://127.0.0.1:1\", acess: public}]",
        "routes: []",
        "routes: {name: tool}",
        "server: {}",
        "held: {total: 64}",
        "portal: {languages: ja}",
    ] {
        let text = if wrong == "{}" { wrong.to_owned() } else { completed(wrong) };
        assert!(judge(&text).is_err(), "{wrong}");
    }
    for right in [
        "session: {idle_timeout: \"${IDLE}\", max_per_user: \"${SESSIONS}\"}",
        "log: {access: off}",
        "secrets: {key_file: \"credential:key\"}",
        "routes: [{name: nothing, path: /x, access: deny}]",
    ] {
        judge(&completed(right)).unwrap_or_else(|error| panic!("{right}: {error}"));
    }
}

/// JSON Schema (2020-12) of the file.
fn json_schema() -> Json {
    let (asked, defaults, reference) = (asked(), defaults(), read(REFERENCE));
    let words: BTreeMap<&str, &str> = rows(&reference).iter().map(|row| (row.key, row.words)).collect();
    let keys = Keys { asked: &asked, defaults: &defaults, words: &words };
    let mut schema = keys.section("");
    let head = [
        ("$schema", json!("https://json-schema.org/draft/2020-12/schema")),
        ("title", json!("sekisho's configuration")),
    ];
    schema.extend(head.map(|(key, value)| (key.to_owned(), value)));
    Json::Object(schema)
}

struct Keys<'a> {
    asked: &'a BTreeMap<String, Asked>,
    defaults: &'a BTreeMap<String, serde_yaml::Value>,
    words: &'a BTreeMap<&'a str, &'a str>,
}

impl Keys<'_> {
    /// The keys directly below `path`.
    fn section(&self, path: &str) -> Map<String, Json> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
        let is_child =
            |key: &&String| key.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('.') && !rest.contains('['));
        let children: Vec<&String> = self.asked.keys().filter(is_child).collect();
        let name = |key: &String| key.strip_prefix(&prefix).unwrap().to_owned();
        let required: Vec<String> =
            children.iter().filter(|key| is_required(key, &self.asked[**key])).map(|key| name(key)).collect();
        let properties: Map<String, Json> = children.iter().map(|key| (name(key), self.key(key))).collect();
        let mut schema = Map::new();
        schema.insert("type".into(), json!("object"));
        schema.insert("additionalProperties".into(), json!(false));
        schema.insert("properties".into(), Json::Object(properties));
        match path {
            "" => drop(schema.insert("required".into(), json!(["server", "store", "secrets", "routes"]))),
            "server" => drop(schema.insert("anyOf".into(), json!([{"required": ["listen"]}, {"required": ["tls"]}]))),
            _ if !required.is_empty() => drop(schema.insert("required".into(), json!(required))),
            _ => {}
        }
        schema
    }

    fn key(&self, key: &str) -> Json {
        let mut schema = self.value(key);
        if let Some(words) = self.words.get(key).filter(|words| !words.is_empty()) {
            schema.insert("description".into(), json!(words));
        }
        if let Some(default) = self.defaults.get(key)
            && !is_required(key, &self.asked[key])
        {
            schema.insert("default".into(), serde_json::to_value(default).unwrap());
        }
        Json::Object(schema)
    }

    fn value(&self, key: &str) -> Map<String, Json> {
        let schema = match self.asked.get(key).and_then(|asked| asked.shape.as_ref()) {
            Some(Shape::Section) => return self.section(key),
            Some(Shape::Entries) => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            Some(Shape::List) => {
                let least = usize::from(["routes", "routes[].upstreams", "server.tls.certificates"].contains(&key));
                json!({"type": "array", "items": self.value(&format!("{key}[]")), "minItems": least})
            }
            Some(Shape::Boolean) => or_variable(json!({"type": "boolean"})),
            Some(Shape::Integer(range)) => {
                or_variable(json!({"type": "integer", "minimum": range.start(), "maximum": range.end()}))
            }
            Some(Shape::Duration(_)) => json!({"type": "string", "pattern": format!("^[0-9]+[smhd]${ELSEWHERE}")}),
            Some(Shape::Size { or_zero, .. }) => {
                let size = json!({"type": "string", "pattern": format!("^[0-9]+([KMG]i)?B${ELSEWHERE}")});
                if *or_zero { json!({"anyOf": [{"const": 0}, size]}) } else { size }
            }
            Some(Shape::Choice(words)) => {
                let mut all: Vec<Json> = words.iter().map(|word| json!(word)).collect();
                // `off` is false to readers of YAML 1.1.
                all.extend(words.contains(&"off").then_some(json!(false)));
                json!({"anyOf": [{"enum": all}, {"type": "string", "pattern": ELSEWHERE.trim_start_matches('|')}]})
            }
            Some(Shape::Text | Shape::Path) | None => json!({"type": "string"}),
        };
        match schema {
            Json::Object(schema) => schema,
            _ => unreachable!("every branch is an object"),
        }
    }
}

/// A value that comes from the environment or from systemd.
const ELSEWHERE: &str = r"|\$\{|^credential:";

fn or_variable(schema: impl Into<Json>) -> Json {
    json!({"anyOf": [schema.into(), {"type": "string", "pattern": r"^\$\{"}]})
}
