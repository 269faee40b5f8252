//! The consumers and tokens that a file describes.
//!
//! ```yaml
//! consumers:
//!   - consumer_key: printer
//!     name: Printer
//!     scopes: [read]
//!     consumer_secret_file: printer.secret
//! tokens:
//!   - token: nnch734d00sl2jdk
//!     consumer_key: printer
//!     user_id: alice
//!     token_secret_env: ALICE_SECRET
//! ```

use std::collections::HashSet;
use std::env::{self, VarError};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use countersign::v1;
use prost::Message as _;

use super::fields::{FieldLines, Fields, cut};
use super::mistake::Mistake;
use super::yaml::{self, Entry, Node, Value};
use crate::cli::exit::Usage;
use crate::cli::{input, output, secret_input};

/// The wanted records, except those with mistakes.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) consumers: Vec<WantedConsumer>,
    pub(super) tokens: Vec<WantedToken>,
    /// The keys of the consumers with mistakes.
    pub(super) mistaken: HashSet<String>,
}

/// A consumer of the file.
pub(super) struct WantedConsumer {
    pub(super) consumer: v1::Consumer,
    /// The secret; empty if the file has none.
    pub(super) secret: String,
    pub(super) lines: FieldLines,
}

/// A token of the file.
pub(super) struct WantedToken {
    pub(super) token: v1::Token,
    /// The secret; empty if the file has none.
    pub(super) secret: String,
    pub(super) lines: FieldLines,
}

