//! The operator's user directory, asked over gRPC or HTTP instead of the built-in users (`users.directory`).
//!
//! [`open`] makes of `[users]` an [`issue::Directory`](crate::issue::Directory) that is asked for every log-in. It
//! connects when it is first asked, and anew after an outage, so that neither has to be there first.
//!
//! There are three answers: whose name and password they are, that they are nobody's, and an outage. Only what
//! `proto/countersign/v1/user_directory.proto` or `docs/issuing.md` says is one of the first two; anything else is an
//! outage: nobody is let in, and a warning names what was wrong with the answer. Neither it nor an error carries a name, a
//! password, or text of the directory's, which could repeat them.
//!
//! - `grpc`, `http`: the two ways to ask.
//! - `tls`: who vouches for the directory.
//!
//! Left to others: how wrong passwords are limited, and what a user may do then ([`crate::issue`]).

mod grpc;
mod http;
#[cfg(test)]
mod tests;
mod tls;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use ::http::{HeaderValue, Uri};
use async_trait::async_trait;
use tokio::time::timeout;
use zeroize::Zeroizing;

use self::grpc::Grpc;
use self::http::Http;
use self::tls::roots;
use crate::config::{DirectoryKind, UsersConfig};
use crate::issue::{Directory, DirectoryError, DirectoryUser, Login};
use crate::model::UserId;

/// Why a user directory can not be asked as it is configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A file can not be read.
    #[error("{key}: {} can not be read", path.display())]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{key}: {} does not hold {what}", path.display())]
    Content {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The system trusts nobody.
    #[error(
        "users.ca_file: must name a file, because no certificates were found that this system trusts"
    )]
    NoSystemRoots,
    /// The address can not be used.
    #[error("users.url: can not be used")]
    Url(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Opens the directory that `config` names; `None` is the built-in one. Needs a tokio runtime.
///
/// # Errors
/// When it can never be asked as configured. That it is out of reach is none.
pub fn open(config: &UsersConfig) -> Result<Option<Arc<dyn Directory>>, OpenError> {
    let Some(url) = &config.url else {
        return Ok(None);
    };
    let url: Uri = url
        .parse()
        .map_err(|error| OpenError::Url(Box::new(error)))?;
    let is_encrypted = url.scheme() == Some(&::http::uri::Scheme::HTTPS);
    let access = Access {
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
        DirectoryKind::Grpc => Ok(Some(Arc::new(Remote {
            peer: Grpc::new(access, deadline)?,
            deadline,
        }))),
        DirectoryKind::Http => Ok(Some(Arc::new(Remote {
            peer: Http::new(access)?,
            deadline,
        }))),
    }
}

/// Where a directory is, who vouches for it, and what it is shown.
struct Access {
    url: Uri,
    /// There for https.
    roots: Option<rustls::RootCertStore>,
    authorization: Option<HeaderValue>,
}

/// What a directory is asked; the fields are those of `AuthenticateRequest`.
#[derive(serde::Serialize)]
struct Question<'a> {
    username: &'a str,
    password: &'a str,
    consumer_key: &'a str,
    client_address: &'a str,
}

/// What a directory says of a user, unchecked; the fields are those of `DirectoryUser`.
#[derive(serde::Deserialize)]
struct Answer {
    user_id: String,
    #[serde(default)]
    screen_name: String,
}

/// One way to ask.
#[async_trait]
trait Peer: Send + Sync {
    /// Whose these are; `None` when they are nobody's.
    async fn ask(&self, question: Question<'_>) -> Result<Option<Answer>, DirectoryError>;
}

/// A directory elsewhere, asked under a deadline.
struct Remote<P> {
    peer: P,
    deadline: Duration,
}

// === impl Remote ===

#[async_trait]
impl<P: Peer> Directory for Remote<P> {
    async fn authenticate(&self, login: &Login) -> Result<Option<DirectoryUser>, DirectoryError> {
        let user = self.ask(login).await;
        if let Err(error) = &user {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(%error, cause, "nobody can log in while the user directory does not answer as it should");
        }
        user
    }
}

impl<P: Peer> Remote<P> {
    async fn ask(&self, login: &Login) -> Result<Option<DirectoryUser>, DirectoryError> {
        // What is no text can not be asked for, and is nobody's password.
        let Ok(password) = str::from_utf8(login.password.expose()) else {
            return Ok(None);
        };
        let client_address = login
            .client_address
            .map(|address| address.to_canonical().to_string())
            .unwrap_or_default();
        let question = Question {
            username: &login.username,
            password,
            consumer_key: login.consumer_key.as_str(),
            client_address: &client_address,
        };
        match timeout(self.deadline, self.peer.ask(question)).await {
            Ok(answer) => answer?.map(checked).transpose(),
            Err(_) => Err(DirectoryError::new(TOO_LONG)),
        }
    }
}

/// The user, if every field is what upstreams and pages can be told.
fn checked(answer: Answer) -> Result<DirectoryUser, DirectoryError> {
    let id = UserId::new(answer.user_id).map_err(|wrong| {
        DirectoryError::new("user_id in its answer can not be used").because(wrong)
    })?;
    let screen_name = answer.screen_name;
    if screen_name.len() > MAX_SCREEN_NAME_LEN {
        return Err(DirectoryError::new(
            "screen_name in its answer is longer than 255 bytes",
        ));
    }
    if screen_name.chars().any(char::is_control) {
        return Err(DirectoryError::new(
            "screen_name in its answer has a control character",
        ));
    }
    Ok(DirectoryUser { id, screen_name })
}

/// The header that shows the bearer token in this file.
fn authorization(path: &Path) -> Result<HeaderValue, OpenError> {
    let key = "users.token_file";
    let failed = |source| OpenError::File {
        key,
        path: path.to_owned(),
        source,
    };
    let content = fs::read(path).map(Zeroizing::new).map_err(failed)?;
    let token = content.trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        let what = "a bearer token: visible ASCII characters";
        return Err(OpenError::Content {
            key,
            path: path.to_owned(),
            what,
        });
    }
    let value = Zeroizing::new([b"Bearer ", token].concat());
    let mut value =
        HeaderValue::from_bytes(&value).map_err(|error| OpenError::Url(Box::new(error)))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Why there is no answer when the deadline has passed, whoever notices it first.
const TOO_LONG: &str = "it took longer than users.timeout";

/// What a page has room for, and the proto says.
const MAX_SCREEN_NAME_LEN: usize = 255;

/// Many times what an answer needs.
const MAX_ANSWER_LEN: usize = 64 * 1024;

/// A directory that is up answers within its deadline; one that is not even reachable is known sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
