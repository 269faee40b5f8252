//! The JSON Schema of the configuration file, for editors: from the keys that the reader reads, and
//! the comments of the default file.
//!
//! It knows types, bounds and closed lists of words. Conditions between keys, and the form of
//! addresses, are for `countersign config check`.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::reader::{Reader, Shape};
use super::route::{MATCH_KEYS, RoutePolicy};
use super::sections::Config;
use super::setting::RawValue;
use super::source::Sources;

/// Returns the schema, in JSON Schema draft 7, which the editors' plugins for TOML read.
pub fn schema() -> Value {
    let mut reader = Reader::new(&Sources::default());
    Config::read(&mut reader);
    let comments = comments();
    let mut root = Map::new();
    let (shapes, defaults) = reader.shapes();
    for (key, shape) in shapes {
        let mut property = described(of_shape(shape), comments.get(key.as_str()));
        if let Some(default) = defaults.get(key) {
            property["default"] = value(&default.value);
        }
        insert(&mut root, key, property);
    }
    root.insert("route".to_owned(), routes(shapes, &comments));
    root.insert("scopes".to_owned(), scopes());
    let mut schema = section(root);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Configuration of Countersign");
    schema
}

fn of_shape(shape: &Shape) -> Value {
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Words(words) => json!({ "type": "string", "enum": words }),
        Shape::Integer { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Shape::Duration => json!({ "type": "string", "pattern": DURATION }),
    }
}

/// Puts a property at a key with dots, such as `api.tls.key_file`.
fn insert(root: &mut Map<String, Value>, key: &str, property: Value) {
    let Some((name, rest)) = key.split_once('.') else {
        root.insert(key.to_owned(), property);
        return;
    };
    let inner = root
        .entry(name)
        .or_insert_with(|| section(Map::new()))
        .get_mut("properties")
        .and_then(Value::as_object_mut);
    if let Some(inner) = inner {
        insert(inner, rest, property);
    }
}

fn section(properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn routes(shapes: &BTreeMap<String, Shape>, comments: &HashMap<String, String>) -> Value {
    let selected = MATCH_KEYS.iter().map(|&key| {
        let text = json!({ "type": "string" });
        let property = match key {
            "methods" => json!({ "type": "array", "items": text }),
            _ => text,
        };
        (key.to_owned(), property)
    });
    let policy = RoutePolicy::KEYS.iter().filter_map(|&key| {
        let of_check = format!("check.{key}");
        let property = of_shape(shapes.get(&of_check)?);
        let property = described(property, comments.get(&of_check));
        Some((key.to_owned(), property))
    });
    json!({
        "type": "array",
        "description": "The policy of requests by host, path and method; the first match applies.",
        "items": section(selected.chain(policy).collect()),
    })
}

fn scopes() -> Value {
    json!({
        "type": "object",
        "description": "Descriptions of scopes for the consent page.",
        "additionalProperties": { "type": "string", "maxLength": 200 },
    })
}

fn described(mut property: Value, comment: Option<&String>) -> Value {
    if let Some(comment) = comment {
        property["description"] = json!(comment);
    }
    property
}

fn value(raw: &RawValue) -> Value {
    match raw {
        RawValue::Boolean(is) => json!(is),
        RawValue::Integer(text) => text.parse::<u64>().map_or(Value::Null, Value::from),
        RawValue::Untyped(text) | RawValue::String(text) | RawValue::Other(text) => json!(text),
        RawValue::Array(_) | RawValue::Table(_) => Value::Null,
    }
}

/// Returns the comment above each key of the default file. Keys without an empty line between them
/// share a comment.
fn comments() -> HashMap<String, String> {
    let (mut found, mut section, mut comment) = (HashMap::new(), String::new(), String::new());
    for line in Config::DEFAULT_FILE.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push_str(text.trim_start());
            comment.push(' ');
        } else if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
            comment.clear();
        } else if let Some((key, _)) = line.split_once(" = ") {
            found.insert(format!("{section}{key}"), comment.trim_end().to_owned());
        } else {
            comment.clear();
        }
    }
    found
}

/// The form that humantime reads: numbers with units.
const DURATION: &str = "^[0-9]+ ?[a-zA-Z]+( ?[0-9]+ ?[a-zA-Z]+)*$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_types_bounds_words_and_comments() {
        let schema = schema();
        let check = &schema["properties"]["check"]["properties"];
        assert_eq!(check["max_body_bytes"]["maximum"], 64 * 1024 * 1024);
        assert_eq!(check["max_body_bytes"]["default"], 1024 * 1024);
        assert_eq!(check["mode"]["enum"], json!(["enforce", "shadow"]));
        assert_eq!(
            check["deny_detail"]["enum"],
            json!(["none", "problem", "debug"])
        );
        assert_eq!(check["tls"]["properties"]["key_file"]["type"], "string");
        assert_eq!(check["timeout"]["pattern"], DURATION);
        let comment = check["realm"]["description"].as_str().unwrap();
        assert_eq!(
            comment,
            "The realm in `WWW-Authenticate`, unless a route sets another."
        );
        let route = &schema["properties"]["route"]["items"];
        assert_eq!(route["additionalProperties"], false);
        assert_eq!(route["properties"]["body_hash"]["enum"][1], "accept");
    }

    #[test]
    fn the_file_in_deploy_is_current() {
        let file = include_str!("../../deploy/countersign.schema.json");
        let current = format!("{:#}\n", schema());
        assert!(
            file == current,
            "write it again: countersign config schema > deploy/countersign.schema.json"
        );
    }

    #[test]
    fn every_key_has_a_type_and_a_comment() {
        fn keys(section: &Value, prefix: &str, found: &mut Vec<String>) {
            for (name, property) in section["properties"].as_object().unwrap() {
                let key = format!("{prefix}{name}");
                if property["properties"].is_object() {
                    keys(property, &format!("{key}."), found);
                } else if !property["description"].is_string() {
                    found.push(key);
                }
            }
        }
        let mut undescribed = Vec::new();
        keys(&schema(), "", &mut undescribed);
        assert_eq!(undescribed, [""; 0]);
    }
}
