//! Records and digests of exports, possibly of another store.

use serde::{Deserialize, Serialize};

use super::{RecordKind, Records, json, unwritable};
use crate::model::{ConsumerKey, Token, UserId, ValueError};
use crate::store::backup::{RestorableRecord, UnusableRecord};
use crate::store::seal::{RecordName, SealError, key_id_of};
use crate::store::{SealedRecord, StoreError};

/// The sealed part of the end of an export.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestRecord {
    digest: [u8; 32],
}

impl Records {
    /// Seals the digest of an export.
    pub(in crate::store) fn seal_digest(&self, digest: &[u8; 32]) -> Result<Vec<u8>, StoreError> {
        let record = DigestRecord { digest: *digest };
        let bytes = json(&record).map_err(unwritable)?;
        self.sealer.seal(&bytes, EXPORT).map_err(unwritable)
    }

    /// Opens the sealed digest of an export.
    pub(in crate::store) fn open_digest(&self, sealed: &[u8]) -> Result<[u8; 32], UnusableRecord> {
        let opened = self.sealer.open(sealed, EXPORT).map_err(unusable)?;
        let record: DigestRecord = serde_json::from_slice(&opened)
            .map_err(|_| UnusableRecord::new("it does not have the fields of this release"))?;
        Ok(record.digest)
    }

    /// Opens a record of an export.
    pub(in crate::store) fn open_exported(
        &self,
        record: &SealedRecord,
    ) -> Result<RestorableRecord, UnusableRecord> {
        let bytes = &record.bytes;
        match record.kind {
            RecordKind::Consumer => {
                let read = self.decode_consumer(&name(record, ConsumerKey::new)?, bytes);
                self.usable(read.map(RestorableRecord::Consumer), bytes)
            }
            RecordKind::User => {
                let read = self.decode_user(&name(record, UserId::new)?, bytes);
                self.usable(read.map(RestorableRecord::User), bytes)
            }
            RecordKind::Token => {
                let read = self.decode_token(&name(record, Token::new)?, bytes);
                self.usable(read.map(RestorableRecord::Token), bytes)
            }
            RecordKind::RequestToken | RecordKind::Session | RecordKind::Canary => {
                Err(UnusableRecord::new("exports have no records of its kind"))
            }
        }
    }

    fn usable<T>(&self, read: Result<T, StoreError>, bytes: &[u8]) -> Result<T, UnusableRecord> {
        read.map_err(|error| {
            let reason = std::error::Error::source(&error).map(ToString::to_string);
            let reason = reason.unwrap_or_else(|| error.to_string());
            match key_id_of(bytes) {
                Some(id) if !self.has_key(id) => UnusableRecord::with_missing_key(id, reason),
                _ => UnusableRecord::new(reason),
            }
        })
    }

    fn has_key(&self, id: &str) -> bool {
        self.master_key_ids().iter().any(|known| &**known == id)
    }
}

fn name<T>(
    record: &SealedRecord,
    parse: impl FnOnce(String) -> Result<T, ValueError>,
) -> Result<T, UnusableRecord> {
    let text = String::from_utf8(record.name.clone())
        .map_err(|_| UnusableRecord::new("its name is not UTF-8"))?;
    parse(text).map_err(|problem| UnusableRecord::new(format!("its name {problem}")))
}

fn unusable(problem: SealError) -> UnusableRecord {
    match &problem {
        SealError::UnknownKey(id) => UnusableRecord::with_missing_key(id, &problem),
        SealError::UnknownVersion(_)
        | SealError::NotSealed
        | SealError::Refused(_)
        | SealError::TooLong => UnusableRecord::new(problem),
    }
}

/// The name of the sealed digest.
const EXPORT: RecordName<'static> = RecordName {
    kind: "export",
    name: b"1",
};
