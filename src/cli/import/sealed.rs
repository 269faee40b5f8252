//! The detection of sealed exports, and the check of a whole file.
//!
//! The file is opened once, read to its end, and read again from its beginning for each step of the
//! restore; a line that has changed since stops the restore.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _};
use std::path::Path;

use countersign::store::{ExportDigest, RecordKind, SealedRecord, UnreadableCounts};
use serde::de::DeserializeOwned;

use super::latest::{LatestLines, LineState, NumberedLine};
use super::lines::{Lines, RowPlace};
use crate::cli::exit::Usage;
use crate::cli::export::{END_KIND, EndLine, HEADER_START, HeaderLine, RecordLine};
use crate::cli::input::{self, unreadable};

/// A file that was read to its end.
pub(super) struct SealedExport {
    file: File,
    /// The name for messages.
    pub(super) name: String,
    latest: LatestLines,
    /// The numbers of records that could not be read when it was written.
    pub(super) unreadable: UnreadableCounts,
    /// The sealed digest in the end.
    pub(super) seal: Vec<u8>,
    /// The digest of what was read.
    pub(super) digest: Vec<u8>,
}

/// The records of a file that was read before, with their places.
pub(super) struct SealedRecords<'a> {
    lines: ExportLines<'a>,
    latest: &'a LatestLines,
    /// The number of different records so far.
    seen: u64,
    is_at_end: bool,
}

/// The lines of a file.
struct ExportLines<'a> {
    lines: Lines<BufReader<&'a File>>,
    name: &'a str,
}

/// A line after the header.
enum Line {
    Record { record: SealedRecord, text: Vec<u8> },
    End(EndLine),
}

/// Opens a file if it begins as a sealed export does.
pub(super) fn open_sealed_export(path: &Path) -> Result<Option<File>, Usage> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut start = Vec::new();
    let length = HEADER_START.len() as u64;
    let read = (&file).take(length).read_to_end(&mut start);
    read.map_err(|error| unreadable(path, &error))?;
    Ok((start == HEADER_START.as_bytes()).then_some(file))
}

// === impl SealedExport ===

impl SealedExport {
    /// Reads a whole file.
    ///
    /// # Errors
    /// If a line has another form, or the file ends before its end.
    pub(super) fn read(file: File, path: &Path) -> anyhow::Result<Self> {
        let name = input::name(path);
        let (mut lines, header) = ExportLines::of(&file, &name)?;
        let header = header.header().map_err(|problem| lines.wrong(&problem))?;
        let (mut digest, mut latest) = (ExportDigest::new(&header), LatestLines::default());
        let mut count = 0;
        let end = loop {
            match lines.next_line()? {
                Some(Line::Record { record, text }) => {
                    digest.add(&record);
                    latest.add(&record, lines.numbered(&text));
                    count += 1;
                }
                Some(Line::End(end)) => break end,
                None => return Err(lines.incomplete().into()),
            }
        };
        if end.records != count {
            return Err(lines.incomplete().into());
        }
        let seal = end.seal().map_err(|problem| lines.wrong(&problem))?;
        lines.refuse_more()?;
        let unreadable = end.unreadable();
        Ok(Self {
            file,
            name,
            latest,
            unreadable,
            seal,
            digest: digest.finish(&unreadable).to_vec(),
        })
    }

    /// Returns the number of different records.
    pub(super) fn records_len(&self) -> u64 {
        self.latest.len()
    }

    /// Reads the records again.
    pub(super) fn records(&self) -> anyhow::Result<SealedRecords<'_>> {
        let (lines, _) = ExportLines::of(&self.file, &self.name)?;
        Ok(SealedRecords {
            lines,
            latest: &self.latest,
            seen: 0,
            is_at_end: false,
        })
    }
}

// === impl SealedRecords ===

impl SealedRecords<'_> {
    /// Returns the next record of a kind, or of any, with its place; `None` after the last one. Of
    /// a record that is listed twice, returns the later line.
    pub(super) fn next_of(
        &mut self,
        kind: Option<RecordKind>,
    ) -> anyhow::Result<Option<(RowPlace, SealedRecord)>> {
        while !self.is_at_end {
            match self.lines.next_line()? {
                Some(Line::Record { record, text }) => {
                    let is_latest = self.is_latest(&record, &text)?;
                    if is_latest && kind.is_none_or(|kind| kind == record.kind) {
                        let place = RowPlace::Line(self.lines.lines.line);
                        return Ok(Some((place, record)));
                    }
                }
                Some(Line::End(_)) if self.seen == self.latest.len() => self.is_at_end = true,
                Some(Line::End(_)) | None => return Err(self.lines.changed().into()),
            }
        }
        Ok(None)
    }

    fn is_latest(&mut self, record: &SealedRecord, text: &[u8]) -> Result<bool, Usage> {
        match self.latest.state(record, self.lines.numbered(text)) {
            LineState::Latest => {
                self.seen += 1;
                Ok(true)
            }
            LineState::Superseded => Ok(false),
            LineState::Changed => Err(self.lines.changed()),
        }
    }
}

// === impl ExportLines ===

impl<'a> ExportLines<'a> {
    /// Reads the header at the beginning of a file.
    fn of(file: &'a File, name: &'a str) -> anyhow::Result<(Self, HeaderLine)> {
        let mut from = file;
        let sought = from.rewind();
        sought.map_err(|error| unreadable(Path::new(name), &error))?;
        let mut lines = Self {
            lines: Lines::new(BufReader::new(file)),
            name,
        };
        let line = lines.lines.next_line()?.unwrap_or_default();
        let header = lines.parsed(&line)?;
        Ok((lines, header))
    }

    /// Returns a text with the number of the last line.
    const fn numbered<'t>(&self, text: &'t [u8]) -> NumberedLine<'t> {
        NumberedLine {
            number: self.lines.line,
            text,
        }
    }

    fn next_line(&mut self) -> anyhow::Result<Option<Line>> {
        let Some(text) = self.lines.next_line()? else {
            return Ok(None);
        };
        if text.starts_with(END_KIND.as_bytes()) {
            return Ok(Some(Line::End(self.parsed(&text)?)));
        }
        let line: RecordLine = self.parsed(&text)?;
        let record = line.record().map_err(|problem| self.wrong(&problem))?;
        Ok(Some(Line::Record { record, text }))
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

    fn changed(&self) -> Usage {
        self.wrong("the file was changed during the import; restore another backup")
    }

    fn wrong(&self, problem: &str) -> Usage {
        Usage(format!(
            "{}, line {}: {problem}",
            self.name, self.lines.line
        ))
    }
}
