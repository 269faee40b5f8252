//! Exports and restores as messages.

use super::{consumer_message, shown, timestamp, token_state_message, user_message};
use crate::issue::{ExportEnd, ExportPart, ExposedRecord, RestoreOutcome, TokenWithState};
use crate::model::{Consumer, ConsumerKey, Token, User, UserId};
use crate::server::api::fields::Fields;
use crate::store::{ExportHeader, RecordKind, SealedRecord, UnreadableCounts};
use crate::v1;
use crate::v1::export_records_response::Part;
use crate::v1::export_secrets_response::Record;

/// Returns the messages of a part of an export: several for records that are too large for one.
pub(in super::super) fn export_messages(part: ExportPart) -> Vec<v1::ExportRecordsResponse> {
    let parts = match part {
        ExportPart::Header(header) => vec![Part::Header(header_message(header))],
        ExportPart::Records(records) => {
            let messages = by_size(records.into_iter().filter_map(sealed_record_message));
            messages.into_iter().map(Part::Records).collect()
        }
        ExportPart::End(end) => vec![Part::End(end_message(end))],
    };
    let message = |part| v1::ExportRecordsResponse { part: Some(part) };
    parts.into_iter().map(message).collect()
}

fn header_message(header: ExportHeader) -> v1::ExportHeader {
    v1::ExportHeader {
        format_version: header.format_version,
        begin_time: Some(timestamp(header.began_at)),
        store: header.store,
        key_ids: header.key_ids,
    }
}

fn end_message(end: ExportEnd) -> v1::ExportEnd {
    v1::ExportEnd {
        records: end.records,
        unreadable: Some(unreadable_message(end.unreadable)),
        seal: end.seal,
    }
}

const fn unreadable_message(counts: UnreadableCounts) -> v1::UnreadableCounts {
    v1::UnreadableCounts {
        consumers: counts.consumers,
        users: counts.users,
        tokens: counts.tokens,
    }
}

/// Returns the message of a record; `None` for one that no export has.
fn sealed_record_message(record: SealedRecord) -> Option<v1::SealedRecord> {
    Some(v1::SealedRecord {
        kind: kind_message(record.kind)?.into(),
        // A record that opens has a name of visible ASCII.
        name: String::from_utf8(record.name).ok()?,
        sealed: record.bytes,
    })
}

fn by_size(records: impl Iterator<Item = v1::SealedRecord>) -> Vec<v1::SealedRecords> {
    let (mut messages, mut size) = (Vec::<v1::SealedRecords>::new(), 0);
    for record in records {
        let len = record.name.len() + record.sealed.len();
        match messages.last_mut().filter(|_| size + len <= MESSAGE_LEN) {
            Some(last) => last.records.push(record),
            None => {
                messages.push(v1::SealedRecords {
                    records: vec![record],
                });
                size = 0;
            }
        }
        size += len;
    }
    messages
}

const fn kind_message(kind: RecordKind) -> Option<v1::RecordKind> {
    match kind {
        RecordKind::Consumer => Some(v1::RecordKind::Consumer),
        RecordKind::User => Some(v1::RecordKind::User),
        RecordKind::Token => Some(v1::RecordKind::Token),
        RecordKind::RequestToken | RecordKind::Session | RecordKind::Canary => None,
    }
}

