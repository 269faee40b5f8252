//! Golden records: every kind of record of every version that this release reads, sealed under a
//! known key, in `tests/vectors/records-v*.json`.
//!
//! A test here fails if a record is written with other fields than its version has: such a change
//! needs a new version, and a golden file of it. To write one, after `VERSION` was raised:
//!
//! ```text
//! cargo test --lib write_the_golden_file -- --ignored
//! ```

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::*;
use crate::oauth::RsaPublicKey;
use crate::store::seal::VERSION;

/// The records of one version.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenFile {
    version: u8,
    /// A line of a master key file.
    master_key: String,
    records: Vec<GoldenRecord>,
}

/// A record. Its name, and what is sealed, are base64.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenRecord {
    kind: String,
    name: String,
    sealed: String,
    /// The fields of the record.
    fields: Value,
}

#[test]
fn the_version_that_is_written_has_a_golden_file() {
    assert_eq!(WRITTEN, VERSION);
    let golden = GoldenFile::read(VERSION);
    let header = |record: &GoldenRecord| decoded(&record.sealed)[0];
    assert!(golden.records.iter().map(header).all(|of| of == VERSION));
    for kind in KINDS {
        let word = kind.named(b"").kind;
        assert!(
            golden.records.iter().any(|record| record.kind == word),
            "no golden record of {kind}"
        );
    }
}

#[test]
fn golden_records_are_read_and_have_the_fields_of_their_version() {
    for version in READ {
        let golden = GoldenFile::read(version);
        let records = golden.opener();
        for record in &golden.records {
            let (kind, name) = (record.kind(), decoded(&record.name));
            let opened = open(&records, kind, &name, &decoded(&record.sealed));
            assert_eq!(opened, record.fields, "version {version}, {kind}");
            let written = written_again(&records, kind, &name, &decoded(&record.sealed));
            if version == VERSION {
                assert_eq!(
                    open(&records, kind, &name, &written),
                    record.fields,
                    "{kind} is written with other fields than version {version} has: raise VERSION"
                );
            }
        }
    }
}

#[test]
fn a_record_of_the_next_version_is_refused_by_its_number() {
    let golden = GoldenFile::read(VERSION);
    let records = golden.opener();
    for record in &golden.records {
        let mut sealed = decoded(&record.sealed);
        sealed[0] += 1;
        let opened = records.sealer.open(&sealed, record.kind().named(b""));
        assert_eq!(
            opened.unwrap_err(),
            SealError::UnknownVersion(VERSION + 1),
            "{}",
            record.kind
        );
    }
}

#[test]
fn a_golden_record_with_a_further_field_is_refused() {
    let golden = GoldenFile::read(VERSION);
    let records = golden.opener();
    let [consumer, user] = [RecordKind::Consumer, RecordKind::User].map(|kind| {
        let record = golden.records.iter().find(|record| record.kind() == kind);
        let record = record.unwrap();
        let mut fields = record.fields.clone();
        fields["new_field"] = Value::Null;
        let name = decoded(&record.name);
        let writer = records.unproven_writer();
        (name.clone(), writer.seal(kind, &name, &fields).unwrap())
    });
    let key = ConsumerKey::new(text(&consumer.0)).unwrap();
    refused(records.decode_consumer(&key, &consumer.1));
    let id = UserId::new(text(&user.0)).unwrap();
    refused(records.decode_user(&id, &user.1));
}

#[test]
#[ignore = "writes the golden file of a new version"]
fn write_the_golden_file() {
    let path = GoldenFile::path(VERSION);
    assert!(!path.exists(), "a golden file is never written again");
    let golden = GoldenFile {
        version: VERSION,
        master_key: format!("golden:{}", STANDARD.encode([7; 32])),
        records: Vec::new(),
    };
    let records = golden.opener();
    let writer = records.unproven_writer();
    let mut golden_records = Vec::new();
    for (kind, name, sealed) in examples(&writer) {
        golden_records.push(GoldenRecord {
            kind: kind.named(b"").kind.to_owned(),
            fields: open(&records, kind, &name, &sealed),
            name: STANDARD.encode(&name),
            sealed: STANDARD.encode(&sealed),
        });
    }
    let golden = GoldenFile {
        records: golden_records,
        ..golden
    };
    let text = serde_json::to_string_pretty(&golden).unwrap();
    fs::write(path, text + "\n").unwrap();
}

/// A kind, a name, and a sealed record.
type Example = (RecordKind, Vec<u8>, Vec<u8>);

/// Returns records of every kind, in every state.
fn examples(writer: &RecordWriter<'_>) -> Vec<Example> {
    let mut examples = consumers(writer);
    examples.extend(tokens(writer));
    examples.extend(users(writer));
    examples.extend(request_tokens(writer));
    let sealed = writer.encode_session(&session()).unwrap();
    let id = session().id.as_bytes().to_vec();
    examples.push((RecordKind::Session, id, sealed));
    let canary = writer.seal(RecordKind::Canary, b"", &()).unwrap();
    examples.push((RecordKind::Canary, Vec::new(), canary));
    examples
}

