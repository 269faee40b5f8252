//! The life of a consumer in `countersign.v1`: the effect of each call on valid input.

use std::time::Duration;

use countersign::v1::{self, list_tokens_request, revoke_tokens_request};
use prost_types::FieldMask;
use tonic::Code;
use tonic_types::StatusExt;

use crate::api::calls::PUBLIC_KEY_2048;
use crate::api::requests::{
    KEY, PASSWORD, TOKEN, USER_ID, consumer_request, token_request, user_request,
};
use crate::support::admin_server::{AdminServer, fields, reason};

#[tokio::test]
async fn an_update_changes_the_masked_fields_of_the_read_revision() {
    let server = AdminServer::start().await;
    let mut consumers = server.consumers().await;
    let read = consumers
        .create_consumer(consumer_request(KEY))
        .await
        .unwrap()
        .into_inner()
        .consumer
        .unwrap();
    let update = |name: &str, etag: &str, paths: &[&str]| v1::UpdateConsumerRequest {
        consumer: Some(v1::Consumer {
            consumer_key: KEY.to_owned(),
            name: name.to_owned(),
            etag: etag.to_owned(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
        }),
    };
    let changed = consumers
        .update_consumer(update("Plotter", &read.etag, &["name"]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (changed.name.as_str(), &changed.scopes, &changed.callbacks),
        ("Plotter", &read.scopes, &read.callbacks)
    );
    assert_ne!(changed.etag, read.etag);

    let refused = consumers
        .update_consumer(update("Scanner", &read.etag, &["name"]))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Aborted, "CONCURRENT_CHANGE")
    );
    let refused = consumers
        .update_consumer(update("Scanner", "", &["name", "colour"]))
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["update_mask.paths[1]"]);
    let refused = consumers
        .update_consumer(update("", "", &["*"]))
        .await
        .unwrap_err();
    assert_eq!(
        fields(&refused),
        ["consumer.name"],
        "an update must pass the checks of a new consumer"
    );
    let kept = consumers
        .get_consumer(v1::GetConsumerRequest {
            name: Some(v1::get_consumer_request::Name::ConsumerKey(KEY.to_owned())),
        })
        .await;
    assert_eq!(kept.unwrap().into_inner(), changed);
}

#[tokio::test]
async fn a_rotated_secret_overlaps_with_the_one_before() {
    let server = AdminServer::start().await;
    let mut consumers = server.consumers().await;
    let first = consumers
        .create_consumer(consumer_request(KEY))
        .await
        .unwrap()
        .into_inner();
    let rotate = |seconds: i64| v1::RotateConsumerSecretRequest {
        consumer_key: KEY.to_owned(),
        consumer_secret: String::new(),
        overlap: Some(prost_types::Duration { seconds, nanos: 0 }),
    };
    let rotated = consumers
        .rotate_consumer_secret(rotate(3600))
        .await
        .unwrap()
        .into_inner();
    let consumer = rotated.consumer.unwrap();
    assert_ne!(rotated.consumer_secret, first.consumer_secret);
    assert_eq!(
        (
            consumer.secret_count,
            consumer.previous_secret_expire_time.unwrap().seconds
        ),
        (2, 1_700_003_600)
    );

    let refused = consumers
        .rotate_consumer_secret(rotate(91 * 86_400))
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["overlap"]);
    let refused = consumers
        .rotate_consumer_secret(rotate(-1))
        .await
        .unwrap_err();
    assert_eq!(refused.message(), "overlap must not be negative");
    let at_once = consumers
        .rotate_consumer_secret(rotate(0))
        .await
        .unwrap()
        .into_inner()
        .consumer
        .unwrap();
    assert_eq!(
        (at_once.secret_count, at_once.previous_secret_expire_time),
        (1, None)
    );
}

