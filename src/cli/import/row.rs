//! A row of an imported file, and the request that it becomes.
//!
//! A row has the fields of `Consumer` or `Token` in `proto/`, and their secrets. Output-only fields
//! are ignored, unless the import would lose their meaning: a disabled consumer, a revoked token.

use countersign::v1;
use prost_types::Timestamp;
use serde_json::{Map, Value};

/// The request to create a consumer or a token.
#[derive(Clone)]
pub(super) enum Item {
    Consumer(Box<v1::CreateConsumerRequest>),
    Token(Box<v1::CreateTokenRequest>),
}

/// The reason why a row is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// Its invalid fields.
    Refused(Vec<Problem>),
    /// A row that an import leaves out.
    Skipped(Problem),
}

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Consumer,
    Token,
}

/// An invalid field, without its value, which could be a secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Problem {
    pub(super) field: String,
    pub(super) problem: String,
}

/// A field that a row may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    owner: FieldOwner,
}

/// The shape of the value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    /// A list of texts, separated by spaces in CSV.
    List,
    Flag,
    /// A list of objects with `pem`, or of PEM texts.
    Keys,
    /// A field that only the server sets.
    Ignored,
}

/// The kind of row that has a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldOwner {
    Consumer,
    Token,
    Both,
}

/// The fields of a row that are not read yet, and the problems so far.
struct RowFields {
    map: Map<String, Value>,
    problems: Vec<Problem>,
}

// === impl Kind ===

impl Kind {
    /// Returns the value of the field `kind`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Token => "token",
        }
    }

    fn has(self, field: &Field) -> bool {
        matches!(
            (field.owner, self),
            (FieldOwner::Both, _)
                | (FieldOwner::Consumer, Self::Consumer)
                | (FieldOwner::Token, Self::Token)
        )
    }
}

// === impl Problem ===

impl Problem {
    pub(super) fn new(field: &str, problem: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            problem: problem.into(),
        }
    }
}

// === impl Unsent ===

impl From<Vec<Problem>> for Unsent {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Refused(problems)
    }
}

// === impl Item ===

impl Item {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Consumer(_) => Kind::Consumer,
            Self::Token(_) => Kind::Token,
        }
    }

    /// Reads a row. The field `kind` decides, or else the presence of a field `token`.
    ///
    /// # Errors
    /// Every field with a wrong shape, or that the row is left out. The server checks the values.
    pub(super) fn of(map: Map<String, Value>) -> Result<Self, Unsent> {
        if map.get("kind").is_some_and(|kind| kind == USER_KIND) {
            return Err(Unsent::Skipped(Problem::new("", USER_SKIPPED)));
        }
        if map.contains_key(SEALED_EXPORT) {
            return Err(vec![Problem::new("", NAME_THE_FILE)].into());
        }
        let mut fields = RowFields {
            map,
            problems: Vec::new(),
        };
        let kind = fields.kind();
        fields.fit(kind);
        let item = match kind {
            Kind::Consumer => Self::Consumer(Box::new(fields.consumer())),
            Kind::Token => Self::Token(Box::new(fields.token())),
        };
        if fields.problems.is_empty() {
            Ok(item)
        } else {
            Err(fields.problems.into())
        }
    }
}

// === impl RowFields ===

impl RowFields {
    fn kind(&mut self) -> Kind {
        let by_token = if self.map.contains_key("token") {
            Kind::Token
        } else {
            Kind::Consumer
        };
        match self.map.remove("kind") {
            None => by_token,
            Some(Value::String(name)) if name == Kind::Consumer.name() => Kind::Consumer,
            Some(Value::String(name)) if name == Kind::Token.name() => Kind::Token,
            Some(_) => {
                self.wrong(
                    "kind",
                    "is neither consumer nor token: use one of them, or omit it",
                );
                by_token
            }
        }
    }

    /// Refuses fields that are unknown, of the other kind, or longer than any field.
    fn fit(&mut self, kind: Kind) {
        let mut problems = Vec::new();
        for (name, value) in &self.map {
            match Field::named(name) {
                None => problems.push(Problem::new(&shortened(name), "is not a known field")),
                Some(field) if !kind.has(field) && !is_empty(value) => {
                    problems.push(Problem::new(
                        name,
                        format!("is not a field of a {}", kind.name()),
                    ));
                }
                Some(_) => problems.extend(too_long(name, value)),
            }
        }
        self.problems.extend(problems);
    }

