//! The restore of a sealed export, in two steps.
//!
//! 1. The command reads the file to its end, and the server checks that the file is complete and
//!    unchanged, that it has the master keys, and which records exist. Nothing is written.
//! 2. The server raises its fence and writes the records: consumers, users, then tokens.
//!
//! The server leaves existing records unchanged, so a restore that stopped can be run again.

use std::process::ExitCode;

use anyhow::bail;
use countersign::store::{RecordKind, SealedRecord, UnreadableCounts};
use countersign::v1;
use countersign::v1::backup_service_client::BackupServiceClient;
use tonic::Status;

use super::Args;
use super::lines::{RowMark, RowPlace};
use super::report::{ImportReport, Summary};
use super::row::Problem;
use super::sealed::{SealedExport, SealedRecords};
use super::send::{Outcome, with_retries};
use crate::cli::client::{AdminChannel, refused};
use crate::cli::exit::Usage;
use crate::cli::output;

/// A restore.
struct Restore<'a> {
    client: BackupServiceClient<AdminChannel>,
    export: &'a SealedExport,
    report: ImportReport,
    skip_existing: bool,
    validate_only: bool,
    /// The number of records that the server answered.
    done: u64,
}

/// Some records of the file, and their places.
#[derive(Default)]
struct Batch {
    places: Vec<RowPlace>,
    records: Vec<v1::SealedRecord>,
    len: usize,
}

/// Runs the command for a sealed export.
pub(super) async fn run(args: &Args, export: &SealedExport) -> anyhow::Result<ExitCode> {
    note_unreadable(export);
    if !args.dry_run && !args.accept_missing {
        refuse_missing(export)?;
    }
    let client = BackupServiceClient::new(args.admin.connect().await?);
    begin(&client, export, true).await?;
    let checked = Restore::new(args, export, client.clone(), true)?
        .all()
        .await?;
    if args.dry_run || checked.summary().refused > 0 {
        let summary = checked.end(args.admin.output)?;
        if !args.dry_run {
            output::note(NOTHING_RESTORED);
        }
        return Ok(exit_code(&summary));
    }
    checked.discard();
    begin(&client, export, false).await?;
    let restored = Restore::new(args, export, client.clone(), false)?
        .all()
        .await?;
    end(&client, export).await?;
    Ok(exit_code(&restored.end(args.admin.output)?))
}

fn note_unreadable(export: &SealedExport) {
    let UnreadableCounts {
        consumers,
        users,
        tokens,
    } = export.unreadable;
    if export.unreadable.total() > 0 {
        output::note(&format!(
            "warning: {} lacks {consumers} consumers, {users} users and {tokens} tokens that could \
             not be read during the export",
            export.name
        ));
    }
}

/// Refuses an export that lacks consumers or users. An absent user counts as active.
fn refuse_missing(export: &SealedExport) -> Result<(), Usage> {
    let UnreadableCounts {
        consumers, users, ..
    } = export.unreadable;
    if consumers == 0 && users == 0 {
        return Ok(());
    }
    Err(Usage(format!(
        "{} lacks {consumers} consumers and {users} users: tokens of a user who was disabled or \
         deleted would become valid; restore another backup, or add --accept-missing",
        export.name
    )))
}

async fn begin(
    client: &BackupServiceClient<AdminChannel>,
    export: &SealedExport,
    validate_only: bool,
) -> anyhow::Result<()> {
    let request = v1::BeginRestoreRequest {
        seal: export.seal.clone(),
        digest: export.digest.clone(),
        validate_only,
    };
    let begun = with_retries(|| {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.begin_restore(request).await }
    });
    begun.await.map(drop).map_err(refused)
}

async fn end(
    client: &BackupServiceClient<AdminChannel>,
    export: &SealedExport,
) -> anyhow::Result<()> {
    let ended = with_retries(|| {
        let (mut client, seal) = (client.clone(), export.seal.clone());
        async move { client.end_restore(v1::EndRestoreRequest { seal }).await }
    });
    ended.await.map(drop).map_err(refused)
}

