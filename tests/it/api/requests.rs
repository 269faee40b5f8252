//! A valid request of every call of `countersign.v1`, about the records named here.

use countersign::v1;
use prost::Message;
use prost_types::FieldMask;

use crate::api::calls::PUBLIC_KEY_2048;
use crate::support::export::ReadExport;

/// The values of a server that a valid request can name.
#[derive(Debug)]
pub(crate) struct ServerValues {
    /// A request token without a decision.
    pub(crate) pending: String,
    /// An authorized request token and its verifier.
    pub(crate) authorized: (String, String),
    /// An export of the server.
    pub(crate) export: ReadExport,
}

/// Returns a request of a call that succeeds.
pub(crate) fn good(call: &str, values: &ServerValues) -> Vec<u8> {
    let found = about_consumers(call)
        .or_else(|| about_applied_consumers(call))
        .or_else(|| about_users(call))
        .or_else(|| about_tokens(call));
    let found = found
        .or_else(|| about_request_tokens(call, values))
        .or_else(|| about_backups(call, &values.export))
        .or_else(|| about_diagnostics(call));
    found.unwrap_or_else(|| panic!("{call} needs a valid request here"))
}

fn about_consumers(call: &str) -> Option<Vec<u8>> {
    let key = || KEY.to_owned();
    Some(match call {
        "CreateConsumer" => consumer_request("new").encode_to_vec(),
        "GetConsumer" => v1::GetConsumerRequest {
            name: Some(v1::get_consumer_request::Name::ConsumerKey(key())),
        }
        .encode_to_vec(),
        "ListConsumers" => v1::ListConsumersRequest::default().encode_to_vec(),
        "UpdateConsumer" => {
            let update_mask = Some(FieldMask {
                paths: vec!["*".to_owned()],
            });
            v1::UpdateConsumerRequest {
                consumer: consumer_request(KEY).consumer,
                update_mask,
            }
            .encode_to_vec()
        }
        "DeleteConsumer" => v1::DeleteConsumerRequest {
            consumer_key: key(),
            etag: String::new(),
        }
        .encode_to_vec(),
        "RotateConsumerSecret" => v1::RotateConsumerSecretRequest {
            consumer_key: key(),
            consumer_secret: "kd94hf93k423kf44".to_owned(),
            overlap: Some(prost_types::Duration {
                seconds: 60,
                nanos: 0,
            }),
        }
        .encode_to_vec(),
        "AddRsaPublicKey" => v1::AddRsaPublicKeyRequest {
            consumer_key: key(),
            rsa_public_key: Some(v1::RsaPublicKey {
                pem: PUBLIC_KEY_2048.to_owned(),
                ..Default::default()
            }),
        }
        .encode_to_vec(),
        "RemoveRsaPublicKey" => v1::RemoveRsaPublicKeyRequest {
            consumer_key: key(),
            fingerprint: "0".repeat(64),
        }
        .encode_to_vec(),
        "DisableConsumer" => v1::DisableConsumerRequest {
            consumer_key: key(),
        }
        .encode_to_vec(),
        "EnableConsumer" => v1::EnableConsumerRequest {
            consumer_key: key(),
        }
        .encode_to_vec(),
        _ => return None,
    })
}

fn about_applied_consumers(call: &str) -> Option<Vec<u8>> {
    let key = || KEY.to_owned();
    Some(match call {
        "ApplyConsumer" => {
            let consumer = v1::Consumer {
                name: "Plotter".to_owned(),
                ..consumer_request(KEY).consumer?
            };
            v1::ApplyConsumerRequest {
                consumer: Some(consumer),
                ..Default::default()
            }
            .encode_to_vec()
        }
        "ExpirePreviousConsumerSecret" => v1::ExpirePreviousConsumerSecretRequest {
            consumer_key: key(),
        }
        .encode_to_vec(),
        _ => return None,
    })
}

fn about_users(call: &str) -> Option<Vec<u8>> {
    let user = || USER_ID.to_owned();
    Some(match call {
        "CreateUser" => user_request("new", "bob").encode_to_vec(),
        "GetUser" => v1::GetUserRequest {
            name: Some(v1::get_user_request::Name::UserId(user())),
        }
        .encode_to_vec(),
        "ListUsers" => v1::ListUsersRequest::default().encode_to_vec(),
        "SetPassword" => v1::SetPasswordRequest {
            user_id: user(),
            password: "another staple".to_owned(),
        }
        .encode_to_vec(),
        "DisableUser" => v1::DisableUserRequest { user_id: user() }.encode_to_vec(),
        "EnableUser" => v1::EnableUserRequest { user_id: user() }.encode_to_vec(),
        "DeleteUser" => v1::DeleteUserRequest {
            user_id: user(),
            etag: String::new(),
        }
        .encode_to_vec(),
        _ => return None,
    })
}

