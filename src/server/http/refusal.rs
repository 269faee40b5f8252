//! Errors of a request for credentials: a denial of the request, or a failure of ours.

use crate::issue::{IssueError, Violations};
use crate::server::denial::report::OwnFailure;
use crate::store::StoreError;
use crate::verify::{Applicant, Denial, ParameterProblem, Reason};

use super::grant::SCOPE;

/// The error of a request for credentials.
#[derive(Debug)]
pub(super) enum CredentialError {
    /// The request is denied.
    Denied(Box<CredentialDenial>),
    /// We failed.
    Failed(CredentialFailure),
}

/// A denied request for credentials.
#[derive(Debug)]
pub(super) struct CredentialDenial {
    /// The reason, and the caller.
    pub(super) denial: Denial,
    /// Advice that is more precise than that of the reason.
    pub(super) advice: Option<String>,
}

/// A failure of ours during a request for credentials.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialFailure {
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The issuer failed for another reason.
    #[error(transparent)]
    Issuer(IssueError),
    /// The deadline passed.
    #[error("the request for credentials was not decided before its deadline")]
    Deadline,
    /// The handler panicked.
    #[error("the handler panicked; this is a bug in Countersign")]
    Panic,
}

// === impl CredentialError ===

impl CredentialError {
    /// Converts an error of the issuer about the request of a proven applicant.
    pub(super) fn of(error: IssueError, applicant: &Applicant) -> Self {
        match reason(error) {
            Ok((reason, advice)) => {
                let denial = applicant.denial(reason);
                Self::Denied(Box::new(CredentialDenial { denial, advice }))
            }
            Err(failure) => Self::Failed(failure),
        }
    }
}

impl From<Denial> for CredentialError {
    fn from(denial: Denial) -> Self {
        Self::Denied(Box::new(CredentialDenial {
            denial,
            advice: None,
        }))
    }
}

impl From<CredentialFailure> for CredentialError {
    fn from(failure: CredentialFailure) -> Self {
        Self::Failed(failure)
    }
}

// === impl CredentialFailure ===

impl OwnFailure for CredentialFailure {
    fn label(&self) -> &'static str {
        match self {
            Self::Store(_) => "store",
            Self::Issuer(IssueError::Directory(_)) => "directory",
            Self::Issuer(IssueError::Conflict) => "conflict",
            Self::Issuer(_) => "issuer",
            Self::Deadline => "deadline",
            Self::Panic => "panic",
        }
    }

    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::Issuer(_) | Self::Deadline | Self::Panic => None,
        }
    }
}

/// Returns the reason of a denial for an error of the issuer, and more precise advice if there is
/// any.
///
/// # Errors
/// The error is not about the caller.
fn reason(error: IssueError) -> Result<(Reason, Option<String>), CredentialFailure> {
    Ok((
        match error {
            IssueError::Invalid(violations) => return Ok(invalid(violations)),
            IssueError::UnknownConsumer(_) | IssueError::UnknownConsumerId(_) => {
                Reason::UnknownConsumer
            }
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
            IssueError::Store(error) => return Err(CredentialFailure::Store(error)),
            other @ (IssueError::UnknownToken(_)
            | IssueError::UnknownUser(_)
            | IssueError::ConsumerExists(_)
            | IssueError::TokenExists(_)
            | IssueError::UserExists
            | IssueError::RequestTokenDecided
            | IssueError::MissingMasterKey(_)
            | IssueError::Directory(_)
            | IssueError::Conflict) => return Err(CredentialFailure::Issuer(other)),
        },
        None,
    ))
}

/// Names the first parameter that breaks a rule, and lists all of them in the advice.
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