    fn consumer(&mut self) -> v1::CreateConsumerRequest {
        let consumer = self.consumer_message();
        self.refuse_losses();
        let consumer_secret = self.text("consumer_secret");
        let no_shared_secret = consumer_secret.is_empty();
        if no_shared_secret && consumer.rsa_public_keys.is_empty() {
            self.wrong(
                "consumer_secret",
                "is missing: import needs the secret that the application signs with, or rsa_public_keys",
            );
        }
        let consumer = Some(consumer);
        v1::CreateConsumerRequest {
            consumer,
            consumer_secret,
            no_shared_secret,
            allow_existing: true,
            validate_only: false,
        }
    }

    fn consumer_message(&mut self) -> v1::Consumer {
        v1::Consumer {
            consumer_key: self.required("consumer_key"),
            name: self.text("name"),
            description: self.text("description"),
            platform: self.text("platform"),
            app_url: self.text("app_url"),
            verified: self.flag("verified"),
            signature_methods: self.list("signature_methods"),
            flows: self.list("flows"),
            callbacks: self.list("callbacks"),
            scopes: self.list("scopes"),
            compat_profiles: self.list("compat_profiles"),
            rsa_public_keys: self.keys("rsa_public_keys"),
            deny_detail: self.text("deny_detail"),
            deprecated_at: self.time("deprecated_at"),
            sunset_at: self.time("sunset_at"),
            ..v1::Consumer::default()
        }
    }

    /// Refuses values whose meaning the import would lose.
    fn refuse_losses(&mut self) {
        self.stays(
            "status",
            "CONSUMER_STATUS_ACTIVE",
            "is not active, and import creates active consumers: omit the field, and disable the consumer afterwards",
        );
        if self
            .map
            .remove("secret_count")
            .is_some_and(|count| count == 2 || count == "2")
        {
            self.wrong(
                "secret_count",
                "is 2, and import would lose one secret: omit the field to accept that",
            );
        }
    }

    fn token(&mut self) -> v1::CreateTokenRequest {
        let token = v1::Token {
            token: self.required("token"),
            consumer_key: self.required("consumer_key"),
            user_id: self.text("user_id"),
            scopes: self.list("scopes"),
            expire_time: self.time("expire_time"),
            ..v1::Token::default()
        };
        self.stays(
            "status",
            "TOKEN_STATUS_ACTIVE",
            "is not active, and import creates active tokens: remove the row",
        );
        let (token, token_secret) = (Some(token), self.required("token_secret"));
        v1::CreateTokenRequest {
            token,
            token_secret,
            ttl: None,
            allow_existing: true,
            validate_only: false,
        }
    }

    fn stays(&mut self, field: &str, only: &str, remedy: &str) {
        if !matches!(self.text(field).as_str(), "" | "active")
            && self.map.get(field) != Some(&Value::from(only))
        {
            self.wrong(field, remedy);
        }
    }

    fn required(&mut self, field: &str) -> String {
        let text = self.text(field);
        if text.is_empty() {
            self.wrong(field, "is missing");
        }
        text
    }

    fn text(&mut self, field: &str) -> String {
        match self.map.get(field) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                self.wrong(field, "is no text");
                String::new()
            }
        }
    }

    fn time(&mut self, field: &str) -> Option<Timestamp> {
        let text = self.text(field);
        if text.is_empty() {
            return None;
        }
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.wrong(field, "is no time such as 2030-01-31T00:00:00Z");
        }
        parsed
    }

    fn flag(&mut self, field: &str) -> bool {
        match self.map.get(field) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                self.wrong(field, "is neither true nor false");
                false
            }
        }
    }

    fn list(&mut self, field: &str) -> Vec<String> {
        self.each(field, "is no list of texts", |value| {
            value.as_str().map(str::to_owned)
        })
    }

    fn keys(&mut self, field: &str) -> Vec<v1::RsaPublicKey> {
        let key = |value: &Value| {
            let pem = value.get("pem").unwrap_or(value).as_str()?.to_owned();
            Some(v1::RsaPublicKey {
                pem,
                ..v1::RsaPublicKey::default()
            })
        };
        self.each(field, "is no list of keys in PEM", key)
    }

    fn each<T>(
        &mut self,
        field: &str,
        problem: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Vec<T> {
        let values = match self.map.get(field) {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(values)) => values.iter().map(read).collect(),
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => None,
        };
        values.unwrap_or_else(|| {
            self.wrong(field, problem);
            Vec::new()
        })
    }

    fn wrong(&mut self, field: &str, problem: &str) {
        self.problems.push(Problem::new(field, problem));
    }
}