#[tokio::test]
async fn an_rsa_key_is_added_and_removed_by_its_fingerprint() {
    let server = AdminServer::start().await;
    let mut consumers = server.consumers().await;
    consumers
        .create_consumer(consumer_request(KEY))
        .await
        .unwrap();
    let add = |pem: &str| v1::AddRsaPublicKeyRequest {
        consumer_key: KEY.to_owned(),
        rsa_public_key: Some(v1::RsaPublicKey {
            pem: pem.to_owned(),
            ..Default::default()
        }),
    };
    let added = consumers
        .add_rsa_public_key(add(PUBLIC_KEY_2048))
        .await
        .unwrap()
        .into_inner();
    let [key] = &added.rsa_public_keys[..] else {
        panic!("{added:?}")
    };
    assert_eq!(
        consumers
            .add_rsa_public_key(add(PUBLIC_KEY_2048))
            .await
            .unwrap()
            .into_inner(),
        added,
        "the second call changes nothing"
    );
    let refused = consumers
        .add_rsa_public_key(add("no key"))
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["rsa_public_key.pem"]);

    let remove = |fingerprint: &str| v1::RemoveRsaPublicKeyRequest {
        consumer_key: KEY.to_owned(),
        fingerprint: fingerprint.to_owned(),
    };
    let refused = consumers
        .remove_rsa_public_key(remove("abc"))
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["fingerprint"]);
    let removed = consumers
        .remove_rsa_public_key(remove(&key.fingerprint.to_uppercase()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(removed.rsa_public_keys, []);
}

#[tokio::test]
async fn a_deleted_consumer_takes_its_tokens_along() {
    let server = AdminServer::start().await;
    let (mut consumers, mut tokens) = (server.consumers().await, server.tokens().await);
    let created = consumers
        .create_consumer(consumer_request(KEY))
        .await
        .unwrap()
        .into_inner()
        .consumer
        .unwrap();
    tokens.create_token(token_request(TOKEN)).await.unwrap();
    let delete = |etag: &str| v1::DeleteConsumerRequest {
        consumer_key: KEY.to_owned(),
        etag: etag.to_owned(),
    };
    let refused = consumers
        .delete_consumer(delete("another"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    consumers
        .delete_consumer(delete(&created.etag))
        .await
        .unwrap();
    let gone = consumers
        .get_consumer(v1::GetConsumerRequest {
            name: Some(v1::get_consumer_request::Name::ConsumerKey(KEY.to_owned())),
        })
        .await
        .unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    let known = introspect(&server, TOKEN).await;
    assert_eq!(
        (known.active, known.inactive_reason.as_str()),
        (false, "revoked")
    );
}

#[tokio::test]
async fn a_repeated_create_succeeds_only_if_it_is_equal() {
    let server = AdminServer::start().await;
    let mut consumers = server.consumers().await;
    let request = || v1::CreateConsumerRequest {
        consumer_secret: "kd94hf93k423kf44".to_owned(),
        allow_existing: true,
        ..consumer_request(KEY)
    };
    let first = consumers
        .create_consumer(request())
        .await
        .unwrap()
        .into_inner();
    let again = consumers
        .create_consumer(request())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (first.existed, again.existed, &again.consumer),
        (false, true, &first.consumer)
    );
    let mut other = request();
    other.consumer.as_mut().unwrap().name = "Impostor".to_owned();
    let refused = consumers.create_consumer(other).await.unwrap_err();
    assert_eq!(reason(&refused), "CONSUMER_EXISTS");
}

#[tokio::test]
async fn a_validated_request_is_not_applied() {
    let server = AdminServer::start().await;
    let mut consumers = server.consumers().await;
    let validated = consumers
        .create_consumer(v1::CreateConsumerRequest {
            validate_only: true,
            ..consumer_request("")
        })
        .await;
    let v1::CreateConsumerResponse {
        consumer,
        consumer_secret,
        existed,
    } = validated.unwrap().into_inner();
    let consumer = consumer.unwrap();
    assert_eq!(
        (consumer.name.as_str(), consumer.consumer_key.as_str()),
        ("Printer", "")
    );
    assert_eq!((consumer_secret.as_str(), existed), ("", false));
    let wrong = v1::CreateConsumerRequest {
        validate_only: true,
        ..Default::default()
    };
    assert_eq!(
        fields(&consumers.create_consumer(wrong).await.unwrap_err()),
        ["consumer"]
    );
    let listed = consumers
        .list_consumers(v1::ListConsumersRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.consumers, []);
}

#[tokio::test]
async fn a_user_is_found_by_id_and_by_name_and_the_password_is_never_shown() {
    let server = AdminServer::start().await;
    let mut users = server.users().await;
    let created = users
        .create_user(user_request("", "Alice"))
        .await
        .unwrap()
        .into_inner();
    assert!(
        created.has_password && created.user_id.len() == 32,
        "{created:?}"
    );
    assert!(!format!("{:?}", user_request("", "Alice")).contains(PASSWORD));
    for name in [
        v1::get_user_request::Name::UserId(created.user_id.clone()),
        v1::get_user_request::Name::Username("ALICE".to_owned()),
    ] {
        let found = users
            .get_user(v1::GetUserRequest { name: Some(name) })
            .await
            .unwrap()
            .into_inner();
        assert_eq!(found, created);
    }
    let refused = users
        .create_user(user_request("", "alice"))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::AlreadyExists, "USER_EXISTS")
    );
    assert_eq!(
        refused
            .get_error_details()
            .resource_info()
            .unwrap()
            .resource_name,
        "alice"
    );
    let weak = v1::SetPasswordRequest {
        user_id: created.user_id.clone(),
        password: "short".to_owned(),
    };
    let refused = users.set_password(weak).await.unwrap_err();
    assert_eq!(fields(&refused), ["password"]);
    assert!(!refused.message().contains("short "), "{refused}");
}

