//! Why a request for credentials got none: a refusal is about who asked, a failure is ours.

use crate::issue::{IssueError, Violations};
use crate::store::StoreError;
use crate::verify::{Applicant, Denial, ParameterProblem, Reason};

use super::grant::SCOPE;

/// Why there are no credentials.
#[derive(Debug)]
pub(super) enum Stop {
    /// Who asked gets none.
    Refused(Box<Refusal>),
    /// We could not.
    Failed(Failure),
}

/// Why who asked gets none.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Why, and who it is about.
    pub(super) denial: Denial,
    /// What is wrong, where it can be said better than by the reason alone.
    pub(super) advice: Option<String>,
}

/// Why we could not.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The issuer could not, for another reason.
    #[error(transparent)]
    Issuer(IssueError),
    /// The time was over.
    #[error("the time was over before there was an answer")]
    Deadline,
    /// A handler panicked.
    #[error("the handler panicked")]
    Panic,
}

// === impl Stop ===

impl Stop {
    /// What becomes of an error of the issuer, when a proven consumer asked.
    pub(super) fn of(error: IssueError, applicant: &Applicant) -> Self {
        match reason(error) {
            Ok((reason, advice)) => {
                let denial = applicant.refused(reason);
                Self::Refused(Box::new(Refusal { denial, advice }))
            }
            Err(failure) => Self::Failed(failure),
        }
    }
}

impl From<Denial> for Stop {
    fn from(denial: Denial) -> Self {
        Self::Refused(Box::new(Refusal {
            denial,
            advice: None,
        }))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

// === impl Failure ===

impl Failure {
    /// Its name in logs and metrics.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Store(_) => "store",
            Self::Issuer(IssueError::Directory(_)) => "directory",
            Self::Issuer(IssueError::Conflict) => "conflict",
            Self::Issuer(_) => "issuer",
            Self::Deadline => "deadline",
            Self::Panic => "panic",
        }
    }
}

/// The reason that an error of the issuer stands for, and what to say about it.
///
/// # Errors
/// What is not about who asked.
fn reason(error: IssueError) -> Result<(Reason, Option<String>), Failure> {
    Ok((
        match error {
            IssueError::Invalid(violations) => return Ok(invalid(violations)),
            IssueError::UnknownConsumer(_) => Reason::UnknownConsumer,
            IssueError::UnknownRequestToken(_) => Reason::TokenRejected,
            IssueError::ConsumerDisabled(_) => Reason::ConsumerDisabled,
            IssueError::FlowNotAllowed { .. } => Reason::FlowNotAllowed,
            IssueError::UserDisabled => Reason::UserDisabled,
            IssueError::RequestTokenExpired => Reason::TokenExpired,
            IssueError::RequestTokenUndecided => Reason::TokenUndecided,
            IssueError::RequestTokenRefused => Reason::UserRefused,
            IssueError::RequestTokenUsed => Reason::TokenUsed,
            IssueError::VerifierRefused => Reason::VerifierInvalid,
            IssueError::PasswordRefused => Reason::PasswordRefused,
            IssueError::TooManyAttempts(wait) => Reason::TooManyAttempts {
                retry_after: wait.as_secs() + u64::from(wait.subsec_nanos() > 0),
            },
            IssueError::Store(error) => return Err(Failure::Store(error)),
            other @ (IssueError::UnknownToken(_)
            | IssueError::UnknownUser(_)
            | IssueError::ConsumerExists(_)
            | IssueError::TokenExists(_)
            | IssueError::UserExists
            | IssueError::RequestTokenDecided
            | IssueError::Directory(_)
            | IssueError::Conflict) => return Err(Failure::Issuer(other)),
        },
        None,
    ))
}

/// Names the first parameter that breaks a rule, and tells of all.
fn invalid(violations: Violations) -> (Reason, Option<String>) {
    let on_the_wire = |field: &str| {
        if field.starts_with("scope") {
            SCOPE
        } else {
            CALLBACK
        }
    };
    let name = violations
        .iter()
        .next()
        .map_or(CALLBACK, |violation| on_the_wire(&violation.field));
    let text = violations
        .rename(|field| on_the_wire(field).to_owned())
        .to_string();
    (
        Reason::Parameter {
            name,
            problem: ParameterProblem::Invalid,
        },
        Some(text),
    )
}

const CALLBACK: &str = "oauth_callback";