const fn exit_code(summary: &Summary) -> ExitCode {
    if summary.refused == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

// === impl Restore ===

impl<'a> Restore<'a> {
    fn new(
        args: &Args,
        export: &'a SealedExport,
        client: BackupServiceClient<AdminChannel>,
        validate_only: bool,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            client,
            export,
            report: ImportReport::new(
                args.report.as_deref(),
                Some(export.records_len()),
                validate_only,
            )?,
            skip_existing: args.skip_existing,
            validate_only,
            done: 0,
        })
    }

    /// Sends every record, and returns the report.
    async fn all(mut self) -> anyhow::Result<ImportReport> {
        // The order matters only to those that are written.
        let kinds: &[Option<RecordKind>] = if self.validate_only {
            &[None]
        } else {
            &WRITTEN_IN_ORDER
        };
        for kind in kinds {
            let restored = match self.refuse_tokens(*kind) {
                Ok(()) => self.of_kind(*kind).await,
                Err(error) => Err(error),
            };
            if let Err(error) = restored {
                self.report.abandon()?;
                return Err(error);
            }
        }
        Ok(self.report)
    }

    /// Stops before the first token if a consumer or a user was not restored.
    fn refuse_tokens(&self, kind: Option<RecordKind>) -> anyhow::Result<()> {
        let refused = self.report.summary().refused;
        if kind == Some(RecordKind::Token) && refused > 0 {
            bail!(
                "no token was restored, because {refused} consumers or users were refused: tokens of a \
                 user who was disabled or deleted would be valid"
            );
        }
        Ok(())
    }

    async fn of_kind(&mut self, kind: Option<RecordKind>) -> anyhow::Result<()> {
        let export = self.export;
        let mut records = export.records()?;
        loop {
            let batch = Batch::read(&mut records, kind)?;
            if batch.records.is_empty() {
                return Ok(());
            }
            self.send(batch).await?;
        }
    }

    async fn send(&mut self, batch: Batch) -> anyhow::Result<()> {
        let Batch {
            places, records, ..
        } = batch;
        let request = v1::RestoreRecordsRequest {
            records,
            validate_only: self.validate_only,
        };
        let answer = self.answer(&request).await.map_err(refused)?;
        for ((place, record), outcome) in places.into_iter().zip(request.records).zip(answer) {
            self.done += 1;
            let mark = RowMark {
                place,
                position: self.done,
            };
            let outcome = self.outcome(&record, outcome);
            self.report.add(&mark, &outcome, None)?;
        }
        Ok(())
    }

    async fn answer(
        &self,
        request: &v1::RestoreRecordsRequest,
    ) -> Result<Vec<v1::RestoreOutcome>, Status> {
        let answer = with_retries(|| {
            let (mut client, request) = (self.client.clone(), request.clone());
            async move { client.restore_records(request).await }
        });
        let outcomes = answer.await?.into_inner().outcomes;
        if outcomes.len() == request.records.len() {
            Ok(outcomes)
        } else {
            Err(Status::internal("the server did not answer every record"))
        }
    }

    fn outcome(&self, record: &v1::SealedRecord, outcome: v1::RestoreOutcome) -> Outcome {
        let result = outcome.result();
        let name = format!("{} {}", kind_word(record.kind()), record.name);
        let problem = Problem::new(&name, outcome.problem);
        match result {
            v1::RestoreResult::Created => Outcome::Created,
            v1::RestoreResult::Existed => Outcome::Existed,
            v1::RestoreResult::Differs if self.skip_existing => Outcome::Skipped(problem),
            v1::RestoreResult::Orphaned => Outcome::Skipped(problem),
            v1::RestoreResult::Differs
            | v1::RestoreResult::Refused
            | v1::RestoreResult::Unspecified => Outcome::Refused(vec![problem]),
        }
    }
}

// === impl Batch ===

impl Batch {
    /// Reads the next records of a kind, or of any; none after the last one.
    fn read(from: &mut SealedRecords<'_>, kind: Option<RecordKind>) -> anyhow::Result<Self> {
        let mut batch = Self::default();
        while batch.records.len() < BATCH_RECORDS
            && batch.len < BATCH_LEN
            && let Some((place, record)) = from.next_of(kind)?
        {
            batch.len += record.name.len() + record.bytes.len();
            batch.places.push(place);
            batch.records.push(message(record));
        }
        Ok(batch)
    }
}

fn message(record: SealedRecord) -> v1::SealedRecord {
    let kind = match record.kind {
        RecordKind::Consumer => v1::RecordKind::Consumer,
        RecordKind::User => v1::RecordKind::User,
        RecordKind::Token => v1::RecordKind::Token,
        RecordKind::RequestToken | RecordKind::Session | RecordKind::Canary => {
            v1::RecordKind::Unspecified
        }
    };
    v1::SealedRecord {
        kind: kind.into(),
        name: String::from_utf8_lossy(&record.name).into_owned(),
        sealed: record.bytes,
    }
}

const fn kind_word(kind: v1::RecordKind) -> &'static str {
    match kind {
        v1::RecordKind::Consumer => "consumer",
        v1::RecordKind::User => "user",
        v1::RecordKind::Token => "token",
        v1::RecordKind::Unspecified => "record",
    }
}

/// A token needs its consumer, and a user that exists before it has its generation.
const WRITTEN_IN_ORDER: [Option<RecordKind>; 3] = [
    Some(RecordKind::Consumer),
    Some(RecordKind::User),
    Some(RecordKind::Token),
];

const NOTHING_RESTORED: &str = "nothing was restored, because records differ or were refused; --skip-existing leaves records that differ unchanged, and restores the others";

/// The most records of one request: the embedded store writes one after the other, and a slow disk
/// must answer within the time of a call.
const BATCH_RECORDS: usize = 50;

/// The size of a request beyond which it gets no further record, a quarter of what the server
/// accepts.
const BATCH_LEN: usize = 1024 * 1024;