#[tokio::test]
async fn a_users_tokens_follow_the_user() {
    let server = with_token().await;
    let mut users = server.users().await;
    let user = || USER_ID.to_owned();
    users
        .disable_user(v1::DisableUserRequest { user_id: user() })
        .await
        .unwrap();
    assert_eq!(
        introspect(&server, TOKEN).await.inactive_reason,
        "user_disabled"
    );
    let refused = server
        .tokens()
        .await
        .create_token(token_request("another"))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "USER_DISABLED")
    );
    users
        .enable_user(v1::EnableUserRequest { user_id: user() })
        .await
        .unwrap();
    assert!(introspect(&server, TOKEN).await.active);
    users
        .delete_user(v1::DeleteUserRequest {
            user_id: user(),
            etag: String::new(),
        })
        .await
        .unwrap();
    assert_eq!(introspect(&server, TOKEN).await.inactive_reason, "revoked");
    assert_eq!(
        users
            .list_users(v1::ListUsersRequest::default())
            .await
            .unwrap()
            .into_inner()
            .users,
        []
    );
}

#[tokio::test]
async fn introspection_shows_the_rights_of_a_token_or_why_it_is_inactive() {
    let server = with_token().await;
    let known = introspect(&server, TOKEN).await;
    assert_eq!((known.active, known.inactive_reason.as_str()), (true, ""));
    assert_eq!(
        (known.consumer_name.as_str(), &known.effective_scopes[..]),
        ("Printer", &["read".to_owned()][..])
    );
    assert!(!known.consumer_id.is_empty());

    let mut consumers = server.consumers().await;
    consumers
        .disable_consumer(v1::DisableConsumerRequest {
            consumer_key: KEY.to_owned(),
        })
        .await
        .unwrap();
    let disabled = introspect(&server, TOKEN).await;
    assert_eq!(
        (
            disabled.inactive_reason.as_str(),
            disabled.effective_scopes.len()
        ),
        ("consumer_disabled", 0)
    );
    consumers
        .enable_consumer(v1::EnableConsumerRequest {
            consumer_key: KEY.to_owned(),
        })
        .await
        .unwrap();

    let mut short = token_request("short-lived");
    short.ttl = Some(prost_types::Duration {
        seconds: 60,
        nanos: 0,
    });
    server.tokens().await.create_token(short).await.unwrap();
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(
        introspect(&server, "short-lived").await.inactive_reason,
        "expired"
    );
    let unknown = introspect(&server, "unknown").await;
    assert_eq!(
        (unknown.inactive_reason.as_str(), unknown.token),
        ("unknown", None)
    );
}

#[tokio::test]
async fn tokens_are_listed_for_their_holder_and_a_page_token_is_good_for_that_list_only() {
    let server = with_token().await;
    let mut tokens = server.tokens().await;
    for name in ["a", "b"] {
        tokens.create_token(token_request(name)).await.unwrap();
    }
    let of_consumer = || Some(list_tokens_request::Holder::ConsumerKey(KEY.to_owned()));
    let of_user = || Some(list_tokens_request::Holder::UserId(USER_ID.to_owned()));
    let list = |holder, page_token: &str| v1::ListTokensRequest {
        holder,
        page_size: 2,
        page_token: page_token.to_owned(),
    };
    let names = |page: &v1::ListTokensResponse| {
        page.tokens
            .iter()
            .map(|token| token.token.clone())
            .collect::<Vec<_>>()
    };
    for holder in [of_consumer(), of_user()] {
        let first = tokens
            .list_tokens(list(holder.clone(), ""))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(names(&first), ["a", "b"]);
        let second = tokens
            .list_tokens(list(holder, &first.next_page_token))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            (names(&second), second.next_page_token.as_str()),
            (vec![TOKEN.to_owned()], "")
        );
    }
    let first = tokens
        .list_tokens(list(of_consumer(), ""))
        .await
        .unwrap()
        .into_inner();
    let refused = tokens
        .list_tokens(list(of_user(), &first.next_page_token))
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["page_token"]);
}

