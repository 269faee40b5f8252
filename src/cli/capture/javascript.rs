//! Calls in JavaScript whose arguments are plain values, as "copy as fetch" writes them.
//!
//! Only strings, numbers, objects and lists are read (JSON5), no code is run.

use serde_json::Value;

use super::lines::{line_of, wrong};
use super::request::shown;
use crate::cli::exit::Usage;

/// A call of a function.
#[derive(Debug, PartialEq)]
pub(super) struct ScriptCall {
    /// The name behind the last dot, or the whole name.
    pub(super) method: String,
    pub(super) arguments: Vec<Value>,
    pub(super) line: usize,
}

/// Returns the calls of the function `name` and of its methods, in order.
///
/// # Errors
/// When an argument is no plain value.
pub(super) fn calls(script: &str, name: &str) -> Result<Vec<ScriptCall>, Usage> {
    let mut calls = Vec::new();
    let mut from = 0;
    while let Some(begin) = find_call(script, name, from) {
        let line = line_of(script, begin.open);
        if calls.len() == MAX_CALLS {
            return Err(wrong(
                line,
                format!("more than {MAX_CALLS} calls: keep one"),
            ));
        }
        let end = closing(script, begin.open).ok_or_else(|| wrong(line, UNCLOSED))?;
        let arguments = values(script, begin.open + 1, end)?;
        calls.push(ScriptCall {
            method: begin.method,
            arguments,
            line,
        });
        from = end;
    }
    Ok(calls)
}

/// Returns the first object of a script, and its line.
///
/// # Errors
/// When it is no plain value.
pub(super) fn first_object(script: &str) -> Result<Option<(Value, usize)>, Usage> {
    let Some(open) = script.find('{') else {
        return Ok(None);
    };
    let line = line_of(script, open);
    let end = closing(script, open).ok_or_else(|| wrong(line, UNCLOSED))?;
    let object = values(script, open, end + 1)?.into_iter().next();
    Ok(object.map(|object| (object, line)))
}

/// Returns true if the script has a call of the function or of a method of it.
pub(super) fn has_call(script: &str, name: &str) -> bool {
    find_call(script, name, 0).is_some()
}

struct CallBegin {
    method: String,
    /// The offset of the opening parenthesis.
    open: usize,
}

/// Finds `name(` and `name.method(` at or behind the offset `from`.
fn find_call(script: &str, name: &str, from: usize) -> Option<CallBegin> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.');
    let starts = script[from..].match_indices(name);
    starts
        .map(|(at, _)| from + at)
        .filter(|&at| !script[..at].ends_with(is_part))
        .find_map(|at| {
            let rest = &script[at + name.len()..];
            let path = rest.split(|c| !is_part(c)).next().unwrap_or_default();
            let behind = &rest[path.len()..];
            let space = behind.len() - behind.trim_start().len();
            let is_call = behind[space..].starts_with('(');
            let is_method = path.is_empty() || path.starts_with('.');
            (is_call && is_method).then(|| CallBegin {
                method: path.trim_start_matches('.').to_owned(),
                open: at + name.len() + path.len() + space,
            })
        })
}

/// Returns the offset of the bracket that closes the one at `open`; `None` if it is missing, or if
/// the brackets are nested too deeply.
fn closing(script: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut rest = script[open..].char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                rest.next();
            }
            (Some(end), c) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '/') if rest.next_if(|(_, c)| *c == '/').is_some() => {
                while rest.next_if(|(_, c)| *c != '\n').is_some() {}
            }
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(open + at);
                }
            }
            (None, _) => {}
        }
        if depth > MAX_DEPTH {
            return None;
        }
    }
    None
}

/// Parses the values between two offsets, separated by commas.
fn values(script: &str, from: usize, to: usize) -> Result<Vec<Value>, Usage> {
    let text = &script[from..to];
    json5::from_str(&format!("[{text}]")).map_err(|error| {
        let position = error.position();
        let within = position.map_or(0, |position| position.line);
        let last = line_of(script, script.len());
        let line = last.min(line_of(script, from) + within);
        let source = script.lines().nth(line - 1).unwrap_or_default();
        let source = shown(source.trim().as_bytes());
        wrong(line, format!("`{source}` is no plain value: {PLAIN}"))
    })
}

const UNCLOSED: &str = "a bracket or a quote that opens here has no end, or is nested too deeply";

const PLAIN: &str = "expected strings in ' or \", numbers, objects and lists; replace variables and \
                     calls such as JSON.stringify with their values";

/// More than a page of a browser makes.
const MAX_CALLS: usize = 1000;

/// More than any configuration of a request.
const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_found_with_their_arguments() {
        let script = "const x = prefetch('no');\nawait fetch(\"https://h/)\", {\n  headers: {'a': 'b\\'(',}, // c\n});\
                      \nclient.fetch('no'); fetch ('u')";
        let found = calls(script, "fetch").unwrap();
        let arguments: Vec<_> = found
            .iter()
            .map(|call| (call.line, &call.arguments[..]))
            .collect();
        assert_eq!(
            arguments,
            [
                (
                    2,
                    &[json!("https://h/)"), json!({"headers": {"a": "b'("}})][..]
                ),
                (5, &[json!("u")]),
            ]
        );
    }

    #[test]
    fn methods_are_named() {
        let found = calls("axios({a: 1}); axios.post('u', 'b'); axiosx(1)", "axios").unwrap();
        let methods: Vec<_> = found.iter().map(|call| call.method.as_str()).collect();
        assert_eq!(methods, ["", "post"]);
    }

    #[test]
    fn code_is_refused_with_its_line() {
        let refused = |script: &str| calls(script, "fetch").unwrap_err().to_string();
        let code = refused("fetch('u', {\n  body: JSON.stringify({}),\n})");
        assert!(
            code.starts_with("line 2: `body: JSON.stringify({}),` is no plain value: expected"),
            "{code}"
        );
        assert!(refused("\nfetch('u").starts_with("line 2: a bracket or a quote"));
        assert!(refused(&format!("fetch({}", "[".repeat(1000))).contains("nested too deeply"));
        assert!(refused("fetch(`u`)").contains("is no plain value"));
    }

    #[test]
    fn the_first_object_is_found() {
        let found = first_object("let config = {\n  url: 'u', // {\n};\naxios(config)").unwrap();
        assert_eq!(found, Some((json!({"url": "u"}), 1)));
        assert_eq!(first_object("none").unwrap(), None);
    }
}