/// Reads the record at the position `at` of a request, or adds its problems to `fields`.
pub(in super::super) fn sealed_record_of(
    fields: &mut Fields,
    at: usize,
    message: v1::SealedRecord,
) -> Option<SealedRecord> {
    let kind = match message.kind() {
        v1::RecordKind::Unspecified => Err("must be a consumer, a user or a token"),
        v1::RecordKind::Consumer => Ok(RecordKind::Consumer),
        v1::RecordKind::User => Ok(RecordKind::User),
        v1::RecordKind::Token => Ok(RecordKind::Token),
    };
    let name = match message.kind() {
        v1::RecordKind::User => UserId::new(&*message.name).map(drop),
        v1::RecordKind::Token => Token::new(&*message.name).map(drop),
        v1::RecordKind::Consumer | v1::RecordKind::Unspecified => {
            ConsumerKey::new(&*message.name).map(drop)
        }
    };
    let sealed = if message.sealed.is_empty() {
        Err("must not be empty")
    } else {
        Ok(message.sealed)
    };
    let kind = fields.take(&format!("records[{at}].kind"), kind);
    let name = fields.take(&format!("records[{at}].name"), name);
    let sealed = fields.take(&format!("records[{at}].sealed"), sealed);
    let name = name.map(|()| message.name.into_bytes());
    let ((kind, name), sealed) = kind.zip(name).zip(sealed)?;
    Some(SealedRecord::exported(kind, name, sealed))
}

/// Returns the message of the outcome of a restore.
pub(in super::super) fn restore_outcome_message(outcome: RestoreOutcome) -> v1::RestoreOutcome {
    let (result, problem) = match outcome {
        RestoreOutcome::Created => (v1::RestoreResult::Created, String::new()),
        RestoreOutcome::Existed => (v1::RestoreResult::Existed, String::new()),
        RestoreOutcome::Differs => (v1::RestoreResult::Differs, DIFFERS.to_owned()),
        RestoreOutcome::Orphaned => (v1::RestoreResult::Orphaned, ORPHANED.to_owned()),
        RestoreOutcome::Refused(problem) => (v1::RestoreResult::Refused, problem),
    };
    v1::RestoreOutcome {
        result: result.into(),
        problem,
    }
}

/// Returns the message of a record with its secrets.
pub(in super::super) fn exposed_message(record: ExposedRecord) -> v1::ExportSecretsResponse {
    let record = match record {
        ExposedRecord::Consumer(consumer) => {
            Record::Consumer(Box::new(exposed_consumer(&consumer)))
        }
        ExposedRecord::Token(token) => Record::Token(exposed_token(&token)),
        ExposedRecord::User(user) => Record::User(exposed_user(&user)),
    };
    v1::ExportSecretsResponse {
        record: Some(record),
    }
}

fn exposed_consumer(consumer: &Consumer) -> v1::ConsumerSecrets {
    let secret = |at: usize| {
        let secret = consumer.secrets.get(at);
        secret
            .map(|secret| shown(&secret.secret))
            .unwrap_or_default()
    };
    v1::ConsumerSecrets {
        consumer: Some(consumer_message(consumer)),
        consumer_secret: secret(0),
        previous_consumer_secret: secret(1),
    }
}

fn exposed_token(token: &TokenWithState) -> v1::TokenSecrets {
    v1::TokenSecrets {
        token: Some(token_state_message(token)),
        token_secret: shown(&token.token.secret),
    }
}

fn exposed_user(user: &User) -> v1::UserSecrets {
    let hash = user.password.as_ref();
    v1::UserSecrets {
        user: Some(user_message(user)),
        password_hash: hash
            .map(|hash| hash.expose().to_owned())
            .unwrap_or_default(),
    }
}

const DIFFERS: &str = "differs from the record of that name in the store, which was left unchanged";
const ORPHANED: &str = "is a token of a consumer that does not exist, and was left out";

/// The size of a message beyond which it gets no further record: a quarter of what clients accept.
const MESSAGE_LEN: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_records_are_spread_over_messages() {
        let record = |len| v1::SealedRecord {
            sealed: vec![0; len],
            ..v1::SealedRecord::default()
        };
        let lens = [10, 2 * MESSAGE_LEN, 10, MESSAGE_LEN - 10, 10];
        let messages = by_size(lens.into_iter().map(record));
        let counts: Vec<_> = messages.iter().map(|one| one.records.len()).collect();
        assert_eq!(counts, [1, 1, 2, 1]);
        assert!(by_size(std::iter::empty()).is_empty());
    }
}
