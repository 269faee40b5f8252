//! Issuing: the rules for consumers, users and their credentials.
//!
//! The [`Issuer`] has the rules that are the same for gRPC, HTTP and pages: the limits of each
//! field, the defaults, and the records that must exist first. It draws identifiers and secrets
//! from [`Entropy`], of unreserved characters only, so that no client needs to encode them.
//!
//! The issuer checks a draft completely: the error lists every mistake, by the name of its field in
//! `proto/`, and nothing is written unless the draft is valid. A change is a compare-and-swap on
//! the revision of the record, so that concurrent changes do not undo each other. Every change logs
//! one event with the target `countersign::audit`, without secrets.
//!
//! - `consumers`, `consumer_keys`, `tokens`, `users`: administration; `apply`: declarative.
//! - `request_tokens`: temporary credentials (RFC 5849 section 2); `callback`: redirects of users;
//!   `exchange`: the exchanges for tokens.
//! - `hash`: password hashes; `password`: limits on guessing; `directory`, `builtin_directory`:
//!   user directories.
//! - `sessions`: browser sessions of users.
//! - `export`, `restore`: backups; `secret_export`: exports with secrets in plaintext.
//! - `draft`, `uri`, `violations`, `random`: the rules of fields.
//!
//! Left to others: the wire and access control ([`crate::server`]), storage and sealing of secrets
//! ([`crate::store`]).

mod apply;
mod audit;
mod builtin_directory;
mod callback;
mod consumer_keys;
mod consumers;
mod directory;
mod draft;
mod error;
mod exchange;
mod export;
mod hash;
mod password;
mod pin;
pub(crate) mod random;
mod request_tokens;
mod restore;
mod secret_export;
mod sessions;
#[cfg(test)]
mod tests;
mod tokens;
mod uri;
mod users;
mod violations;

use std::fmt;
use std::sync::Arc;

use crate::clock::{Clock, Entropy};
use crate::config::{AuthorizeConfig, Config, IssueConfig, PasswordConfig};
use crate::model::Generation;
use crate::store::{Store, StoreError, StoreErrorKind};
use builtin_directory::BuiltinDirectory;
use hash::Hasher;
use password::DelayedAttempts;

pub use apply::{ApplyOutcome, ExpectedState, WantedConsumer};
pub use audit::Actor;
pub use consumers::CreateOutcome;
pub use directory::{Directory, DirectoryError, DirectoryUser, Login};
pub use draft::{ConsumerAttributes, ConsumerDraft, Expiry, TokenDraft};
pub use error::IssueError;
pub use export::{Export, ExportEnd, ExportPart};
pub use request_tokens::{
    AuthorizationRequest, Consent, ConsentOutcome, IssuedToken, RequestTokenDraft,
};
pub use restore::{ExportProof, RestoreOutcome};
pub use secret_export::{ExposedRecord, SecretExport};
pub use tokens::{Introspection, TokenWithState};
pub use users::UserDraft;
pub use violations::{Violation, Violations};

/// Creates, returns and changes consumers, users and their credentials.
#[derive(Clone)]
pub struct Issuer {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    terms: Arc<IssuerTerms>,
    directory: Arc<dyn Directory>,
    hasher: Hasher,
    delayed: DelayedAttempts,
    /// The turn to search all consumers.
    search: Arc<tokio::sync::Mutex<()>>,
}

/// The configured terms of issuing.
#[derive(Clone, Debug)]
pub struct IssuerTerms {
    /// The lifetimes of credentials.
    pub issue: IssueConfig,
    /// The lifetime of a session.
    pub authorize: AuthorizeConfig,
    /// The costs of hashes, and the limits on guessing.
    pub password: PasswordConfig,
}

// === impl IssuerTerms ===

impl IssuerTerms {
    /// Returns the terms in `config`.
    pub fn of(config: &Config) -> Self {
        let Config {
            issue,
            authorize,
            password,
            ..
        } = config;
        Self {
            issue: issue.clone(),
            authorize: authorize.clone(),
            password: password.clone(),
        }
    }
}

// === impl Issuer ===

impl Issuer {
    /// Creates an issuer with records in `store` and users in `directory`; `None` stands for the
    /// built-in directory in `store`.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        terms: IssuerTerms,
        directory: Option<Arc<dyn Directory>>,
    ) -> Self {
        let hasher = Hasher::new(&terms.password);
        let directory = directory.unwrap_or_else(|| {
            let (store, entropy) = (Arc::clone(&store), Arc::clone(&entropy));
            Arc::new(BuiltinDirectory::new(store, entropy, hasher.clone()))
        });
        Self {
            store,
            clock,
            entropy,
            terms: Arc::new(terms),
            directory,
            hasher,
            delayed: DelayedAttempts::default(),
            search: Arc::default(),
        }
    }

    /// Returns an issuer with other terms and another directory, which shares the limits on hashes
    /// and waiting log-ins with this one.
    #[must_use]
    pub fn with_terms(&self, terms: IssuerTerms, directory: Option<Arc<dyn Directory>>) -> Self {
        let hasher = self.hasher.with_params(&terms.password);
        let directory = directory.unwrap_or_else(|| {
            let (store, entropy) = (Arc::clone(&self.store), Arc::clone(&self.entropy));
            Arc::new(BuiltinDirectory::new(store, entropy, hasher.clone()))
        });
        Self {
            directory,
            terms: Arc::new(terms),
            hasher,
            ..self.clone()
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// Returns true if a compare-and-swap succeeded, and false if another change was faster.
fn replaced(outcome: Result<(), StoreError>) -> Result<bool, StoreError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == StoreErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns true if a record was written, and false if another change was faster, or created a record
/// of that name first.
fn written(outcome: Result<(), StoreError>) -> Result<bool, StoreError> {
    match outcome {
        Err(error) if error.kind() == StoreErrorKind::AlreadyExists => Ok(false),
        outcome => replaced(outcome),
    }
}

/// Returns the etag of a record: it differs after every change, and for a new record in the place
/// of a deleted one.
pub(crate) fn etag(generation: Generation, revision: u64) -> String {
    format!("{:x}-{revision}", generation.number())
}

/// The number of attempts at a change before it fails with a conflict. More than a handful of
/// administrators do not change one record within the same few milliseconds.
const ATTEMPTS: usize = 5;