/// Reads records, and remembers mistakes.
struct Reader {
    files: SecretFiles,
    wanted: Wanted,
    mistakes: Vec<Mistake>,
    /// The names of the consumers and tokens so far.
    names: HashSet<(&'static str, String)>,
}

/// The files with secrets.
struct SecretFiles {
    /// The file itself, in which a secret may be written.
    own: PathBuf,
    /// The directory that relative names of files start from.
    directory: PathBuf,
    /// Those that every user of this machine can read or change.
    exposed: Vec<PathBuf>,
}

/// Reads a file.
///
/// # Errors
/// If the file is unreadable.
pub(super) fn read(path: &Path) -> anyhow::Result<(Wanted, Vec<Mistake>)> {
    let text = text_of(path)?;
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    let mut reader = Reader {
        files: SecretFiles {
            own: path.to_owned(),
            directory: directory.to_owned(),
            exposed: Vec::new(),
        },
        wanted: Wanted::default(),
        mistakes: Vec::new(),
        names: HashSet::new(),
    };
    match yaml::documents(&text) {
        Ok(documents) => documents.into_iter().for_each(|one| reader.document(one)),
        Err(mistake) => reader.mistakes.push(mistake),
    }
    reader.files.warn();
    Ok((reader.wanted, reader.mistakes))
}

fn text_of(path: &Path) -> Result<String, Usage> {
    let mut bytes = Vec::new();
    let read = input::open(path)?.take(MAX_LEN + 1).read_to_end(&mut bytes);
    read.map_err(|error| input::unreadable(path, &error))?;
    let name = input::name(path);
    if bytes.len() as u64 > MAX_LEN {
        let mib = MAX_LEN >> 20;
        return Err(Usage(format!("{name} is longer than {mib} MiB: split it")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        Usage(format!("{name} is not UTF-8 at byte {byte}"))
    })
}

// === impl WantedConsumer ===

impl WantedConsumer {
    pub(super) fn consumer_key(&self) -> &str {
        &self.consumer.consumer_key
    }
}

// === impl Reader ===

impl Reader {
    fn document(&mut self, document: Node) {
        let entries = match document.value {
            Value::Null => return,
            Value::Map(entries) => entries,
            Value::Bool(_) | Value::Number | Value::Text(_) | Value::List(_) => {
                return self.wrong(
                    document.line,
                    "the document must be a mapping with consumers or tokens",
                );
            }
        };
        for Entry { key, line, node } in entries {
            let read = match key.as_str() {
                "consumers" => Self::consumer,
                "tokens" => Self::token,
                _ => {
                    let problem = format!("{} is unknown; known are consumers, tokens", cut(&key));
                    self.wrong(line, &problem);
                    continue;
                }
            };
            match node.value {
                Value::Null => {}
                Value::List(items) => items.into_iter().for_each(|item| read(self, item)),
                Value::Bool(_) | Value::Number | Value::Text(_) | Value::Map(_) => {
                    self.wrong(line, &format!("{key} must be a list"));
                }
            }
        }
    }

    fn consumer(&mut self, node: Node) {
        let (line, before) = (node.line, self.mistakes.len());
        let Some(mut fields) = Fields::of(node, "consumer", "consumer_key", &mut self.mistakes)
        else {
            return;
        };
        let consumer = v1::Consumer {
            consumer_key: fields.required("consumer_key"),
            name: fields.text("name"),
            description: fields.text("description"),
            platform: fields.text("platform"),
            app_url: fields.text("app_url"),
            verified: fields.flag("verified"),
            status: fields.word("status", CONSUMER_STATUS).unwrap_or_default(),
            signature_methods: fields.list("signature_methods"),
            flows: fields.list("flows"),
            callbacks: fields.list("callbacks"),
            scopes: fields.list("scopes"),
            rsa_public_keys: keys(&mut fields, &self.files.directory),
            compat_profiles: fields.list("compat_profiles"),
            deny_detail: fields.text("deny_detail"),
            deprecated_at: fields.time("deprecated_at"),
            sunset_at: fields.time("sunset_at"),
            ..v1::Consumer::default()
        };
        let secret = secret(&mut fields, &CONSUMER_SECRET, &mut self.files);
        fields.fits(consumer.encoded_len() + secret.len());
        let lines = fields.end(&CONSUMER_FIELDS);
        self.once("consumer", &consumer.consumer_key, line);
        if self.mistakes.len() > before {
            self.wanted.mistaken.insert(consumer.consumer_key);
            return;
        }
        self.wanted.consumers.push(WantedConsumer {
            consumer,
            secret,
            lines,
        });
    }

    fn token(&mut self, node: Node) {
        let (line, before) = (node.line, self.mistakes.len());
        let Some(mut fields) = Fields::of(node, "token", "token", &mut self.mistakes) else {
            return;
        };
        let token = v1::Token {
            token: fields.required("token"),
            consumer_key: fields.required("consumer_key"),
            user_id: fields.text("user_id"),
            scopes: fields.list("scopes"),
            status: fields.word("status", TOKEN_STATUS).unwrap_or_default(),
            expire_time: fields.time("expire_time"),
            ..v1::Token::default()
        };
        let secret = secret(&mut fields, &TOKEN_SECRET, &mut self.files);
        fields.fits(token.encoded_len() + secret.len());
        let lines = fields.end(&TOKEN_FIELDS);
        self.once("token", &token.token, line);
        if self.mistakes.len() == before {
            self.wanted.tokens.push(WantedToken {
                token,
                secret,
                lines,
            });
        }
    }

    /// Refuses a record that the file has twice.
    fn once(&mut self, kind: &'static str, name: &str, line: u64) {
        if !self.names.insert((kind, name.to_owned())) && !name.is_empty() {
            self.wrong(line, &format!("the {kind} {} is there twice", cut(name)));
        }
    }

    fn wrong(&mut self, line: u64, problem: &str) {
        self.mistakes.push(Mistake::new(line, "", problem));
    }
}

// === impl SecretFiles ===

impl SecretFiles {
    /// Returns the secret in another file.
    fn read(&mut self, name: &str) -> Result<String, String> {
        let named = |error: anyhow::Error| format!("names {name}: {error}");
        if name == "-" {
            return Err("names standard input: name a file".to_owned());
        }
        let path = self.directory.join(name);
        let secret = secret_input::in_file(&path).map_err(|error| named(error.into()))?;
        self.add(path);
        if secret.expose().is_empty() {
            return Err(format!("names {name}: the secret is empty"));
        }
        secret_input::text(Some(&secret)).map_err(named)
    }

    fn add(&mut self, path: PathBuf) {
        if self.exposed.last() != Some(&path) && secret_input::is_exposed(&path) {
            self.exposed.push(path);
        }
    }

    /// Warns about the exposed files, of which there may be thousands.
    fn warn(&self) {
        let Some(first) = self.exposed.first() else {
            return;
        };
        secret_input::warn_of_exposure(first);
        if self.exposed.len() > 1 {
            let more = self.exposed.len() - 1;
            output::note(&format!("warning: and {more} more files with secrets"));
        }
    }
}

/// Reads a secret: in the file itself, in another file, or in a variable.
fn secret(fields: &mut Fields<'_>, names: &[&str; 3], files: &mut SecretFiles) -> String {
    let [inline, file, variable] = names.map(|name| (name, fields.text(name)));
    let given: Vec<_> = [&inline, &file, &variable]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .collect();
    let (name, source) = match given[..] {
        [] => return String::new(),
        [one] => one,
        [first, second, ..] => {
            fields.wrong(
                second.0,
                &format!("contradicts {}: omit one of them", first.0),
            );
            return String::new();
        }
    };
    let secret = match name {
        _ if *name == file.0 => files.read(source),
        _ if *name == variable.0 => secret_in_variable(source),
        _ => {
            files.add(files.own.clone());
            Ok(source.clone())
        }
    };
    secret.unwrap_or_else(|problem| {
        fields.wrong(name, &problem);
        String::new()
    })
}

fn secret_in_variable(name: &str) -> Result<String, String> {
    match env::var(name) {
        Ok(secret) if secret.is_empty() => Err(format!("names {name}, which is empty")),
        Ok(secret) => Ok(secret),
        Err(VarError::NotPresent) => Err(format!("names {name}, which is not set")),
        Err(VarError::NotUnicode(_)) => Err(format!("names {name}, which is not UTF-8")),
    }
}

/// Reads RSA public keys: texts in PEM, or mappings with `pem` or `pem_file`.
fn keys(fields: &mut Fields<'_>, directory: &Path) -> Vec<v1::RsaPublicKey> {
    let nodes = fields.nodes("rsa_public_keys").into_iter();
    let key = |(name, node): (String, Node)| {
        let pem = key(fields, &name, node, directory)?;
        if pem.contains("PRIVATE KEY-----") {
            fields.wrong(&name, PRIVATE_KEY);
            return None;
        }
        Some(v1::RsaPublicKey {
            pem,
            ..v1::RsaPublicKey::default()
        })
    };
    nodes.filter_map(key).collect()
}

fn key(fields: &mut Fields<'_>, name: &str, node: Node, directory: &Path) -> Option<String> {
    let Value::Map(mut entries) = node.value else {
        return fields.text_of(name, node);
    };
    let (Some(entry), true) = (entries.pop(), entries.is_empty()) else {
        fields.wrong(name, "must have either pem or pem_file");
        return None;
    };
    let text = fields.text_of(name, entry.node)?;
    match entry.key.as_str() {
        "pem" => Some(text),
        "pem_file" if text == "-" => {
            fields.wrong(name, "names standard input: name a file");
            None
        }
        "pem_file" => match input::text(&directory.join(&text)) {
            Ok(pem) => Some(pem),
            Err(error) => {
                fields.wrong(name, &format!("names {text}: {error}"));
                None
            }
        },
        _ => {
            fields.wrong(name, "has an unknown field; known are pem, pem_file");
            None
        }
    }
}

const CONSUMER_STATUS: &[(&str, i32)] = &[
    ("active", v1::ConsumerStatus::Active as i32),
    ("disabled", v1::ConsumerStatus::Disabled as i32),
    ("CONSUMER_STATUS_ACTIVE", v1::ConsumerStatus::Active as i32),
    (
        "CONSUMER_STATUS_DISABLED",
        v1::ConsumerStatus::Disabled as i32,
    ),
];

const TOKEN_STATUS: &[(&str, i32)] = &[
    ("active", v1::TokenStatus::Active as i32),
    ("revoked", v1::TokenStatus::Revoked as i32),
    ("TOKEN_STATUS_ACTIVE", v1::TokenStatus::Active as i32),
    ("TOKEN_STATUS_REVOKED", v1::TokenStatus::Revoked as i32),
];

const CONSUMER_SECRET: [&str; 3] = [
    "consumer_secret",
    "consumer_secret_file",
    "consumer_secret_env",
];

const TOKEN_SECRET: [&str; 3] = ["token_secret", "token_secret_file", "token_secret_env"];

const CONSUMER_FIELDS: [&str; 19] = [
    "consumer_key",
    "name",
    "description",
    "platform",
    "app_url",
    "verified",
    "status",
    "signature_methods",
    "flows",
    "callbacks",
    "scopes",
    "rsa_public_keys",
    "compat_profiles",
    "deny_detail",
    "deprecated_at",
    "sunset_at",
    "consumer_secret",
    "consumer_secret_file",
    "consumer_secret_env",
];

const TOKEN_FIELDS: [&str; 9] = [
    "token",
    "consumer_key",
    "user_id",
    "scopes",
    "status",
    "expire_time",
    "token_secret",
    "token_secret_file",
    "token_secret_env",
];

const PRIVATE_KEY: &str = "is a private key, which must stay with the application: use its public \
                           key (`openssl pkey -pubout`)";

/// Enough for tens of thousands of consumers.
const MAX_LEN: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::super::fields::OUTPUT_ONLY;
    use super::*;

    #[test]
    fn records_have_the_fields_of_the_api() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("secret"), "kd94hf93k423kf44\n").unwrap();
        fs::write(directory.path().join("key.pem"), "KEY").unwrap();
        let text = "
consumers:
  - consumer_key: printer
    name: Printer
    verified: true
    status: disabled
    scopes: [read, 'write']
    deprecated_at: 1970-01-01T00:00:05Z
    rsa_public_keys: [INLINE, {pem: KEYED}, {pem_file: key.pem}]
    consumer_secret_file: secret
---
tokens:
  - {token: T, consumer_key: printer, user_id: alice, status: TOKEN_STATUS_REVOKED, token_secret: S}
";
        let (wanted, mistakes) = read_text(directory.path(), text);
        assert_eq!(mistakes, []);
        let [printer] = &wanted.consumers[..] else {
            panic!("{}", wanted.consumers.len())
        };
        let consumer = &printer.consumer;
        assert_eq!(
            (consumer.name.as_str(), consumer.verified, consumer.status()),
            ("Printer", true, v1::ConsumerStatus::Disabled)
        );
        assert_eq!(consumer.scopes, ["read", "write"]);
        assert_eq!(consumer.deprecated_at.unwrap().seconds, 5);
        let pems: Vec<_> = consumer
            .rsa_public_keys
            .iter()
            .map(|key| &*key.pem)
            .collect();
        assert_eq!(pems, ["INLINE", "KEYED", "KEY"]);
        assert_eq!(printer.secret, "kd94hf93k423kf44");
        let token = &wanted.tokens[0];
        assert_eq!(token.token.status(), v1::TokenStatus::Revoked);
        assert_eq!(
            (token.token.user_id.as_str(), token.secret.as_str()),
            ("alice", "S")
        );
    }

    #[test]
    fn every_mistake_has_its_line_and_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let text = "colour: red
