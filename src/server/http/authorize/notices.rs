//! What users are told when it does not go on.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::pages;
use crate::clock::UnixTime;
use crate::issue::{AuthorizationRequest, IssueError};
use crate::model::{Flow, RequestTokenState, Token};
use crate::server::pages::{Answer, BadFields, whole_seconds};

/// Why it does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// Nobody asks with such temporary credentials.
    Unknown,
    /// Too late.
    Expired,
    /// The user decided before.
    Decided,
    /// The user refused before, or a guesser used up its attempts.
    Refused,
    /// The consumer's tokens were all revoked since it asked.
    Revoked,
    /// The consumer may not ask.
    ApplicationDisabled,
    /// The user may not decide.
    AccountDisabled,
    /// The form is not one that this browser was shown, or the question has changed since.
    NotOurForm,
    /// The browser sent no cookie along.
    NoCookie,
    /// The form can not be read.
    BadForm(StatusCode),
    /// Not a method of this page; those are.
    Method(&'static str),
    /// Somebody else changed it at the same time.
    Busy,
    /// Our failure.
    Failure,
}

impl Notice {
    /// Why a user can not decide any more; `None` when it is time to.
    pub(super) fn about(asking: &AuthorizationRequest, now: UnixTime) -> Option<Self> {
        let AuthorizationRequest {
            request_token,
            consumer,
        } = asking;
        match request_token.state {
            RequestTokenState::Authorized { .. } | RequestTokenState::Used => Some(Self::Decided),
            RequestTokenState::Refused => Some(Self::Refused),
            RequestTokenState::Pending if request_token.is_expired(now) => Some(Self::Expired),
            RequestTokenState::Pending
                if request_token.consumer_generation != consumer.generation =>
            {
                Some(Self::Revoked)
            }
            RequestTokenState::Pending
                if !consumer.is_active() || !consumer.may(Flow::ThreeLegged) =>
            {
                Some(Self::ApplicationDisabled)
            }
            RequestTokenState::Pending => None,
        }
    }

    /// The page that says so; with `name`, it offers to start again where that can help.
    pub(super) fn answer(self, name: Option<&Token>) -> Answer {
        let (status, title, text) = self.words();
        let helps = matches!(
            self,
            Self::NotOurForm | Self::NoCookie | Self::BadForm(_) | Self::Busy | Self::Failure
        );
        let again = name.filter(|_| helps).map(address);
        let answer = pages::notice(status, title, text, again.as_deref());
        if let Self::Method(allowed) = self {
            answer.with(header::ALLOW, HeaderValue::from_static(allowed))
        } else {
            answer
        }
    }

    const fn words(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unknown => (StatusCode::NOT_FOUND, "Nobody asks with this", UNKNOWN),
            Self::Expired => (StatusCode::GONE, "This has taken too long", EXPIRED),
            Self::Decided => (StatusCode::GONE, "This was decided already", DECIDED),
            Self::Refused => (StatusCode::GONE, "This was refused already", DECIDED),
            Self::Revoked => (StatusCode::GONE, "This is not asked any more", EXPIRED),
            Self::ApplicationDisabled => (
                StatusCode::FORBIDDEN,
                "This application may not ask for access",
                APPLICATION_DISABLED,
            ),
            Self::AccountDisabled => (
                StatusCode::FORBIDDEN,
                "This account is disabled",
                ACCOUNT_DISABLED,
            ),
            Self::NotOurForm => (StatusCode::FORBIDDEN, "Please look again", NOT_OUR_FORM),
            Self::NoCookie => (StatusCode::FORBIDDEN, "Please start again", NO_COOKIE),
            Self::BadForm(status) => (status, "This form can not be read", BAD_FORM),
            Self::Method(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "This can not be asked like that",
                METHOD,
            ),
            Self::Busy => (StatusCode::CONFLICT, "Somebody else was faster", BUSY),
            Self::Failure => (
                StatusCode::SERVICE_UNAVAILABLE,
                "This does not work at the moment",
                FAILURE,
            ),
        }
    }
}

impl From<BadFields> for Notice {
    fn from(bad: BadFields) -> Self {
        Self::BadForm(bad.status())
    }
}