fn about_tokens(call: &str) -> Option<Vec<u8>> {
    let (key, token) = (|| KEY.to_owned(), || TOKEN.to_owned());
    Some(match call {
        "CreateToken" => token_request("new").encode_to_vec(),
        "GetToken" => v1::GetTokenRequest { token: token() }.encode_to_vec(),
        "ListTokens" => v1::ListTokensRequest {
            holder: Some(v1::list_tokens_request::Holder::ConsumerKey(key())),
            ..Default::default()
        }
        .encode_to_vec(),
        "IntrospectToken" => v1::IntrospectTokenRequest { token: token() }.encode_to_vec(),
        "RevokeToken" => v1::RevokeTokenRequest {
            token: token(),
            consumer_key: key(),
        }
        .encode_to_vec(),
        "RevokeTokens" => v1::RevokeTokensRequest {
            holder: Some(v1::revoke_tokens_request::Holder::ConsumerKey(key())),
        }
        .encode_to_vec(),
        _ => return None,
    })
}

fn about_request_tokens(
    call: &str,
    ServerValues {
        pending,
        authorized,
        ..
    }: &ServerValues,
) -> Option<Vec<u8>> {
    let (key, user) = (|| KEY.to_owned(), || USER_ID.to_owned());
    Some(match call {
        "ExchangePassword" => v1::ExchangePasswordRequest {
            consumer_key: key(),
            username: "alice".to_owned(),
            password: PASSWORD.to_owned(),
            scopes: vec!["read".to_owned()],
            client_address: "192.0.2.1".to_owned(),
        }
        .encode_to_vec(),
        "CreateRequestToken" => v1::CreateRequestTokenRequest {
            consumer_key: key(),
            callback: "https://printer.example.com/ready".to_owned(),
            scopes: vec!["read".to_owned()],
        }
        .encode_to_vec(),
        "GetRequestToken" => v1::GetRequestTokenRequest {
            token: pending.clone(),
        }
        .encode_to_vec(),
        "AuthorizeRequestToken" => v1::AuthorizeRequestTokenRequest {
            token: pending.clone(),
            user_id: user(),
            screen_name: "Alice".to_owned(),
            scopes: vec!["read".to_owned()],
        }
        .encode_to_vec(),
        "RefuseRequestToken" => v1::RefuseRequestTokenRequest {
            token: pending.clone(),
        }
        .encode_to_vec(),
        "ExchangeRequestToken" => {
            let (token, verifier) = authorized.clone();
            v1::ExchangeRequestTokenRequest {
                consumer_key: key(),
                token,
                verifier,
            }
            .encode_to_vec()
        }
        _ => return None,
    })
}

fn about_backups(call: &str, export: &ReadExport) -> Option<Vec<u8>> {
    let seal = || export.seal.clone();
    Some(match call {
        "ExportRecords" => v1::ExportRecordsRequest {}.encode_to_vec(),
        "ExportSecrets" => v1::ExportSecretsRequest {}.encode_to_vec(),
        "BeginRestore" => v1::BeginRestoreRequest {
            seal: seal(),
            digest: export.digest.clone(),
            validate_only: false,
        }
        .encode_to_vec(),
        "RestoreRecords" => v1::RestoreRecordsRequest {
            records: export.records.clone(),
            validate_only: false,
        }
        .encode_to_vec(),
        "EndRestore" => v1::EndRestoreRequest { seal: seal() }.encode_to_vec(),
        _ => return None,
    })
}

fn about_diagnostics(call: &str) -> Option<Vec<u8>> {
    Some(match call {
        "ListDenials" => v1::ListDenialsRequest::default().encode_to_vec(),
        "WatchDenials" => v1::WatchDenialsRequest::default().encode_to_vec(),
        "Rekey" => v1::RekeyRequest::default().encode_to_vec(),
        "GetDenial" => v1::GetDenialRequest {
            decision_id: DECISION_ID.to_owned(),
        }
        .encode_to_vec(),
        "ListConsumerReports" => v1::ListConsumerReportsRequest::default().encode_to_vec(),
        _ => return None,
    })
}

pub(crate) fn consumer_request(key: &str) -> v1::CreateConsumerRequest {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let consumer = v1::Consumer {
        consumer_key: key.to_owned(),
        name: "Printer".to_owned(),
        flows: texts(&["two-legged", "three-legged", "xauth"]),
        callbacks: texts(&["https://printer.example.com/ready"]),
        scopes: texts(&["read", "write"]),
        ..Default::default()
    };
    v1::CreateConsumerRequest {
        consumer: Some(consumer),
        ..Default::default()
    }
}

pub(crate) fn user_request(id: &str, username: &str) -> v1::CreateUserRequest {
    let user = v1::User {
        user_id: id.to_owned(),
        username: username.to_owned(),
        ..Default::default()
    };
    v1::CreateUserRequest {
        user: Some(user),
        password: PASSWORD.to_owned(),
    }
}

pub(crate) fn token_request(token: &str) -> v1::CreateTokenRequest {
    let token = v1::Token {
        token: token.to_owned(),
        consumer_key: KEY.to_owned(),
        user_id: USER_ID.to_owned(),
        scopes: vec!["read".to_owned()],
        ..Default::default()
    };
    v1::CreateTokenRequest {
        token: Some(token),
        ..Default::default()
    }
}

pub(crate) const KEY: &str = "dpf43f3p2l4k3l03";
pub(crate) const DECISION_ID: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const TOKEN: &str = "nnch734d00sl2jdk";
pub(crate) const USER_ID: &str = "user-1";
pub(crate) const PASSWORD: &str = "correct horse";
