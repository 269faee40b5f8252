//! A sealed export, read from a server.

use std::time::Duration;

use countersign::clock::UnixTime;
use countersign::store::{ExportDigest, ExportHeader, RecordKind, SealedRecord, UnreadableCounts};
use countersign::v1;
use countersign::v1::backup_service_client::BackupServiceClient;
use countersign::v1::export_records_response::Part;

use crate::support::admin_server::AdminChannel;

/// An export.
#[derive(Clone, Debug)]
pub(crate) struct ReadExport {
    pub(crate) records: Vec<v1::SealedRecord>,
    pub(crate) seal: Vec<u8>,
    pub(crate) digest: Vec<u8>,
}

impl ReadExport {
    /// Exports the records of a server.
    pub(crate) async fn of(channel: AdminChannel) -> Self {
        let mut client = BackupServiceClient::new(channel);
        let request = v1::ExportRecordsRequest {};
        let mut parts = client.export_records(request).await.unwrap().into_inner();
        let (mut digest, mut records) = (None, Vec::new());
        loop {
            let part = parts.message().await.unwrap().unwrap().part.unwrap();
            match part {
                Part::Header(header) => digest = Some(ExportDigest::new(&of_message(header))),
                Part::Records(page) => records.extend(page.records),
                Part::End(end) => {
                    let mut digest = digest.unwrap();
                    records.iter().for_each(|one| digest.add(&sealed(one)));
                    assert_eq!(end.records, records.len() as u64);
                    return Self {
                        records,
                        seal: end.seal,
                        digest: digest.finish(&UnreadableCounts::default()).to_vec(),
                    };
                }
            }
        }
    }
}

fn of_message(header: v1::ExportHeader) -> ExportHeader {
    let began = header.begin_time.unwrap();
    let seconds = UnixTime::from_secs(u64::try_from(began.seconds).unwrap());
    ExportHeader {
        format_version: header.format_version,
        began_at: seconds.plus(Duration::from_nanos(u64::try_from(began.nanos).unwrap())),
        store: header.store,
        key_ids: header.key_ids,
    }
}

fn sealed(record: &v1::SealedRecord) -> SealedRecord {
    let kind = match record.kind() {
        v1::RecordKind::Consumer => RecordKind::Consumer,
        v1::RecordKind::User => RecordKind::User,
        v1::RecordKind::Token => RecordKind::Token,
        v1::RecordKind::Unspecified => panic!("{record:?}"),
    };
    let (name, bytes) = (record.name.clone().into_bytes(), record.sealed.clone());
    SealedRecord::exported(kind, name, bytes)
}
