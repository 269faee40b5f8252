//! The sealed export.

use anyhow::{Context as _, bail};
use countersign::v1;
use countersign::v1::backup_service_client::BackupServiceClient;
use countersign::v1::export_records_response::Part;

use super::line::{EndLine, HeaderLine, RecordLine};
use super::{ExportCounts, ExportWriter};
use crate::cli::client::{AdminChannel, refused};

/// Writes the header, every record and the end.
pub(super) async fn export(
    mut client: BackupServiceClient<AdminChannel>,
    to: &mut ExportWriter,
) -> anyhow::Result<()> {
    let answer = client.export_records(v1::ExportRecordsRequest {}).await;
    let mut parts = answer.map_err(refused)?.into_inner();
    while let Some(message) = parts.message().await.map_err(refused)? {
        match message.part {
            Some(Part::Header(header)) => to.line(&HeaderLine::of(header))?,
            Some(Part::Records(records)) => write(&records.records, to)?,
            Some(Part::End(end)) => {
                let line = EndLine::of(&end);
                to.counts.unreadable = line.unreadable().total();
                return to.line(&line);
            }
            None => bail!("the server sent an unknown part of the export; update this command"),
        }
    }
    bail!("the server stopped before the end of the export; try again")
}

fn write(records: &[v1::SealedRecord], to: &mut ExportWriter) -> anyhow::Result<()> {
    for record in records {
        let line = RecordLine::of(record)
            .context("the server sent an unknown kind of record; update this command")?;
        to.counts.count(record.kind());
        to.record(&line)?;
    }
    Ok(())
}

impl ExportCounts {
    const fn count(&mut self, kind: v1::RecordKind) {
        match kind {
            v1::RecordKind::Consumer => self.consumers += 1,
            v1::RecordKind::User => self.users += 1,
            v1::RecordKind::Token => self.tokens += 1,
            v1::RecordKind::Unspecified => {}
        }
    }
}