impl From<&IssueError> for Notice {
    fn from(error: &IssueError) -> Self {
        match error {
            IssueError::UnknownRequestToken(_) | IssueError::UnknownConsumer(_) => Self::Unknown,
            IssueError::RequestTokenExpired => Self::Expired,
            IssueError::RequestTokenDecided | IssueError::RequestTokenUsed => Self::Decided,
            IssueError::RequestTokenRefused => Self::Refused,
            IssueError::ConsumerDisabled(_) | IssueError::FlowNotAllowed { .. } => {
                Self::ApplicationDisabled
            }
            IssueError::UserDisabled | IssueError::UnknownUser(_) => Self::AccountDisabled,
            IssueError::Conflict => Self::Busy,
            // Not answers to what the page asks for.
            IssueError::Invalid(_)
            | IssueError::UnknownToken(_)
            | IssueError::ConsumerExists(_)
            | IssueError::TokenExists(_)
            | IssueError::UserExists
            | IssueError::RequestTokenUndecided
            | IssueError::VerifierRefused
            | IssueError::PasswordRefused
            | IssueError::TooManyAttempts(_)
            | IssueError::Directory(_)
            | IssueError::Store(_) => Self::Failure,
        }
    }
}

/// The page about these temporary credentials, as seen from itself, whatever is in front of it.
pub(super) fn address(name: &Token) -> String {
    format!(
        "authorize?oauth_token={}",
        utf8_percent_encode(name.as_str(), NON_ALPHANUMERIC)
    )
}

/// What is said at the form of a log-in that failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LogInProblem {
    pub(super) status: StatusCode,
    pub(super) text: String,
    /// How long to wait.
    pub(super) wait: Option<Duration>,
}

impl LogInProblem {
    /// What an error means for the form; `None` when it is not about the log-in.
    pub(super) fn of(error: &IssueError) -> Option<Self> {
        if let IssueError::TooManyAttempts(wait) = error {
            let text = format!(
                "There were too many wrong passwords. Try again in {}.",
                in_words(*wait)
            );
            return Some(Self {
                status: StatusCode::TOO_MANY_REQUESTS,
                text,
                wait: Some(*wait),
            });
        }
        let (status, text) = if matches!(error, IssueError::PasswordRefused) {
            (StatusCode::FORBIDDEN, WRONG_PASSWORD)
        } else if matches!(error, IssueError::UserDisabled) {
            (StatusCode::FORBIDDEN, ACCOUNT_DISABLED)
        } else if matches!(error, IssueError::Directory(_) | IssueError::Store(_)) {
            (StatusCode::SERVICE_UNAVAILABLE, NO_LOG_IN)
        } else {
            return None;
        };
        Some(Self {
            status,
            text: text.to_owned(),
            wait: None,
        })
    }
}

fn in_words(wait: Duration) -> String {
    let seconds = whole_seconds(wait).max(1);
    let (number, unit) = if seconds < 60 {
        (seconds, "second")
    } else {
        (seconds.div_ceil(60), "minute")
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

const UNKNOWN: &str = "The address may have been cut off or mistyped, or it is too old. Go back to the application and \
                       connect it again.";
const EXPIRED: &str = "Nothing was allowed. Go back to the application and connect it again.";
const DECIDED: &str = "One request is decided once. If you want to decide otherwise, go back to the application and \
                       connect it again.";
const APPLICATION_DISABLED: &str = "Nothing was allowed. Ask whoever runs the application.";
const ACCOUNT_DISABLED: &str = "This account is disabled. Ask whoever runs this service.";
const NOT_OUR_FORM: &str = "Nothing was allowed or refused: the form came from another page, or what is asked has \
                            changed since you saw it.";
const NO_COOKIE: &str = "Nothing was allowed or refused. You have been logged out since, or your browser keeps no \
                         cookies of this site.";
const BAD_FORM: &str =
    "Nothing was allowed or refused. Go back to the application and connect it again.";
const METHOD: &str =
    "Nothing was allowed or refused. Go back to the application and connect it again.";
const BUSY: &str = "Nothing was allowed or refused: the request changed at the same moment.";
const FAILURE: &str = "It is not your fault. Try again in a minute.";
const WRONG_PASSWORD: &str = "Unknown user or wrong password.";
const NO_LOG_IN: &str =
    "Logging in does not work at the moment. It is not your fault; try again in a minute.";
