//! Exports for backups: every consumer, user and token as it is sealed in the store.

use std::fmt;
use std::sync::Arc;

use super::audit::AuditEvent;
use super::{Actor, IssueError, Issuer};
use crate::store::{
    ExportDigest, ExportHeader, ScanCursor, SealedRecord, Store, UnreadableCounts, patiently,
};

/// An export that is being read, part by part.
pub struct Export {
    store: Arc<dyn Store>,
    position: Position,
    digest: ExportDigest,
    records: u64,
    unreadable: UnreadableCounts,
}

/// A part of an export.
#[derive(Debug)]
pub enum ExportPart {
    /// The first part.
    Header(ExportHeader),
    /// Some records, perhaps none.
    Records(Vec<SealedRecord>),
    /// The last part.
    End(ExportEnd),
}

/// The end of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportEnd {
    /// The number of records in the parts before.
    pub records: u64,
    /// The numbers of records that were left out because they cannot be read.
    pub unreadable: UnreadableCounts,
    /// The digest of the parts before, sealed.
    pub seal: Vec<u8>,
}

enum Position {
    Header(ExportHeader),
    Records(ScanCursor),
    End,
    After,
}

impl Issuer {
    /// Begins an export.
    pub fn export(&self, actor: &Actor) -> Export {
        AuditEvent::of_store(actor, "store.export").note();
        let key_ids = self.store.master_key_ids().into_iter();
        let header = ExportHeader {
            format_version: ExportHeader::FORMAT_VERSION,
            began_at: self.clock.now(),
            store: self.store.kind().to_owned(),
            key_ids: key_ids.map(String::from).collect(),
        };
        Export {
            store: Arc::clone(&self.store),
            digest: ExportDigest::new(&header),
            position: Position::Header(header),
            records: 0,
            unreadable: UnreadableCounts::default(),
        }
    }
}

// === impl Export ===

impl Export {
    /// Returns the next part; `None` after the end.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn next(&mut self) -> Result<Option<ExportPart>, IssueError> {
        let position = std::mem::replace(&mut self.position, Position::After);
        Ok(match position {
            Position::Header(header) => {
                self.position = Position::Records(ScanCursor::default());
                Some(ExportPart::Header(header))
            }
            Position::Records(from) => Some(ExportPart::Records(self.page(&from).await?)),
            Position::End => Some(ExportPart::End(self.end()?)),
            Position::After => None,
        })
    }

    async fn page(&mut self, from: &ScanCursor) -> Result<Vec<SealedRecord>, IssueError> {
        let page = patiently(|| self.store.scan(from, PAGE)).await?;
        self.position = page.next.map_or(Position::End, Position::Records);
        let mut records = Vec::with_capacity(page.records.len());
        for record in page.records {
            if record.kind.is_exported() && self.opens(&record) {
                self.digest.add(&record);
                records.push(record);
            }
        }
        self.records += records.len() as u64;
        Ok(records)
    }

    /// Returns `true` if a record can be read. Counts and logs another one, which could not be
    /// restored.
    fn opens(&mut self, record: &SealedRecord) -> bool {
        let Err(problem) = self.store.open_record(record) else {
            return true;
        };
        self.unreadable.add(record.kind);
        // Whoever can write to the store chose the name and the id of the key.
        let name = record.name.escape_ascii();
        let problem = problem.to_string();
        let problem = problem.escape_debug();
        let kind = record.kind;
        tracing::warn!(%name, %problem, "the export lacks the record of {kind}, because it cannot be read");
        false
    }

    fn end(&self) -> Result<ExportEnd, IssueError> {
        let digest = self.digest.clone().finish(&self.unreadable);
        Ok(ExportEnd {
            records: self.records,
            unreadable: self.unreadable,
            seal: self.store.seal_digest(&digest)?,
        })
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

/// The approximate number of records of a page, which is in memory at once.
const PAGE: usize = 100;