fn consumers(writer: &RecordWriter<'_>) -> Vec<Example> {
    let with_key = Consumer {
        rsa_public_keys: vec![RsaPublicKey::from_pem(RSA_KEY).unwrap()],
        ..consumer()
    };
    let plain = Consumer {
        status: ConsumerStatus::Active,
        deny_detail: None,
        deprecated_at: None,
        sunset_at: None,
        ..consumer()
    };
    let sealed = |consumer| writer.encode_consumer(&consumer).unwrap();
    let examples = [with_key, plain].map(sealed).into_iter();
    examples
        .map(|sealed| (RecordKind::Consumer, b"ck".to_vec(), sealed))
        .collect()
}

fn tokens(writer: &RecordWriter<'_>) -> Vec<Example> {
    let without_user = AccessToken {
        user_id: None,
        expires_at: None,
        status: TokenStatus::Active,
        ..token()
    };
    let sealed = |token| writer.encode_token(&token).unwrap();
    let examples = [token(), without_user].map(sealed).into_iter();
    examples
        .map(|sealed| (RecordKind::Token, b"t-1".to_vec(), sealed))
        .collect()
}

fn users(writer: &RecordWriter<'_>) -> Vec<Example> {
    let of_status = |status| {
        let is_deleted = status == UserStatus::Deleted;
        let user = User {
            username: user().username.filter(|_| !is_deleted),
            password: user().password.filter(|_| !is_deleted),
            status,
            ..user()
        };
        let sealed = writer.encode_user(&user).unwrap();
        (RecordKind::User, b"jane doe".to_vec(), sealed)
    };
    [
        UserStatus::Active,
        UserStatus::Disabled,
        UserStatus::Deleted,
    ]
    .map(of_status)
    .into()
}

fn request_tokens(writer: &RecordWriter<'_>) -> Vec<Example> {
    let of_state = |state| {
        let token = RequestToken {
            state,
            callback: Callback::Uri("https://printer.example/ready".to_owned()),
            ..request_token()
        };
        let sealed = writer.encode_request_token(&token).unwrap();
        (RecordKind::RequestToken, b"r".to_vec(), sealed)
    };
    [
        request_token().state,
        RequestTokenState::Pending,
        RequestTokenState::Refused,
        RequestTokenState::Used,
    ]
    .map(of_state)
    .into()
}

/// Returns what is in a record.
fn open(records: &Records, kind: RecordKind, name: &[u8], sealed: &[u8]) -> Value {
    let opened = records.sealer.open(sealed, kind.named(name)).unwrap();
    serde_json::from_slice(&opened).unwrap()
}

/// Reads a record and writes it.
fn written_again(records: &Records, kind: RecordKind, name: &[u8], sealed: &[u8]) -> Vec<u8> {
    let writer = records.unproven_writer();
    match kind {
        RecordKind::Consumer => {
            let key = ConsumerKey::new(text(name)).unwrap();
            writer.encode_consumer(&records.decode_consumer(&key, sealed).unwrap())
        }
        RecordKind::Token => {
            let token = Token::new(text(name)).unwrap();
            writer.encode_token(&records.decode_token(&token, sealed).unwrap())
        }
        RecordKind::User => {
            let id = UserId::new(text(name)).unwrap();
            writer.encode_user(&records.decode_user(&id, sealed).unwrap())
        }
        RecordKind::RequestToken => {
            let token = Token::new(text(name)).unwrap();
            let stored = records.decode_request_token(&token, sealed).unwrap();
            writer.encode_request_token(&stored)
        }
        RecordKind::Session => {
            let id = session().id;
            assert_eq!(name, id.as_bytes());
            writer.encode_session(&records.decode_session(&id, sealed).unwrap())
        }
        RecordKind::Canary => {
            let _seal = records.prove_key(sealed).unwrap();
            writer.seal(RecordKind::Canary, b"", &())
        }
    }
    .unwrap()
}

fn text(name: &[u8]) -> String {
    String::from_utf8(name.to_vec()).unwrap()
}

fn decoded(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

// === impl GoldenFile ===

impl GoldenFile {
    fn path(version: u8) -> PathBuf {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        root.join(format!("tests/vectors/records-v{version}.json"))
    }

    fn read(version: u8) -> Self {
        let path = Self::path(version);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}: see {}", path.display(), file!());
        });
        let golden: Self = serde_json::from_str(&text).unwrap();
        assert_eq!(golden.version, version);
        golden
    }

    fn opener(&self) -> Records {
        let keys = MasterKeys::parse(self.master_key.as_bytes()).unwrap();
        Records::new(Sealer::new(keys, Arc::new(SystemEntropy)))
    }
}

// === impl GoldenRecord ===

impl GoldenRecord {
    fn kind(&self) -> RecordKind {
        let is_it = |kind: &RecordKind| kind.named(b"").kind == self.kind;
        KINDS.into_iter().find(is_it).unwrap()
    }
}

/// The version that this release writes. A new one needs a golden file and the policy in
/// docs/operations.md.
const WRITTEN: u8 = 4;

/// The versions that this release reads.
const READ: [u8; 1] = [4];

const KINDS: [RecordKind; 6] = [
    RecordKind::Consumer,
    RecordKind::Token,
    RecordKind::User,
    RecordKind::RequestToken,
    RecordKind::Session,
    RecordKind::Canary,
];

const RSA_KEY: &str = include_str!("../../../../tests/it/cli/rsa_public.pem");
