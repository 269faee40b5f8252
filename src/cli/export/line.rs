//! The lines of a sealed export: JSON Lines, a header, the records, and an end.
//!
//! ```text
//! {"countersign_export":1,"begin_time":"2030-01-02T03:04:05Z","store":"embedded","key_ids":["4f1d09c2"]}
//! {"kind":"consumer","name":"dpf43f3p2l4k3l03","sealed":"BAg0Zj…"}
//! {"kind":"end","records":1,"unreadable":{"consumers":0,"users":0,"tokens":0},"seal":"BAg0Zj…"}
//! ```

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::clock::UnixTime;
use countersign::store::{ExportHeader, RecordKind, SealedRecord, UnreadableCounts};
use countersign::v1;
use prost_types::Timestamp;
use serde::{Deserialize, Serialize};

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeaderLine {
    countersign_export: u32,
    begin_time: String,
    store: String,
    key_ids: Vec<String>,
}

/// The line of a record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordLine {
    kind: Kind,
    name: String,
    sealed: String,
}

/// The kinds of records, as lines name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Consumer,
    User,
    Token,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndLine {
    kind: EndKind,
    pub(crate) records: u64,
    unreadable: UnreadableFields,
    seal: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnreadableFields {
    consumers: u64,
    users: u64,
    tokens: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EndKind {
    End,
}

// === impl HeaderLine ===

impl HeaderLine {
    /// Returns the line of a header.
    pub(super) fn of(header: v1::ExportHeader) -> Self {
        Self {
            countersign_export: header.format_version,
            begin_time: header.begin_time.unwrap_or_default().to_string(),
            store: header.store,
            key_ids: header.key_ids,
        }
    }

    /// Returns the header.
    ///
    /// # Errors
    /// The problem of the line.
    pub(crate) fn header(&self) -> Result<ExportHeader, String> {
        if self.countersign_export != ExportHeader::FORMAT_VERSION {
            return Err(format!(
                "the export has format {}, and this release reads format {}; import it with the release that wrote it",
                self.countersign_export,
                ExportHeader::FORMAT_VERSION
            ));
        }
        let began: Timestamp = self
            .begin_time
            .parse()
            .map_err(|_| "begin_time is not a time".to_owned())?;
        Ok(ExportHeader {
            format_version: self.countersign_export,
            began_at: unix_time(began),
            store: self.store.clone(),
            key_ids: self.key_ids.clone(),
        })
    }
}

// === impl RecordLine ===

impl RecordLine {
    /// Returns the line of a record; `None` for a kind that this release does not know.
    pub(super) fn of(record: &v1::SealedRecord) -> Option<Self> {
        let kind = match record.kind() {
            v1::RecordKind::Unspecified => return None,
            v1::RecordKind::Consumer => Kind::Consumer,
            v1::RecordKind::User => Kind::User,
            v1::RecordKind::Token => Kind::Token,
        };
        Some(Self {
            kind,
            name: record.name.clone(),
            sealed: STANDARD.encode(&record.sealed),
        })
    }

    /// Returns the record.
    ///
    /// # Errors
    /// The problem of the line.
    pub(crate) fn record(&self) -> Result<SealedRecord, String> {
        let kind = match self.kind {
            Kind::Consumer => RecordKind::Consumer,
            Kind::User => RecordKind::User,
            Kind::Token => RecordKind::Token,
        };
        let name = self.name.clone().into_bytes();
        Ok(SealedRecord::exported(kind, name, decoded(&self.sealed)?))
    }
}

// === impl EndLine ===

impl EndLine {
    /// Returns the line of an end.
    pub(super) fn of(end: &v1::ExportEnd) -> Self {
        let v1::UnreadableCounts {
            consumers,
            users,
            tokens,
        } = end.unreadable.unwrap_or_default();
        Self {
            kind: EndKind::End,
            records: end.records,
            unreadable: UnreadableFields {
                consumers,
                users,
                tokens,
            },
            seal: STANDARD.encode(&end.seal),
        }
    }

    /// Returns the numbers of records that the export lacks.
    pub(crate) const fn unreadable(&self) -> UnreadableCounts {
        UnreadableCounts {
            consumers: self.unreadable.consumers,
            users: self.unreadable.users,
            tokens: self.unreadable.tokens,
        }
    }

    /// Returns the sealed digest.
    ///
    /// # Errors
    /// The problem of the line.
    pub(crate) fn seal(&self) -> Result<Vec<u8>, String> {
        decoded(&self.seal)
    }
}

fn decoded(text: &str) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(text)
        .map_err(|_| "its sealed bytes are not base64".to_owned())
}

fn unix_time(time: Timestamp) -> UnixTime {
    let seconds = UnixTime::from_secs(u64::try_from(time.seconds).unwrap_or_default());
    seconds.plus(Duration::from_nanos(
        u64::try_from(time.nanos).unwrap_or_default(),
    ))
}

/// The beginning of every sealed export.
pub(crate) const HEADER_START: &str = "{\"countersign_export\":";

/// The beginning of the last line.
pub(crate) const END_KIND: &str = "{\"kind\":\"end\",";
