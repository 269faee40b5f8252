//! The detection of sealed exports, and the check of a whole file.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use countersign::store::{ExportDigest, RecordKind, SealedRecord};
use serde::de::DeserializeOwned;

use super::lines::{Lines, RowPlace};
use crate::cli::exit::Usage;
use crate::cli::export::{END_KIND, EndLine, HEADER_START, HeaderLine, RecordLine};
use crate::cli::input::{self, unreadable};

/// A file that was read to its end.
pub(super) struct SealedExport {
    path: PathBuf,
    /// The number of records.
    pub(super) records: u64,
    /// The number of records that could not be read when it was written.
    pub(super) unreadable: u64,
    /// The sealed digest in the end.
    pub(super) seal: Vec<u8>,
    /// The digest of what was read.
    pub(super) digest: Vec<u8>,
}

/// The records of a file with their places.
pub(super) struct SealedRecords {
    lines: Lines<BufReader<File>>,
    name: String,
    is_at_end: bool,
}

/// A line after the header.
enum Line {
    Record(SealedRecord),
    End(EndLine),
}

/// Returns `true` if a file begins as a sealed export does.
pub(super) fn is_sealed_export(path: &Path) -> Result<bool, Usage> {
    let mut start = Vec::new();
    let length = HEADER_START.len() as u64;
    let read = input::open(path)?.take(length).read_to_end(&mut start);
    read.map_err(|error| unreadable(path, &error))?;
    Ok(start == HEADER_START.as_bytes())
}

// === impl SealedExport ===

impl SealedExport {
    /// Reads a whole file.
    ///
    /// # Errors
    /// If a line has another form, or the file ends before its end.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let (mut records, header) = SealedRecords::open(path)?;
        let header = header.header().map_err(|problem| records.wrong(&problem))?;
        let mut digest = ExportDigest::new(&header);
        let mut count = 0;
        let end = loop {
            match records.next_line()? {
                Some(Line::Record(record)) => {
                    digest.add(&record);
                    count += 1;
                }
                Some(Line::End(end)) => break end,
                None => return Err(records.incomplete().into()),
            }
        };
        if end.records != count {
            return Err(records.incomplete().into());
        }
        let seal = end.seal().map_err(|problem| records.wrong(&problem))?;
        records.refuse_more()?;
        Ok(Self {
            path: path.to_owned(),
            records: count,
            unreadable: end.unreadable,
            seal,
            digest: digest.finish().to_vec(),
        })
    }

    /// Reads the records again.
    pub(super) fn records(&self) -> anyhow::Result<SealedRecords> {
        SealedRecords::open(&self.path).map(|(records, _)| records)
    }
}

// === impl SealedRecords ===

impl SealedRecords {
    fn open(path: &Path) -> anyhow::Result<(Self, HeaderLine)> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let mut records = Self {
            lines: Lines::new(BufReader::new(file)),
            name: input::name(path),
            is_at_end: false,
        };
        let line = records.lines.next_line()?.unwrap_or_default();
        let header = records.parsed(&line)?;
        Ok((records, header))
    }

    /// Returns the next record of a kind, or of any, with its place; `None` after the last one.
    pub(super) fn next_of(
        &mut self,
        kind: Option<RecordKind>,
    ) -> anyhow::Result<Option<(RowPlace, SealedRecord)>> {
        while !self.is_at_end {
            match self.next_line()? {
                Some(Line::Record(record)) if kind.is_none_or(|kind| kind == record.kind) => {
                    return Ok(Some((RowPlace::Line(self.lines.line), record)));
                }
                Some(Line::Record(_)) => {}
                Some(Line::End(_)) => self.is_at_end = true,
                None => return Err(self.incomplete().into()),
            }
        }
        Ok(None)
    }

    fn next_line(&mut self) -> anyhow::Result<Option<Line>> {
        let Some(line) = self.lines.next_line()? else {
            return Ok(None);
        };
        if line.starts_with(END_KIND.as_bytes()) {
            return Ok(Some(Line::End(self.parsed(&line)?)));
        }
        let line: RecordLine = self.parsed(&line)?;
        let record = line.record().map_err(|problem| self.wrong(&problem))?;
        Ok(Some(Line::Record(record)))
    }

    fn refuse_more(&mut self) -> anyhow::Result<()> {
        match self.lines.next_line()? {
            None => Ok(()),
            Some(_) => Err(self
                .wrong("the file continues after the end of the export; restore another backup")
                .into()),
        }
    }

    /// Parses a line. A line that was cut off is not JSON.
    fn parsed<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, Usage> {
        serde_json::from_slice(line).map_err(|error| {
            self.wrong(&format!(
                "not a line of a sealed export, see column {}: the file is incomplete or was changed; restore another backup",
                error.column()
            ))
        })
    }

    fn incomplete(&self) -> Usage {
        Usage(format!(
            "{} is incomplete: its last line is missing, or has another number of records; restore another backup",
            self.name
        ))
    }

    fn wrong(&self, problem: &str) -> Usage {
        Usage(format!(
            "{}, line {}: {problem}",
            self.name, self.lines.line
        ))
    }
}
