//! Bad input to every call: the refusal names the field, and nothing is written.
//!
//! The bad requests are generated from the API definition: a valid request of each call, with one
//! field spoiled. A new call without a valid request fails here, and so does a new field that the
//! server does not validate.

use countersign::config::Mode;
use countersign::diagnostics::{RefusalContext, RefusedRequest};
use countersign::model::{ConsumerKey, Token, UserId};
use countersign::store::TokenHolder;
use countersign::v1;
use countersign::v1::token_service_client::TokenServiceClient;
use prost_types::field_descriptor_proto::Type;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::api::definition::{Call, Field, Value, calls, send, with, without};
use crate::api::requests::{
    DECISION_ID, KEY, PASSWORD, ServerValues, TOKEN, USER_ID, consumer_request, good,
    token_request, user_request,
};
use crate::support::admin_server::{ADMIN_TOKEN, AdminChannel, AdminServer, fields, reason};
use crate::support::export::ReadExport;

#[tokio::test(flavor = "multi_thread")]
async fn a_good_request_is_answered() {
    for call in calls().into_iter().filter(|call| !call.goes_on) {
        let world = World::create().await;
        let answer = world.send(&call, good(&call.name, &world.values)).await;
        assert!(answer.is_ok(), "{}: {answer:?}", call.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_left_out_is_named() {
    let world = World::create().await;
    let before = world.records().await;
    for call in calls() {
        let right = good(&call.name, &world.values);
        for field in call.fields.iter().filter(|field| is_required(&call, field)) {
            let refused = world.refuses(&call, without(&right, &field.numbers)).await;
            assert_names(&refused, &field.name, &call);
        }
        for (choice, numbers) in &call.choices {
            let nothing = numbers.iter().fold(right.clone(), |message, number| {
                without(&message, &[*number])
            });
            assert_names(&world.refuses(&call, nothing).await, choice, &call);
        }
    }
    assert_eq!(world.records().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_no_field_may_have_is_named() {
    let world = World::create().await;
    let before = world.records().await;
    for call in calls() {
        let right = good(&call.name, &world.values);
        for field in call
            .fields
            .iter()
            .filter(|field| field.kind == Type::String && is_read(&call, field))
        {
            for bad in ["a\u{1}b".to_owned(), "x".repeat(1 << 20)] {
                let refused = world
                    .refuses(
                        &call,
                        with(&right, &field.numbers, &Value::Bytes(bad.into_bytes())),
                    )
                    .await;
                if field.name.ends_with("etag") {
                    assert_eq!(
                        reason(&refused),
                        "CONCURRENT_CHANGE",
                        "{}: {}",
                        call.name,
                        field.name
                    );
                } else {
                    assert_names(&refused, &field.name, &call);
                }
                assert!(
                    !format!("{refused:?}").contains(&"x".repeat(100)),
                    "{}: {}",
                    call.name,
                    field.name
                );
            }
        }
    }
    assert_eq!(world.records().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_can_not_be_read_is_named() {
    let world = World::create().await;
    let before = world.records().await;
    for call in calls() {
        let right = good(&call.name, &world.values);
        for field in &call.fields {
            let is_bytes = matches!(field.kind, Type::String | Type::Bytes | Type::Message);
            let other_type = if is_bytes {
                Value::Number(1)
            } else {
                Value::Bytes(b"1".to_vec())
            };
            let not_utf8 = (field.kind == Type::String).then(|| Value::Bytes(vec![0xff, 0xfe]));
            for bad in [Some(other_type), not_utf8].into_iter().flatten() {
                let refused = world
                    .refuses(&call, with(&right, &field.numbers, &bad))
                    .await;
                // The decoder reports the name of the whole `oneof`.
                let choice = call
                    .choices
                    .iter()
                    .find(|(_, numbers)| numbers.contains(&field.numbers[0]));
                let name = choice.map_or(field.name.as_str(), |(name, _)| name);
                assert_eq!(fields(&refused), [name], "{}: {refused}", call.name);
            }
        }
        let refused = world.refuses(&call, [&right[..], &[0xff]].concat()).await;
        assert_eq!(fields(&refused), ["request"], "{}: {refused}", call.name);
    }
    assert_eq!(world.records().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_is_not_found() {
    let world = World::create().await;
    let before = world.records().await;
    for call in calls() {
        let Some((name, expected)) = names_a_record(&call.name) else {
            continue;
        };
        let field = call.fields.iter().find(|field| field.name == name).unwrap();
        let unknown = with(
            &good(&call.name, &world.values),
            &field.numbers,
            &Value::Bytes(b"unknown".to_vec()),
        );
        let refused = world.send(&call, unknown).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::NotFound, expected),
            "{}: {refused}",
            call.name
        );
    }
    assert_eq!(world.records().await, before);
}

/// Returns the field that names the record of a call, and the reason if that record does not exist.
fn names_a_record(call: &str) -> Option<(&'static str, &'static str)> {
    let (field, reason) = match call {
        "CreateConsumer" | "ApplyConsumer" | "ListConsumers" | "CreateUser" | "ListUsers" => {
            return None;
        }
        // An unknown holder has an empty list, and an unknown token is inactive.
        "ListTokens"
        | "IntrospectToken"
        | "ListDenials"
        | "WatchDenials"
        | "Rekey"
        | "ListConsumerReports" => return None,
        "ExportRecords" | "ExportSecrets" | "BeginRestore" | "RestoreRecords" | "EndRestore" => {
            return None;
        }
        "UpdateConsumer" => ("consumer.consumer_key", "CONSUMER_NOT_FOUND"),
        "CreateToken" => ("token.consumer_key", "CONSUMER_NOT_FOUND"),
        "GetConsumer"
        | "DeleteConsumer"
        | "RotateConsumerSecret"
        | "ExpirePreviousConsumerSecret"
        | "AddRsaPublicKey"
        | "RemoveRsaPublicKey"
        | "DisableConsumer"
        | "EnableConsumer"
        | "RevokeTokens"
        | "ExchangePassword"
        | "CreateRequestToken" => ("consumer_key", "CONSUMER_NOT_FOUND"),
        "GetToken" | "RevokeToken" => ("token", "TOKEN_NOT_FOUND"),
        "GetRequestToken"
        | "AuthorizeRequestToken"
        | "RefuseRequestToken"
        | "ExchangeRequestToken" => ("token", "REQUEST_TOKEN_NOT_FOUND"),
        "GetDenial" => ("decision_id", "DENIAL_NOT_FOUND"),
        "GetUser" | "SetPassword" | "DisableUser" | "EnableUser" | "DeleteUser" => {
            ("user_id", "USER_NOT_FOUND")
        }
        _ => panic!("{call} needs the name of its record here"),
    };
    Some((field, reason))
}

/// Returns whether the comment of a field says that the call requires it.
fn is_required(call: &Call, field: &Field) -> bool {
    let in_record = matches!(
        (call.name.as_str(), field.name.as_str()),
        ("CreateConsumer", "consumer.name")
            | ("CreateUser", "user.username")
            | ("CreateToken", "token.consumer_key")
            | ("UpdateConsumer", "consumer.consumer_key")
            | ("ApplyConsumer", "consumer.consumer_key" | "consumer.name")
    );
    in_record || field.comment.contains(" Required")
}

/// Returns whether the call reads the field.
fn is_read(call: &Call, field: &Field) -> bool {
    let others_change_it =
        call.name == "UpdateConsumer" && field.name.starts_with("consumer.rsa_public_keys");
    let changes = matches!(call.name.as_str(), "UpdateConsumer" | "ApplyConsumer");
    let etag_of_a_new_one = field.name.ends_with(".etag") && !changes;
    let output_only = field.comment.contains("Output only") && !field.name.ends_with("etag");
    !others_change_it && !etag_of_a_new_one && !output_only
}

/// Asserts that a refusal names the field. List positions are ignored, and the list itself may be
/// named instead.
fn assert_names(refused: &Status, field: &str, call: &Call) {
    assert_eq!(
        (refused.code(), reason(refused).as_str()),
        (Code::InvalidArgument, "FIELD_VIOLATION"),
        "{}: {field}: {refused}",
        call.name
    );
    let told: Vec<_> = fields(refused)
        .iter()
        .map(|told| told.split('[').next().unwrap().to_owned())
        .collect();
    let is_it = |told: &String| told == field || field.starts_with(&format!("{told}."));
    assert!(
        told.iter().any(is_it),
        "{} does not name {field}: {refused}",
        call.name
    );
}

/// Returns the denial of an unsigned request.
pub(crate) const fn denial(decision_id: &str) -> RefusedRequest<'_> {
    RefusedRequest {
        decision_id,
        reason: "unsigned",
        denial: None,
        method: b"GET",
        host: b"api.example.com",
        target: b"/photos?size=original",
        mode: Mode::Enforce,
        sent: None,
        context: RefusalContext::NONE,
    }
}

/// A server with a consumer, a user, a token and two request tokens, and its export.
pub(crate) struct World {
    server: AdminServer,
    channel: Channel,
    pub(crate) values: ServerValues,
    /// Every secret that the server showed when these were created.
    pub(crate) secrets: Vec<String>,
}

impl World {
    pub(crate) async fn create() -> Self {
        let server = AdminServer::start().await;
        server.diagnostics.record_refused(&denial(DECISION_ID));
        let consumer = server
            .consumers()
            .await
            .create_consumer(consumer_request(KEY))
            .await
            .unwrap()
            .into_inner();
        server
            .users()
            .await
            .create_user(user_request(USER_ID, "alice"))
            .await
            .unwrap();
        let mut tokens = server.tokens().await;
        let token = tokens
            .create_token(token_request(TOKEN))
            .await
            .unwrap()
            .into_inner();
        let mut secrets = vec![
            consumer.consumer_secret,
            token.token_secret,
            PASSWORD.to_owned(),
        ];
        let (pending, authorized) = request_tokens(&mut tokens, &mut secrets).await;
        let values = ServerValues {
            pending,
            authorized,
            export: ReadExport::of(server.admin().await).await,
        };
        let channel = server.stranger().await;
        Self {
            server,
            channel,
            values,
            secrets,
        }
    }

    pub(crate) async fn send(&self, call: &Call, message: Vec<u8>) -> Result<Vec<u8>, Status> {
        send(&self.channel, &call.path, Some(ADMIN_TOKEN), message).await
    }

    /// Sends a request that must fail permanently, and returns its status.
    async fn refuses(&self, call: &Call, message: Vec<u8>) -> Status {
        let Err(refused) = self.send(call, message.clone()).await else {
            panic!(
                "{} took {:?}",
                call.name,
                message
                    .escape_ascii()
                    .to_string()
                    .chars()
                    .take(300)
                    .collect::<String>()
            )
        };
        refused
    }

    /// Returns all stored records, except sessions and attempt counters.
    async fn records(&self) -> String {
        let store = &self.server.store;
        let consumers = store.consumers(None, 100).await.unwrap();
        let users = store.users(None, 100).await.unwrap();
        let (key, id) = (
            ConsumerKey::new(KEY).unwrap(),
            UserId::new(USER_ID).unwrap(),
        );
        let of_consumer = store
            .tokens(TokenHolder::Consumer(&key), None, 100)
            .await
            .unwrap();
        let of_user = store
            .tokens(TokenHolder::User(&id), None, 100)
            .await
            .unwrap();
        let request_token = async |name: &str| {
            store
                .request_token(&Token::new(name).unwrap())
                .await
                .unwrap()
        };
        let request_tokens = (
            request_token(&self.values.pending).await,
            request_token(&self.values.authorized.0).await,
        );
        format!("{consumers:?}\n{users:?}\n{of_consumer:?}\n{of_user:?}\n{request_tokens:?}")
    }
}

/// Creates a pending and an authorized request token, and adds their secrets to the list.
async fn request_tokens(
    tokens: &mut TokenServiceClient<AdminChannel>,
    secrets: &mut Vec<String>,
) -> (String, (String, String)) {
    let mut names = Vec::new();
    for _ in 0..2 {
        let request = v1::CreateRequestTokenRequest {
            consumer_key: KEY.to_owned(),
            callback: "oob".to_owned(),
            scopes: Vec::new(),
        };
        let created = tokens.create_request_token(request).await.unwrap();
        let created = created.into_inner();
        secrets.push(created.token_secret);
        names.push(created.request_token.unwrap().token);
    }
    let [pending, token] = names.try_into().unwrap();
    let consent = v1::AuthorizeRequestTokenRequest {
        token: token.clone(),
        user_id: USER_ID.to_owned(),
        ..Default::default()
    };
    let authorized = tokens.authorize_request_token(consent).await.unwrap();
    let verifier = authorized.into_inner().verifier;
    secrets.push(verifier.clone());
    (pending, (token, verifier))
}
