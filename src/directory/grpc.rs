//! A user directory over gRPC: `countersign.v1.UserDirectory`, of which Countersign is the client.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use super::{Access, Answer, CONNECT_TIMEOUT, MAX_ANSWER_LEN, OpenError, Peer, Question, TOO_LONG};
use crate::issue::DirectoryError;
use crate::v1;
use crate::v1::user_directory_client::UserDirectoryClient;

/// The client.
pub(super) struct Grpc {
    client: UserDirectoryClient<Channel>,
    authorization: Option<MetadataValue<Ascii>>,
    /// Told to the directory, so that it does not work on for nobody.
    deadline: Duration,
}

// === impl Grpc ===

impl Grpc {
    /// A client that connects when it is first asked.
    pub(super) fn new(access: Access, deadline: Duration) -> Result<Self, OpenError> {
        let mut endpoint = Endpoint::from(access.url)
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .map_err(unusable)?;
        if let Some(roots) = access.roots {
            endpoint = endpoint
                .tls_config(ClientTlsConfig::new().trust_anchors(roots.roots))
                .map_err(unusable)?;
        }
        let client = UserDirectoryClient::new(endpoint.connect_lazy())
            .max_decoding_message_size(MAX_ANSWER_LEN);
        Ok(Self {
            client,
            authorization: access.authorization.as_ref().map(metadata).transpose()?,
            deadline,
        })
    }
}

#[async_trait]
impl Peer for Grpc {
    async fn ask(&self, question: Question<'_>) -> Result<Option<Answer>, DirectoryError> {
        let Question {
            username,
            password,
            consumer_key,
            client_address,
        } = question;
        let mut request = Request::new(v1::AuthenticateRequest {
            username: username.to_owned(),
            password: password.to_owned(),
            consumer_key: consumer_key.to_owned(),
            client_address: client_address.to_owned(),
        });
        request.set_timeout(self.deadline);
        if let Some(authorization) = &self.authorization {
            request
                .metadata_mut()
                .insert("authorization", authorization.clone());
        }
        let v1::AuthenticateResponse { user } = self
            .client
            .clone()
            .authenticate(request)
            .await
            .map_err(outage)?
            .into_inner();
        Ok(user.map(
            |v1::DirectoryUser {
                 user_id,
                 screen_name,
             }| Answer {
                user_id,
                screen_name,
            },
        ))
    }
}

fn metadata(value: &HeaderValue) -> Result<MetadataValue<Ascii>, OpenError> {
    let mut value = MetadataValue::try_from(value.as_bytes()).map_err(unusable)?;
    value.set_sensitive(true);
    Ok(value)
}

fn unusable(error: impl Into<Box<dyn Error + Send + Sync>>) -> OpenError {
    OpenError::Url(error.into())
}

/// The text of a status is the directory's, and could repeat what it was asked; the cause is of this side.
#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
fn outage(status: Status) -> DirectoryError {
    if matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled) {
        return DirectoryError::new(TOO_LONG);
    }
    let mut cause = format!("gRPC status {:?}", status.code());
    let mut source = status.source();
    while let Some(error) = source {
        cause = format!("{cause}: {error}");
        source = error.source();
    }
    DirectoryError::new("it did not answer OK").because(cause)
}

/// Finds out within seconds that a connection leads nowhere, instead of letting each log-in wait for its deadline.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
