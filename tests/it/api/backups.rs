//! `BackupService`: what a restore creates, leaves and refuses.

use countersign::model::{Secret, Token};
use countersign::v1;
use countersign::v1::backup_service_client::BackupServiceClient;
use tonic::Code;

use crate::api::requests::{KEY, TOKEN, USER_ID, consumer_request, token_request, user_request};
use crate::support::admin_server::{AdminChannel, AdminServer, fields, reason};
use crate::support::export::ReadExport;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_its_consumer_is_left_out_and_comes_back_with_it() {
    let bench = Bench::start().await;
    let secret = bench.secret().await;
    bench.delete_consumer().await;
    let [consumer, token] = [v1::RecordKind::Consumer, v1::RecordKind::Token];
    assert_eq!(bench.restore(token).await, v1::RestoreResult::Orphaned);
    assert_eq!(bench.restore(consumer).await, v1::RestoreResult::Created);
    assert_eq!(bench.restore(token).await, v1::RestoreResult::Created);
    assert_eq!(bench.secret().await, secret);
    for kind in [consumer, v1::RecordKind::User, token] {
        assert_eq!(bench.restore(kind).await, v1::RestoreResult::Existed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_changed_since_stays_as_it_is() {
    let bench = Bench::start().await;
    let revoke = v1::RevokeTokenRequest {
        token: TOKEN.to_owned(),
        consumer_key: String::new(),
    };
    bench
        .server
        .tokens()
        .await
        .revoke_token(revoke)
        .await
        .unwrap();
    let outcome = bench.restore(v1::RecordKind::Token).await;
    assert_eq!(outcome, v1::RestoreResult::Differs);
    let stored = bench.server.store.token(&Token::new(TOKEN).unwrap()).await;
    let status = stored.unwrap().unwrap().status;
    assert_eq!(status, countersign::model::TokenStatus::Revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validated_record_is_not_written() {
    let bench = Bench::start().await;
    bench.delete_consumer().await;
    let request = v1::RestoreRecordsRequest {
        records: bench.export.records.clone(),
        validate_only: true,
    };
    let answer = bench.client.clone().restore_records(request).await.unwrap();
    let outcomes = answer.into_inner().outcomes;
    assert_eq!(outcomes.len(), bench.export.records.len());
    assert!(outcomes.iter().all(|outcome| outcome.problem.is_empty()));
    assert_eq!(bench.server.store.consumers(None, 9).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_record_is_refused_and_the_others_are_restored() {
    let bench = Bench::start().await;
    bench.delete_consumer().await;
    let mut records = bench.export.records.clone();
    records.sort_by_key(|record| record.kind);
    *records[0].sealed.last_mut().unwrap() ^= 1;
    let request = v1::RestoreRecordsRequest {
        records,
        validate_only: false,
    };
    let answer = bench.client.clone().restore_records(request).await.unwrap();
    let outcomes = answer.into_inner().outcomes;
    assert_eq!(outcomes[0].result(), v1::RestoreResult::Refused);
    assert!(
        outcomes[0].problem.contains("does not authenticate"),
        "{}",
        outcomes[0].problem
    );
    assert_eq!(outcomes[1].result(), v1::RestoreResult::Existed);
    assert_eq!(outcomes[2].result(), v1::RestoreResult::Orphaned);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_a_bounded_number_of_records() {
    let bench = Bench::start().await;
    let record = bench.export.records[0].clone();
    let request = v1::RestoreRecordsRequest {
        records: vec![record; 501],
        validate_only: true,
    };
    let refused = bench.client.clone().restore_records(request).await;
    assert_eq!(fields(&refused.unwrap_err()), ["records"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_digest_begins_no_restore() {
    let bench = Bench::start().await;
    let request = v1::BeginRestoreRequest {
        seal: bench.export.seal.clone(),
        digest: vec![0; 32],
        validate_only: false,
    };
    let refused = bench
        .client
        .clone()
        .begin_restore(request)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(fields(&refused), ["digest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_exported_by_default() {
    let bench = Bench::start().await;
    let request = v1::ExportSecretsRequest {};
    let refused = bench.client.clone().export_secrets(request).await;
    let refused = refused.err().unwrap();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(reason(&refused), "PLAINTEXT_EXPORT_OFF");
}

/// A server with a consumer, a user and a token, and its export.
struct Bench {
    server: AdminServer,
    client: BackupServiceClient<AdminChannel>,
    export: ReadExport,
}

impl Bench {
    async fn start() -> Self {
        let server = AdminServer::start().await;
        let (mut consumers, mut users) = (server.consumers().await, server.users().await);
        let consumer = consumers.create_consumer(consumer_request(KEY)).await;
        consumer.unwrap();
        let user = users.create_user(user_request(USER_ID, "alice")).await;
        user.unwrap();
        let token = server
            .tokens()
            .await
            .create_token(token_request(TOKEN))
            .await;
        token.unwrap();
        let channel = server.admin().await;
        Self {
            export: ReadExport::of(channel.clone()).await,
            client: BackupServiceClient::new(channel),
            server,
        }
    }

    async fn secret(&self) -> Secret {
        let token = self.server.store.token(&Token::new(TOKEN).unwrap()).await;
        token.unwrap().unwrap().secret
    }

    /// Deletes the consumer and its token, and returns when both are gone.
    async fn delete_consumer(&self) {
        let store = &self.server.store;
        let token = store.token(&Token::new(TOKEN).unwrap()).await.unwrap();
        store.delete_token(&token.unwrap()).await.unwrap();
        let consumers = store.consumers(None, 1).await.unwrap();
        store.delete_consumer(&consumers[0]).await.unwrap();
    }

    /// Restores the record of that kind.
    async fn restore(&self, kind: v1::RecordKind) -> v1::RestoreResult {
        let records = self.export.records.iter();
        let request = v1::RestoreRecordsRequest {
            records: records.filter(|one| one.kind() == kind).cloned().collect(),
            validate_only: false,
        };
        let answer = self.client.clone().restore_records(request).await.unwrap();
        let [outcome] = answer.into_inner().outcomes.try_into().unwrap();
        outcome.result()
    }
}