// === impl Field ===

impl Field {
    /// Returns the field of that name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        FIELDS.iter().find(|field| field.name == name)
    }

    const fn new(name: &'static str, shape: Shape, owner: FieldOwner) -> Self {
        Self { name, shape, owner }
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null()
        || value.as_str().is_some_and(str::is_empty)
        || value.as_array().is_some_and(Vec::is_empty)
}

fn too_long(name: &str, value: &Value) -> Option<Problem> {
    let texts = value
        .as_array()
        .map_or_else(|| std::slice::from_ref(value), Vec::as_slice)
        .iter();
    let longest = texts.filter_map(|text| text.as_str().map(str::len)).max()?;
    let problem = || format!("is {longest} bytes long, more than any field may be");
    (longest > MAX_FIELD_LEN).then(|| Problem::new(name, problem()))
}

/// All fields, including those that only the server sets, so that the output of the server can be
/// imported.
const FIELDS: [Field; 31] = [
    Field::new("kind", Shape::Text, FieldOwner::Both),
    Field::new("consumer_key", Shape::Text, FieldOwner::Both),
    Field::new("consumer_secret", Shape::Text, FieldOwner::Consumer),
    Field::new("name", Shape::Text, FieldOwner::Consumer),
    Field::new("description", Shape::Text, FieldOwner::Consumer),
    Field::new("platform", Shape::Text, FieldOwner::Consumer),
    Field::new("app_url", Shape::Text, FieldOwner::Consumer),
    Field::new("verified", Shape::Flag, FieldOwner::Consumer),
    Field::new("signature_methods", Shape::List, FieldOwner::Consumer),
    Field::new("flows", Shape::List, FieldOwner::Consumer),
    Field::new("callbacks", Shape::List, FieldOwner::Consumer),
    Field::new("scopes", Shape::List, FieldOwner::Both),
    Field::new("rsa_public_keys", Shape::Keys, FieldOwner::Consumer),
    Field::new("compat_profiles", Shape::List, FieldOwner::Consumer),
    Field::new("deny_detail", Shape::Text, FieldOwner::Consumer),
    Field::new("deprecated_at", Shape::Text, FieldOwner::Consumer),
    Field::new("sunset_at", Shape::Text, FieldOwner::Consumer),
    Field::new("token", Shape::Text, FieldOwner::Token),
    Field::new("token_secret", Shape::Text, FieldOwner::Token),
    Field::new("user_id", Shape::Text, FieldOwner::Token),
    Field::new("expire_time", Shape::Text, FieldOwner::Token),
    Field::new("status", Shape::Text, FieldOwner::Both),
    Field::new("secret_count", Shape::Ignored, FieldOwner::Consumer),
    Field::new(
        "previous_consumer_secret",
        Shape::Ignored,
        FieldOwner::Consumer,
    ),
    Field::new(
        "previous_secret_expire_time",
        Shape::Ignored,
        FieldOwner::Consumer,
    ),
    Field::new("consumer_id", Shape::Ignored, FieldOwner::Consumer),
    Field::new("screen_name", Shape::Ignored, FieldOwner::Token),
    Field::new("create_time", Shape::Ignored, FieldOwner::Both),
    Field::new("update_time", Shape::Ignored, FieldOwner::Both),
    Field::new("etag", Shape::Ignored, FieldOwner::Both),
    Field::new("existed", Shape::Ignored, FieldOwner::Both),
];

/// The kind of the rows of users in an export with secrets in plaintext.
const USER_KIND: &str = "user";

const USER_SKIPPED: &str = "is a user, which import cannot create from this file: run `countersign user \
                            create`, or import a sealed export";

/// The first field of a sealed export.
const SEALED_EXPORT: &str = "countersign_export";

const NAME_THE_FILE: &str = "is the beginning of a sealed export, which is read twice: name the \
                             file instead of standard input";

/// More than the server accepts in any field, and less than fills a request.
const MAX_FIELD_LEN: usize = 64 * 1024;

/// Returns an unknown name for an error, which may be long or hold anything.
pub(super) fn shortened(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(MAX_NAME_LEN)
        .collect()
}

