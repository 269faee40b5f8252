//! Rules for every call of `countersign.v1`, generated from the API definition: a change leaves an
//! audit event, and a secret is shown once.

use countersign::v1;
use prost::Message;
use prost_types::FieldMask;

use crate::api::bad_input::World;
use crate::api::definition::{Call, calls};
use crate::api::requests::{KEY, PASSWORD, consumer_request, good};
use crate::support::audit_log::AuditLog;

#[tokio::test]
async fn every_call_that_changes_something_leaves_its_audit_event_and_no_other_leaves_one() {
    for call in calls().into_iter().filter(|call| !call.goes_on) {
        let world = World::create().await;
        let request = changing(&call, &world).await;
        let log = AuditLog::listen();
        let answer = world.send(&call, request).await.unwrap();
        assert_eq!(log.events(), events(&call.name), "{}", call.name);
        let text = log.text();
        for secret in made(&call.name, &answer)
            .iter()
            .chain(&world.secrets)
            .map(String::as_str)
            .chain([PASSWORD])
        {
            assert!(
                !text.contains(secret),
                "{}: {secret} is in {text}",
                call.name
            );
        }
    }
}

/// A refused call leaves no audit event.
#[tokio::test]
async fn a_call_that_is_refused_leaves_no_event_of_a_change() {
    let world = World::create().await;
    for call in calls()
        .into_iter()
        .filter(|call| !is_reading(call) && !call.goes_on)
    {
        let log = AuditLog::listen();
        world.send(&call, Vec::new()).await.unwrap_err();
        assert_eq!(log.events(), Vec::<String>::new(), "{}", call.name);
    }
}

#[tokio::test]
async fn a_secret_is_in_the_answer_of_the_call_that_made_it_and_in_no_other() {
    for call in calls().into_iter().filter(|call| !call.goes_on) {
        let world = World::create().await;
        let answer = world
            .send(&call, good(&call.name, &world.values))
            .await
            .unwrap();
        let own = made(&call.name, &answer);
        assert!(
            own.iter()
                .all(|secret| secret.len() >= 8 && contains(&answer, secret)),
            "{}: {own:?}",
            call.name
        );
        for secret in &world.secrets {
            assert!(
                !contains(&answer, secret),
                "{} shows {secret} again",
                call.name
            );
        }
        for later in calls().into_iter().filter(is_reading) {
            // A deleted record is not found, and the refusal shows no secret either.
            let shown = match world.send(&later, good(&later.name, &world.values)).await {
                Ok(answer) => answer,
                Err(refused) => format!("{refused:?}").into_bytes(),
            };
            for secret in own.iter().chain(&world.secrets) {
                assert!(
                    !contains(&shown, secret),
                    "{} shows {secret} of {}",
                    later.name,
                    call.name
                );
            }
        }
    }
}

fn is_reading(call: &Call) -> bool {
    !call.goes_on
        && ["Get", "List", "Introspect"]
            .iter()
            .any(|verb| call.name.starts_with(verb))
}

/// Returns a request that changes something. It prepares the record: disabled before it is enabled,
/// added before it is removed.
async fn changing(call: &Call, world: &World) -> Vec<u8> {
    let before = match call.name.as_str() {
        "EnableConsumer" => "DisableConsumer",
        "EnableUser" => "DisableUser",
        "RemoveRsaPublicKey" => "AddRsaPublicKey",
        "ExpirePreviousConsumerSecret" => "RotateConsumerSecret",
        "UpdateConsumer" => {
            let consumer = Some(v1::Consumer {
                name: "Plotter".to_owned(),
                ..consumer_request(KEY).consumer.unwrap()
            });
            let update_mask = Some(FieldMask {
                paths: vec!["name".to_owned()],
            });
            return v1::UpdateConsumerRequest {
                consumer,
                update_mask,
            }
            .encode_to_vec();
        }
        other => return good(other, &world.values),
    };
    let first = calls()
        .into_iter()
        .find(|first| first.name == before)
        .unwrap();
    let answer = world
        .send(&first, good(before, &world.values))
        .await
        .unwrap();
    if before != "AddRsaPublicKey" {
        return good(&call.name, &world.values);
    }
    let fingerprint = v1::Consumer::decode(&*answer).unwrap().rsa_public_keys[0]
        .fingerprint
        .clone();
    v1::RemoveRsaPublicKeyRequest {
        consumer_key: KEY.to_owned(),
        fingerprint,
    }
    .encode_to_vec()
}

