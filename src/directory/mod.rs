//! The operator's user directory over gRPC or HTTP, in place of the built-in users
//! (`users.directory`).
//!
//! [`open`] turns `[users]` into an [`issue::Directory`](crate::issue::Directory), which is called for
//! every login. It connects at the first call, and again after an outage, so that either side may
//! start first.
//!
//! A call returns a user, no user, or an outage. `proto/countersign/v1/user_directory.proto` and
//! `docs/issuing.md` define the responses for the first two; any other response is an outage:
//! nobody can log in, and a warning names the problem of the response. Neither the warning nor an
//! error carries a name, a password, or a text of the directory, which could repeat them.
//!
//! - `grpc`, `http`: the two protocols.
//! - `tls`: the trusted certificates.
//!
//! Left to others: limits on wrong passwords, and the rights of users ([`crate::issue`]).

mod grpc;
mod http;
#[cfg(test)]
mod tests;
mod tls;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderValue, Uri};
use async_trait::async_trait;
use tokio::time::timeout;
use zeroize::Zeroizing;

use self::grpc::GrpcClient;
use self::http::HttpClient;
use self::tls::roots;
use crate::config::{DirectoryKind, UsersConfig};
use crate::issue::{Directory, DirectoryError, DirectoryUser, Login};
use crate::model::{UserId, visible};
use crate::trusted_file::{self, FileKind, TrustError};

/// The reason why the configured user directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryConfigError {
    /// A file cannot be read.
    #[error("{key}: {problem}")]
    File {
        /// The configuration key of the file.
        key: &'static str,
        /// The cause.
        problem: TrustError,
    },
    /// A file has the wrong content.
    #[error("{key}: {} does not hold {what}", path.display())]
    Content {
        /// The configuration key of the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The expected content.
        what: &'static str,
    },
    /// The system has no trusted certificates.
    #[error(
        "users.ca_file: is required, because this system has no trusted certificates; name a file with CA certificates"
    )]
    NoSystemRoots,
    /// The URL cannot be used.
    #[error("users.url: cannot be used")]
    Url(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Opens the configured directory; `None` stands for the built-in one. Needs a tokio runtime.
///
/// # Errors
/// If the directory can never be used as configured. A directory that is out of reach is no error.
pub fn open(config: &UsersConfig) -> Result<Option<Arc<dyn Directory>>, DirectoryConfigError> {
    let Some(url) = &config.url else {
        return Ok(None);
    };
    let url: Uri = url
        .parse()
        .map_err(|error| DirectoryConfigError::Url(Box::new(error)))?;
    let is_encrypted = url.scheme() == Some(&::http::uri::Scheme::HTTPS);
    let endpoint = DirectoryEndpoint {
        url,
        roots: is_encrypted
            .then(|| roots(config.ca_file.as_deref()))
            .transpose()?,
        authorization: config
            .token_file
            .as_deref()
            .map(authorization)
            .transpose()?,
    };
    let deadline = config.timeout;
    match config.directory {
        DirectoryKind::Builtin => Ok(None),
        DirectoryKind::Grpc => Ok(Some(Arc::new(RemoteDirectory {
            client: GrpcClient::new(endpoint, deadline)?,
            deadline,
        }))),
        DirectoryKind::Http => Ok(Some(Arc::new(RemoteDirectory {
            client: HttpClient::new(endpoint)?,
            deadline,
        }))),
    }
}

/// The address of a directory, and the credentials of both sides.
struct DirectoryEndpoint {
    url: Uri,
    /// The trusted certificates, for https.
    roots: Option<rustls::RootCertStore>,
    authorization: Option<HeaderValue>,
}

/// The fields of `AuthenticateRequest`.
#[derive(serde::Serialize)]
struct LoginQuery<'a> {
    username: &'a str,
    password: &'a str,
    consumer_key: &'a str,
    client_address: &'a str,
}