consumers:
  - consumer_key: printer
    nmae: s3cret
    name: 5
    verified: s3cret
    scopes: [read, 7]
    flows: s3cret
    sunset_at: s3cret
    status: s3cret
    etag: s3cret
    rsa_public_keys:
      - '-----BEGIN PRIVATE KEY-----'
      - {pom: s3cret}
    consumer_secret_file: missing
  - consumer_key: printer
    consumer_secret: s3cret
    consumer_secret_env: COUNTERSIGN_NO_SUCH_VARIABLE
  - name: s3cret
  - s3cret
tokens:
  - token: T
    consumer_key: printer
    token_secret_env: COUNTERSIGN_NO_SUCH_VARIABLE
";
        let (_, mut mistakes) = read_text(directory.path(), text);
        mistakes.sort_by_key(|mistake| mistake.line);
        let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.line).collect();
        let expected = [1, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 18, 19, 20, 24];
        assert_eq!(lines, expected, "{mistakes:#?}");
        assert!(!format!("{mistakes:?}").contains("s3cret"), "{mistakes:#?}");
        assert_eq!(
            mistakes[0].problem,
            "colour is unknown; known are consumers, tokens"
        );
        assert_eq!(mistakes[1].record, "consumer printer");
        assert_eq!(
            mistakes[2].problem,
            "name must be text: put the value in quotes"
        );
    }

    #[test]
    fn standard_input_is_no_secret_and_a_record_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let long = "x".repeat(300_000);
        let text = format!(
            "consumers:
  - consumer_key: printer
    consumer_secret_file: '-'
    rsa_public_keys: [{{pem_file: '-'}}]
  - consumer_key: scanner
    name: {long}
tokens:
  - {{token: T, consumer_key: printer, token_secret: {long}}}
"
        );
        let (_, mut mistakes) = read_text(directory.path(), &text);
        mistakes.sort_by_key(|mistake| mistake.line);
        let problems = mistakes.iter().map(|one| (one.line, one.problem.as_str()));
        assert_eq!(
            problems.collect::<Vec<_>>(),
            [
                (3, "consumer_secret_file names standard input: name a file"),
                (4, "rsa_public_keys[0] names standard input: name a file"),
                (5, "the record has more than 262144 bytes"),
                (8, "the record has more than 262144 bytes"),
            ]
        );
    }

    #[test]
    fn every_field_of_the_api_can_be_stated_or_is_of_the_server() {
        let definition = FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).unwrap();
        let messages = definition.file.iter().flat_map(|file| &file.message_type);
        let mut found = 0;
        for message in messages {
            let known = match message.name() {
                "Consumer" => &CONSUMER_FIELDS[..],
                "Token" => &TOKEN_FIELDS,
                _ => continue,
            };
            for field in &message.field {
                let name = field.name();
                assert!(
                    known.contains(&name) || OUTPUT_ONLY.contains(&name),
                    "{name}"
                );
                found += 1;
            }
        }
        assert!(found > 25, "{found}");
    }

    fn read_text(directory: &Path, text: &str) -> (Wanted, Vec<Mistake>) {
        let path = directory.join("consumers.yaml");
        fs::write(&path, text).unwrap();
        read(&path).unwrap()
    }
}
