//! `countersign.v1.BackupService`.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tonic::{Request, Response, Status};

use super::access::Access;
use super::convert::{export_messages, exposed_message, restore_outcome_message, sealed_record_of};
use super::fields::Fields;
use super::{errors, gate};
use crate::issue::{Export, ExportProof, IssueError, Issuer, SecretExport};
use crate::store::SealedRecord;
use crate::v1;
use crate::v1::backup_service_server::BackupService;

/// The backup service.
#[derive(Clone, Debug)]
pub(super) struct BackupApi {
    issuer: Issuer,
    access: Arc<Access>,
}

#[tonic::async_trait]
impl BackupService for BackupApi {
    type ExportRecordsStream = BoxStream<'static, Result<v1::ExportRecordsResponse, Status>>;
    type ExportSecretsStream = BoxStream<'static, Result<v1::ExportSecretsResponse, Status>>;

    async fn export_records(
        &self,
        request: Request<v1::ExportRecordsRequest>,
    ) -> Result<Response<Self::ExportRecordsStream>, Status> {
        let actor = gate::actor(request.extensions())?;
        let export = self.issuer.export(&actor);
        Ok(Response::new(streamed(export)))
    }

    async fn export_secrets(
        &self,
        request: Request<v1::ExportSecretsRequest>,
    ) -> Result<Response<Self::ExportSecretsStream>, Status> {
        let actor = gate::actor(request.extensions())?;
        if !self.access.allows_plaintext_export() {
            return Err(errors::plaintext_export_off());
        }
        let export = self.issuer.export_secrets(&actor);
        Ok(Response::new(streamed(export)))
    }

    async fn begin_restore(
        &self,
        request: Request<v1::BeginRestoreRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = gate::actor(request.extensions())?;
        let v1::BeginRestoreRequest {
            seal,
            digest,
            validate_only,
        } = request.into_inner();
        let mut fields = Fields::default();
        let seal = fields.take("seal", given(seal));
        let digest = fields.take("digest", given(digest));
        let (seal, digest) = fields.all(seal.zip(digest))?;
        let proof = ExportProof { seal, digest };
        let begun = self
            .issuer
            .begin_restore(&proof, validate_only, &actor)
            .await;
        begun.map(Response::new).map_err(errors::status)
    }

    async fn restore_records(
        &self,
        request: Request<v1::RestoreRecordsRequest>,
    ) -> Result<Response<v1::RestoreRecordsResponse>, Status> {
        let actor = gate::actor(request.extensions())?;
        let v1::RestoreRecordsRequest {
            records,
            validate_only,
        } = request.into_inner();
        let records = records_of(records)?;
        let restored = self
            .issuer
            .restore_records(&records, validate_only, &actor)
            .await;
        let outcomes = restored.map_err(errors::status)?;
        Ok(Response::new(v1::RestoreRecordsResponse {
            outcomes: outcomes.into_iter().map(restore_outcome_message).collect(),
        }))
    }

    async fn end_restore(
        &self,
        request: Request<v1::EndRestoreRequest>,
    ) -> Result<Response<()>, Status> {
        let actor = gate::actor(request.extensions())?;
        let mut fields = Fields::default();
        let seal = fields.take("seal", given(request.into_inner().seal));
        let ended = self.issuer.end_restore(&fields.all(seal)?, &actor).await;
        ended.map(Response::new).map_err(errors::status)
    }
}

impl BackupApi {
    pub(super) const fn new(issuer: Issuer, access: Arc<Access>) -> Self {
        Self { issuer, access }
    }
}

fn given(bytes: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    if bytes.is_empty() {
        Err("must not be empty")
    } else {
        Ok(bytes)
    }
}

fn records_of(messages: Vec<v1::SealedRecord>) -> Result<Vec<SealedRecord>, Status> {
    let mut fields = Fields::default();
    if messages.is_empty() || messages.len() > MOST_RECORDS {
        let problem = format!("must have 1 to {MOST_RECORDS} records");
        fields.wrong("records", problem);
        return fields.all(None);
    }
    let records = messages
        .into_iter()
        .enumerate()
        .filter_map(|(at, message)| sealed_record_of(&mut fields, at, message));
    let records = records.collect();
    fields.all(Some(records))
}

/// An export that is read page by page.
trait MessageSource: Send + 'static {
    type Message: Send + 'static;

    /// Returns the messages of the next page, perhaps none; `None` after the last page.
    fn next_page(
        &mut self,
    ) -> impl Future<Output = Result<Option<Vec<Self::Message>>, IssueError>> + Send;
}

impl MessageSource for Export {
    type Message = v1::ExportRecordsResponse;

    async fn next_page(&mut self) -> Result<Option<Vec<Self::Message>>, IssueError> {
        Ok(self.next().await?.map(export_messages))
    }
}

impl MessageSource for SecretExport {
    type Message = v1::ExportSecretsResponse;

    async fn next_page(&mut self) -> Result<Option<Vec<Self::Message>>, IssueError> {
        let page = self.next().await?;
        Ok(page.map(|page| page.into_iter().map(exposed_message).collect()))
    }
}

/// Streams the messages of an export, which reads the next page when the caller has read the one
/// before.
fn streamed<S: MessageSource>(source: S) -> BoxStream<'static, Result<S::Message, Status>> {
    let begun = Some((source, VecDeque::new()));
    let messages = stream::unfold(begun, |state| async move {
        let (mut source, mut waiting) = state?;
        loop {
            if let Some(message) = waiting.pop_front() {
                return Some((Ok(message), Some((source, waiting))));
            }
            match source.next_page().await {
                Ok(Some(page)) => waiting = page.into(),
                Ok(None) => return None,
                Err(error) => return Some((Err(errors::status(error)), None)),
            }
        }
    });
    messages.boxed()
}

/// The most records of one request.
const MOST_RECORDS: usize = 500;