/// Returns the audit events that a call of the administrator must leave.
fn events(call: &str) -> Vec<String> {
    let actions: &[&str] = match call {
        "CreateConsumer" => &["consumer.create"],
        "UpdateConsumer" => &["consumer.update"],
        "ApplyConsumer" => &["consumer.apply"],
        "ExpirePreviousConsumerSecret" => &["consumer.expire_previous_secret"],
        "DeleteConsumer" => &["consumer.delete"],
        "RotateConsumerSecret" => &["consumer.rotate_secret"],
        "AddRsaPublicKey" => &["consumer.add_rsa_public_key"],
        "RemoveRsaPublicKey" => &["consumer.remove_rsa_public_key"],
        "DisableConsumer" => &["consumer.disable"],
        "EnableConsumer" => &["consumer.enable"],
        "CreateUser" => &["user.create"],
        "SetPassword" => &["user.set_password"],
        "DisableUser" => &["user.disable"],
        "EnableUser" => &["user.enable"],
        "DeleteUser" => &["user.delete"],
        "CreateToken" => &["token.create"],
        "RevokeToken" => &["token.revoke"],
        "RevokeTokens" => &["consumer.revoke_tokens"],
        "ExchangePassword" => {
            return vec![
                "nobody: log_in".to_owned(),
                "admin: token.exchange_password".to_owned(),
            ];
        }
        "CreateRequestToken" => &["request_token.create"],
        "AuthorizeRequestToken" => &["request_token.authorize"],
        "RefuseRequestToken" => &["request_token.refuse"],
        "ExchangeRequestToken" => &["token.exchange"],
        "BeginRestore" => &["store.begin_restore"],
        "EndRestore" => &["store.end_restore"],
        // Its records exist.
        "RestoreRecords" => &[],
        "GetConsumer"
        | "ListConsumers"
        | "GetUser"
        | "ListUsers"
        | "GetToken"
        | "ListTokens"
        | "IntrospectToken"
        | "GetRequestToken"
        | "ListDenials"
        | "GetDenial"
        | "ListConsumerReports" => &[],
        _ => panic!("{call} needs its audit event here"),
    };
    actions
        .iter()
        .map(|action| format!("admin: {action}"))
        .collect()
}

/// Returns the secrets that a response shows for the first time.
fn made(call: &str, answer: &[u8]) -> Vec<String> {
    let secret = match call {
        "CreateConsumer" => {
            v1::CreateConsumerResponse::decode(answer)
                .unwrap()
                .consumer_secret
        }
        "RotateConsumerSecret" => {
            v1::RotateConsumerSecretResponse::decode(answer)
                .unwrap()
                .consumer_secret
        }
        "CreateToken" => {
            v1::CreateTokenResponse::decode(answer)
                .unwrap()
                .token_secret
        }
        "CreateRequestToken" => {
            v1::CreateRequestTokenResponse::decode(answer)
                .unwrap()
                .token_secret
        }
        "AuthorizeRequestToken" => {
            v1::AuthorizeRequestTokenResponse::decode(answer)
                .unwrap()
                .verifier
        }
        "ExchangePassword" | "ExchangeRequestToken" => {
            v1::IssuedToken::decode(answer).unwrap().token_secret
        }
        _ => return Vec::new(),
    };
    vec![secret]
}

fn contains(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|window| window == secret.as_bytes())
}
