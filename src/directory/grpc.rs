//! A user directory over gRPC: the client of `countersign.v1.UserDirectory`.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use super::{
    CONNECT_TIMEOUT, DirectoryClient, DirectoryConfigError, DirectoryEndpoint, DirectoryReply,
    LoginQuery, MAX_REPLY_LEN, TOO_LONG,
};
use crate::issue::DirectoryError;
use crate::v1;
use crate::v1::user_directory_client::UserDirectoryClient;

/// A client over gRPC.
pub(super) struct GrpcClient {
    client: UserDirectoryClient<Channel>,
    authorization: Option<MetadataValue<Ascii>>,
    /// The deadline, which each call announces, so that the directory stops working after it.
    deadline: Duration,
}

// === impl GrpcClient ===

impl GrpcClient {
    /// Creates a client that connects at its first call.
    pub(super) fn new(
        target: DirectoryEndpoint,
        deadline: Duration,
    ) -> Result<Self, DirectoryConfigError> {
        let mut endpoint = Endpoint::from(target.url)
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .map_err(unusable)?;
        if let Some(roots) = target.roots {
            endpoint = endpoint
                .tls_config(ClientTlsConfig::new().trust_anchors(roots.roots))
                .map_err(unusable)?;
        }
        let client = UserDirectoryClient::new(endpoint.connect_lazy())
            .max_decoding_message_size(MAX_REPLY_LEN);
        Ok(Self {
            client,
            authorization: target.authorization.as_ref().map(metadata).transpose()?,
            deadline,
        })
    }
}

#[async_trait]
impl DirectoryClient for GrpcClient {
    async fn authenticate(
        &self,
        query: LoginQuery<'_>,
    ) -> Result<Option<DirectoryReply>, DirectoryError> {
        let LoginQuery {
            username,
            password,
            consumer_key,
            client_address,
        } = query;
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
             }| DirectoryReply {
                user_id,
                screen_name,
            },
        ))
    }
}

fn metadata(value: &HeaderValue) -> Result<MetadataValue<Ascii>, DirectoryConfigError> {
    let mut value = MetadataValue::try_from(value.as_bytes()).map_err(unusable)?;
    value.set_sensitive(true);
    Ok(value)
}

fn unusable(error: impl Into<Box<dyn Error + Send + Sync>>) -> DirectoryConfigError {
    DirectoryConfigError::Url(error.into())
}

/// Returns the outage that a status stands for, without its text, which could repeat the request.
#[expect(clippy::needless_pass_by_value, reason = "used with `map_err`")]
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
    DirectoryError::new("its status is not OK").because(cause)
}

/// Detects a dead connection within seconds, instead of after the deadline of each login.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