/// The fields of `DirectoryUser`, unchecked.
#[derive(serde::Deserialize)]
struct DirectoryReply {
    user_id: String,
    #[serde(default)]
    screen_name: String,
}

/// A client of a directory, for one protocol.
#[async_trait]
trait DirectoryClient: Send + Sync {
    /// Returns the user with that name and password; `None` if there is no such user.
    async fn authenticate(
        &self,
        query: LoginQuery<'_>,
    ) -> Result<Option<DirectoryReply>, DirectoryError>;
}

/// A remote directory with a deadline for each call.
struct RemoteDirectory<C> {
    client: C,
    deadline: Duration,
}

// === impl RemoteDirectory ===

#[async_trait]
impl<C: DirectoryClient> Directory for RemoteDirectory<C> {
    async fn authenticate(&self, login: &Login) -> Result<Option<DirectoryUser>, DirectoryError> {
        let user = self.call(login).await;
        if let Err(error) = &user {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(%error, cause, "the user directory failed: nobody can log in; check the directory and [users]");
        }
        user
    }
}

impl<C: DirectoryClient> RemoteDirectory<C> {
    async fn call(&self, login: &Login) -> Result<Option<DirectoryUser>, DirectoryError> {
        // A password that is not UTF-8 cannot be sent, and belongs to nobody.
        let Ok(password) = str::from_utf8(login.password.expose()) else {
            return Ok(None);
        };
        let client_address = login
            .client_address
            .map(|address| address.to_canonical().to_string())
            .unwrap_or_default();
        let query = LoginQuery {
            username: &login.username,
            password,
            consumer_key: login.consumer_key.as_str(),
            client_address: &client_address,
        };
        match timeout(self.deadline, self.client.authenticate(query)).await {
            Ok(reply) => reply?.map(checked).transpose(),
            Err(_) => Err(DirectoryError::new(TOO_LONG)),
        }
    }
}

/// Returns the user, if upstreams and pages can carry every field.
fn checked(reply: DirectoryReply) -> Result<DirectoryUser, DirectoryError> {
    let id = UserId::new(reply.user_id).map_err(|wrong| {
        DirectoryError::new("user_id in its response is not a valid user id").because(wrong)
    })?;
    let screen_name = reply.screen_name;
    if screen_name.len() > MAX_SCREEN_NAME_LEN {
        return Err(DirectoryError::new(
            "screen_name in its response is longer than 255 bytes",
        ));
    }
    if screen_name.chars().any(char::is_control) {
        return Err(DirectoryError::new(
            "screen_name in its response has a control character",
        ));
    }
    // Names in Arabic and Hebrew may have marks of direction, so these are no error.
    let screen_name = visible(&screen_name).into_owned();
    Ok(DirectoryUser { id, screen_name })
}

/// Returns the header with the bearer token in this file.
fn authorization(path: &Path) -> Result<HeaderValue, DirectoryConfigError> {
    let key = "users.token_file";
    let failed = |problem| DirectoryConfigError::File { key, problem };
    let content = trusted_file::read(path, FileKind::Secret, MAX_TOKEN_FILE_LEN).map_err(failed)?;
    let token = content.trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        let what = "a bearer token: visible ASCII characters";
        return Err(DirectoryConfigError::Content {
            key,
            path: path.to_owned(),
            what,
        });
    }
    let value = Zeroizing::new([b"Bearer ", token].concat());
    let mut value = HeaderValue::from_bytes(&value)
        .map_err(|error| DirectoryConfigError::Url(Box::new(error)))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The error after the deadline, which either side may notice first.
const TOO_LONG: &str = "no response within users.timeout";

/// Much more than a token needs.
const MAX_TOKEN_FILE_LEN: u64 = 16 * 1024;

/// The limit in `proto/`, which fits on a page.
const MAX_SCREEN_NAME_LEN: usize = 255;

/// Much more than a response needs.
const MAX_REPLY_LEN: usize = 64 * 1024;

/// Reports an unreachable directory before the deadline of a call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