/// The longest part of an unknown name that an error shows, in characters.
const MAX_NAME_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_output_of_the_command_line_can_be_imported() {
        let sunset_at = Some(Timestamp {
            seconds: 5,
            nanos: 0,
        });
        let (name, consumer_key, deny_detail) =
            ("N".to_owned(), "K".to_owned(), "debug".to_owned());
        let printed = v1::Consumer {
            name,
            consumer_key,
            deny_detail,
            sunset_at,
            ..v1::Consumer::default()
        };
        let mut printed = serde_json::to_value(v1::Consumer {
            status: 1,
            secret_count: 1,
            ..printed
        })
        .unwrap();
        printed["consumer_secret"] = json!("S");
        let Ok(Item::Consumer(request)) = item(printed) else {
            panic!("no consumer")
        };
        assert_eq!(
            (request.consumer_secret.as_str(), request.allow_existing),
            ("S", true)
        );
        let consumer = request.consumer.unwrap();
        assert_eq!(
            (
                consumer.deny_detail.as_str(),
                consumer.deprecated_at,
                consumer.sunset_at
            ),
            ("debug", None, sunset_at)
        );
        let token = v1::Token {
            token: "T".to_owned(),
            consumer_key: "K".to_owned(),
            status: 1,
            ..v1::Token::default()
        };
        let mut printed = serde_json::to_value(token).unwrap();
        printed["token_secret"] = json!("S");
        assert!(matches!(item(printed), Ok(Item::Token(_))));
    }

    #[test]
    fn every_invalid_field_is_named_without_its_value() {
        let row = json!({
            "kind": "consumer", "consumer_key": "s3cret", "name": 5, "scopes": "s3cret", "verified": "s3cret",
            "token": "s3cret", "nmae": "s3cret", "rsa_public_keys": [5], "description": "s3cret".repeat(20_000),
        });
        let problems = item(row).err().unwrap();
        let mut fields: Vec<_> = problems
            .iter()
            .map(|problem| problem.field.as_str())
            .collect();
        fields.sort_unstable();
        let wrong = [
            "consumer_secret",
            "description",
            "name",
            "nmae",
            "rsa_public_keys",
            "scopes",
            "token",
            "verified",
        ];
        assert_eq!(fields, wrong);
        assert!(!format!("{problems:?}").contains("s3cret"), "{problems:?}");
    }

    #[test]
    fn values_that_import_would_lose_are_refused() {
        for (row, field) in [
            (
                json!({"consumer_key": "K", "name": "N", "consumer_secret": "S", "status": "CONSUMER_STATUS_DISABLED"}),
                "status",
            ),
            (
                json!({"consumer_key": "K", "name": "N", "consumer_secret": "S", "secret_count": 2}),
                "secret_count",
            ),
            (json!({"consumer_key": "K", "name": "N"}), "consumer_secret"),
            (json!({"consumer_key": "K", "token": "T"}), "token_secret"),
            (
                json!({"consumer_key": "K", "token": "T", "token_secret": "S", "status": "TOKEN_STATUS_REVOKED"}),
                "status",
            ),
            (
                json!({"consumer_key": "K", "token": "T", "token_secret": "S", "expire_time": "soon"}),
                "expire_time",
            ),
            (
                json!({"consumer_key": "K", "name": "N", "consumer_secret": "S", "sunset_at": "soon"}),
                "sunset_at",
            ),
        ] {
            let problems = item(row.clone()).err().unwrap_or_else(|| panic!("{row}"));
            assert_eq!(
                (problems.len(), problems[0].field.as_str()),
                (1, field),
                "{row}"
            );
        }
    }

    #[test]
    fn users_are_left_out_and_a_sealed_export_is_recognized() {
        let user = json!({"kind": "user", "user_id": "u", "password_hash": "s3cret"});
        let Value::Object(user) = user else { panic!() };
        assert!(matches!(Item::of(user), Err(Unsent::Skipped(_))));
        let problems = item(json!({"countersign_export": 1})).err().unwrap();
        assert!(problems[0].problem.contains("name the file"));
    }

    fn item(row: Value) -> Result<Item, Vec<Problem>> {
        let Value::Object(map) = row else {
            panic!("{row}")
        };
        Item::of(map).map_err(|unsent| match unsent {
            Unsent::Refused(problems) => problems,
            Unsent::Skipped(problem) => panic!("{problem:?}"),
        })
    }
}