#[tokio::test]
async fn every_token_of_a_holder_is_revoked_at_once_and_later_ones_are_not() {
    for holder in [
        revoke_tokens_request::Holder::ConsumerKey(KEY.to_owned()),
        revoke_tokens_request::Holder::UserId(USER_ID.to_owned()),
    ] {
        let server = with_token().await;
        let mut tokens = server.tokens().await;
        tokens
            .revoke_tokens(v1::RevokeTokensRequest {
                holder: Some(holder),
            })
            .await
            .unwrap();
        let shown = tokens
            .get_token(v1::GetTokenRequest {
                token: TOKEN.to_owned(),
            })
            .await
            .unwrap()
            .into_inner();
        assert_eq!(shown.status(), v1::TokenStatus::Revoked);
        tokens.create_token(token_request("later")).await.unwrap();
        assert!(introspect(&server, "later").await.active);
    }
}

#[tokio::test]
async fn a_user_authorizes_a_request_token_once() {
    let server = with_token().await;
    let mut tokens = server.tokens().await;
    let name = printer_request_token(&server).await;
    let get = || v1::GetRequestTokenRequest {
        token: name.clone(),
    };
    let asking = tokens.get_request_token(get()).await.unwrap().into_inner();
    assert_eq!(
        (asking.consumer_name.as_str(), asking.state()),
        ("Printer", v1::RequestTokenState::Pending)
    );
    assert_eq!(asking.scopes, ["read", "write"]);

    let allowed = tokens
        .authorize_request_token(consent(&name))
        .await
        .unwrap()
        .into_inner();
    let end = format!(
        "?job=7&oauth_token={name}&oauth_verifier={}",
        allowed.verifier
    );
    assert_eq!(
        allowed.redirect_url,
        format!("https://printer.example.com/ready{end}")
    );
    let decided = tokens
        .authorize_request_token(consent(&name))
        .await
        .unwrap_err();
    assert_eq!(
        (decided.code(), reason(&decided).as_str()),
        (Code::FailedPrecondition, "REQUEST_TOKEN_DECIDED")
    );
}

#[tokio::test]
async fn a_request_token_is_exchanged_once_with_its_verifier() {
    let server = with_token().await;
    let mut tokens = server.tokens().await;
    let name = printer_request_token(&server).await;
    let exchange = |verifier: &str| v1::ExchangeRequestTokenRequest {
        consumer_key: KEY.to_owned(),
        token: name.clone(),
        verifier: verifier.to_owned(),
    };
    let undecided = tokens
        .exchange_request_token(exchange("guess"))
        .await
        .unwrap_err();
    assert_eq!(reason(&undecided), "REQUEST_TOKEN_UNDECIDED");
    let allowed = tokens
        .authorize_request_token(consent(&name))
        .await
        .unwrap()
        .into_inner();

    let wrong = tokens
        .exchange_request_token(exchange("guess"))
        .await
        .unwrap_err();
    assert_eq!(
        (wrong.code(), reason(&wrong).as_str()),
        (Code::PermissionDenied, "VERIFIER_REFUSED")
    );
    let issued = tokens
        .exchange_request_token(exchange(&allowed.verifier))
        .await
        .unwrap()
        .into_inner();
    let token = issued.token.unwrap();
    assert_eq!(
        (token.user_id.as_str(), &token.scopes[..]),
        (USER_ID, &["read".to_owned()][..])
    );
    assert_eq!(
        (issued.token_secret.len(), issued.screen_name.as_str()),
        (64, "Alice")
    );
    let used = tokens
        .exchange_request_token(exchange(&allowed.verifier))
        .await
        .unwrap_err();
    assert_eq!(reason(&used), "REQUEST_TOKEN_USED");
}

#[tokio::test]
async fn a_refusal_sends_the_user_back_without_a_verifier() {
    let server = with_token().await;
    let mut tokens = server.tokens().await;
    let request = v1::CreateRequestTokenRequest {
        consumer_key: KEY.to_owned(),
        callback: "https://printer.example.com/ready".to_owned(),
        scopes: Vec::new(),
    };
    let token = tokens
        .create_request_token(request)
        .await
        .unwrap()
        .into_inner()
        .request_token
        .unwrap()
        .token;
    let refuse = || v1::RefuseRequestTokenRequest {
        token: token.clone(),
    };
    let refused = tokens
        .refuse_request_token(refuse())
        .await
        .unwrap()
        .into_inner();
    let expected =
        format!("https://printer.example.com/ready?oauth_token={token}&oauth_problem=user_refused");
    assert_eq!(refused.redirect_url, expected);
    let again = tokens.refuse_request_token(refuse()).await.unwrap_err();
    assert_eq!(reason(&again), "REQUEST_TOKEN_DECIDED");
}

