//! Issuing: who may sign, with which credentials, and who no longer may.
//!
//! The [`Issuer`] holds the rules that are the same however somebody asks, over gRPC, HTTP or a page: what a field may hold, what
//! is made when it is left out, what must exist before something else can. Identifiers and secrets are drawn from
//! [`Entropy`] and have unreserved characters only, so that no client needs to encode them.
//!
//! A draft is checked whole: every mistake is told at once, by the name of its field in `proto/`, and nothing is written
//! unless there is none. A change is compare-and-swap on the record's revision, so that two at once can not undo each
//! other. Every change leaves one event with the target `countersign::audit`, without secrets.
//!
//! - `consumers`, `consumer_keys`, `tokens`, `users`: administration.
//! - `request_tokens`: temporary credentials (RFC 5849 section 2); `callback`: where users go; `exchange`: what tokens are
//!   obtained with.
//! - `hash`: what a password is checked with; `password`: how guessing is slowed down; `directory`: who knows users.
//! - `sessions`: who is logged in to decide.
//! - `draft`, `uri`, `violations`, `random`: the rules of fields.
//!
//! Left to others: the wire ([`crate::server`]), who may ask at all (also there), and how records are kept and secrets
//! sealed ([`crate::store`]).

mod audit;
mod callback;
mod consumer_keys;
mod consumers;
mod directory;
mod draft;
mod error;
mod exchange;
mod hash;
mod password;
pub(crate) mod random;
mod request_tokens;
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
use hash::Hasher;
use password::Waiting;

pub use audit::Actor;
pub use consumers::{ConsumerChange, Created};
pub use directory::{Directory, DirectoryError, DirectoryUser, Login};
pub use draft::{ConsumerDraft, Expiry, TokenDraft};
pub use error::IssueError;
pub use request_tokens::{Asking, Authorized, Consent, Issued, RequestTokenDraft};
pub use tokens::{Introspection, ShownToken};
pub use users::UserDraft;
pub use violations::{Violation, Violations};

/// Creates, shows and changes consumers, users and their credentials.
#[derive(Clone)]
pub struct Issuer {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    terms: Arc<Terms>,
    directory: Arc<dyn Directory>,
    hasher: Hasher,
    waiting: Waiting,
}

/// What an operator set about issuing.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How long credentials are valid.
    pub issue: IssueConfig,
    /// How long a log-in lasts.
    pub authorize: AuthorizeConfig,
    /// How passwords are hashed, and how guessing is slowed down.
    pub password: PasswordConfig,
}

// === impl Terms ===

impl Terms {
    /// What `config` says about issuing.
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
    /// An issuer that keeps its records in `store`, and whose users are in `directory`; `None` is those of `store`.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        terms: Terms,
        directory: Option<Arc<dyn Directory>>,
    ) -> Self {
        let hasher = Hasher::new(&terms.password);
        let builtin =
            || directory::Builtin::new(Arc::clone(&store), Arc::clone(&entropy), hasher.clone());
        let directory = directory.unwrap_or_else(|| Arc::new(builtin()));
        Self {
            store,
            clock,
            entropy,
            terms: Arc::new(terms),
            directory,
            hasher,
            waiting: Waiting::default(),
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

/// Whether a compare-and-swap took place; `false` when somebody else was faster.
fn replaced(outcome: Result<(), StoreError>) -> Result<bool, StoreError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == StoreErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}

/// What changes whenever a record does, and is another for a record that took the place of a deleted one.
pub(crate) fn etag(generation: Generation, revision: u64) -> String {
    format!("{:x}-{revision}", generation.number())
}

/// How often a change is tried before somebody else's is given as the reason: more than a handful of administrators
/// do not change one record within the same few milliseconds.
const ATTEMPTS: usize = 5;