#[tokio::test]
async fn a_password_is_exchanged_for_a_token_only_where_the_consumer_may() {
    let server = with_token().await;
    let mut tokens = server.tokens().await;
    let exchange = |password: &str| v1::ExchangePasswordRequest {
        consumer_key: KEY.to_owned(),
        username: "Alice".to_owned(),
        password: password.to_owned(),
        ..Default::default()
    };
    let issued = tokens
        .exchange_password(exchange(PASSWORD))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(issued.token.unwrap().user_id, USER_ID);
    let wrong = tokens
        .exchange_password(exchange("wrong horse"))
        .await
        .unwrap_err();
    assert_eq!(
        (wrong.code(), reason(&wrong).as_str()),
        (Code::PermissionDenied, "PASSWORD_REFUSED")
    );
    let unknown = v1::ExchangePasswordRequest {
        username: "nobody".to_owned(),
        ..exchange(PASSWORD)
    };
    let unknown = tokens.exchange_password(unknown).await.unwrap_err();
    assert_eq!(
        (unknown.code(), unknown.message()),
        (wrong.code(), wrong.message()),
        "an unknown user must look like a wrong password"
    );

    let without = v1::UpdateConsumerRequest {
        consumer: Some(v1::Consumer {
            flows: vec!["two-legged".to_owned()],
            consumer_key: KEY.to_owned(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["flows".to_owned()],
        }),
    };
    server
        .consumers()
        .await
        .update_consumer(without)
        .await
        .unwrap();
    let refused = tokens
        .exchange_password(exchange(PASSWORD))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "FLOW_NOT_ALLOWED")
    );
    assert!(
        refused.message().contains("UpdateConsumer"),
        "the refusal names no remedy: {refused}"
    );
}

#[tokio::test]
async fn guesses_from_one_address_get_a_retry_time() {
    let server = with_token().await;
    let mut tokens = server.tokens().await;
    let guess = |at: usize| v1::ExchangePasswordRequest {
        consumer_key: KEY.to_owned(),
        // One user each, so that no user's delay counts for another.
        username: format!("user-{at}"),
        password: "a wrong guess".to_owned(),
        client_address: "192.0.2.1".to_owned(),
        ..Default::default()
    };
    let mut refused = None;
    for at in 0..1000 {
        let answer = tokens.exchange_password(guess(at)).await.unwrap_err();
        if answer.code() == Code::ResourceExhausted {
            refused = Some(answer);
            break;
        }
        assert_eq!(reason(&answer), "PASSWORD_REFUSED");
    }
    let refused = refused.unwrap();
    assert_eq!(reason(&refused), "TOO_MANY_ATTEMPTS");
    let wait = refused
        .get_error_details()
        .retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!(wait > Duration::ZERO, "{wait:?}");
}

/// Creates a request token of the consumer, and returns its name.
async fn printer_request_token(server: &AdminServer) -> String {
    let request = v1::CreateRequestTokenRequest {
        consumer_key: KEY.to_owned(),
        callback: "https://printer.example.com/ready?job=7".to_owned(),
        scopes: Vec::new(),
    };
    let mut tokens = server.tokens().await;
    let created = tokens.create_request_token(request).await.unwrap();
    created.into_inner().request_token.unwrap().token
}

fn consent(token: &str) -> v1::AuthorizeRequestTokenRequest {
    v1::AuthorizeRequestTokenRequest {
        token: token.to_owned(),
        user_id: USER_ID.to_owned(),
        screen_name: "Alice".to_owned(),
        scopes: vec!["read".to_owned()],
    }
}

/// Starts a server with a consumer, a user and a token.
async fn with_token() -> AdminServer {
    let server = AdminServer::start().await;
    server
        .consumers()
        .await
        .create_consumer(consumer_request(KEY))
        .await
        .unwrap();
    server
        .users()
        .await
        .create_user(user_request(USER_ID, "alice"))
        .await
        .unwrap();
    server
        .tokens()
        .await
        .create_token(token_request(TOKEN))
        .await
        .unwrap();
    server
}

async fn introspect(server: &AdminServer, token: &str) -> v1::IntrospectTokenResponse {
    let request = v1::IntrospectTokenRequest {
        token: token.to_owned(),
    };
    server
        .tokens()
        .await
        .introspect_token(request)
        .await
        .unwrap()
        .into_inner()
}
