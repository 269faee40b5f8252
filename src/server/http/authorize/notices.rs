//! The notices that users see if a request cannot continue.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::brand::PageBrand;
use super::pages;
use crate::clock::UnixTime;
use crate::issue::{AuthorizationRequest, IssueError};
use crate::model::{Flow, RequestTokenState, Token};
use crate::server::pages::{FormError, PageResponse, whole_seconds};

/// A reason why a request cannot continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UserNotice {
    /// The temporary credentials are unknown.
    Unknown,
    /// The request has expired.
    Expired,
    /// The request was decided.
    Decided,
    /// The user refused the request, or too many wrong verifiers were sent.
    Refused,
    /// The consumer's tokens were revoked after the request.
    Revoked,
    /// The consumer is disabled, or may not use this flow.
    ApplicationDisabled,
    /// The user is disabled.
    AccountDisabled,
    /// The form was not shown to this browser, or the request has changed since.
    NotOurForm,
    /// The browser sent no cookie.
    NoCookie,
    /// The form is malformed.
    BadForm(StatusCode),
    /// The method is not allowed; the allowed methods are in the value.
    Method(&'static str),
    /// The request changed at the same time.
    Busy,
    /// The service failed.
    Failure,
}

impl UserNotice {
    /// Returns why a request cannot be decided; `None` if it can.
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

    /// Returns the page of the notice. With `name`, it offers to start again if that can help.
    pub(super) fn response(self, brand: &PageBrand, name: Option<&Token>) -> PageResponse {
        let helps = matches!(
            self,
            Self::NotOurForm | Self::NoCookie | Self::BadForm(_) | Self::Busy | Self::Failure
        );
        let again = name.filter(|_| helps).map(address);
        let (status, title, text) = (self.status(), self.title(), self.text());
        let response = pages::notice(brand, status, title, text, again.as_deref());
        if let Self::Method(allowed) = self {
            response.with(header::ALLOW, HeaderValue::from_static(allowed))
        } else {
            response
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Expired | Self::Decided | Self::Refused | Self::Revoked => StatusCode::GONE,
            Self::ApplicationDisabled
            | Self::AccountDisabled
            | Self::NotOurForm
            | Self::NoCookie => StatusCode::FORBIDDEN,
            Self::BadForm(status) => status,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Busy => StatusCode::CONFLICT,
            Self::Failure => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown request",
            Self::Expired => "This request has expired",
            Self::Decided => "This request was already decided",
            Self::Refused => "This request was already refused",
            Self::Revoked => "This request is no longer valid",
            Self::ApplicationDisabled => "This application may not request access",
            Self::AccountDisabled => "This account is disabled",
            Self::NotOurForm => "Please review the request again",
            Self::NoCookie => "Please start again",
            Self::BadForm(_) => "The form could not be read",
            Self::Method(_) => "This method is not supported",
            Self::Busy => "The request has changed",
            Self::Failure => "The service is not available",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Unknown => UNKNOWN,
            Self::Expired | Self::Revoked => EXPIRED,
            Self::Decided | Self::Refused => DECIDED,
            Self::ApplicationDisabled => APPLICATION_DISABLED,
            Self::AccountDisabled => ACCOUNT_DISABLED,
            Self::NotOurForm => NOT_OUR_FORM,
            Self::NoCookie => NO_COOKIE,
            Self::BadForm(_) | Self::Method(_) => NOTHING_DECIDED,
            Self::Busy => BUSY,
            Self::Failure => FAILURE,
        }
    }
}

impl From<FormError> for UserNotice {
    fn from(error: FormError) -> Self {
        Self::BadForm(error.status())
    }
}

impl From<&IssueError> for UserNotice {
    fn from(error: &IssueError) -> Self {
        match error {
            IssueError::UnknownRequestToken(_)
            | IssueError::UnknownConsumer(_)
            | IssueError::UnknownConsumerId(_) => Self::Unknown,
            IssueError::RequestTokenExpired => Self::Expired,
            IssueError::RequestTokenDecided | IssueError::RequestTokenUsed => Self::Decided,
            IssueError::RequestTokenRefused => Self::Refused,
            IssueError::ConsumerDisabled(_) | IssueError::FlowNotAllowed { .. } => {
                Self::ApplicationDisabled
            }
            IssueError::UserDisabled | IssueError::UnknownUser(_) => Self::AccountDisabled,
            IssueError::Conflict => Self::Busy,
            // The page's calls do not return these.
            IssueError::Invalid(_)
            | IssueError::UnknownToken(_)
            | IssueError::ConsumerExists(_)
            | IssueError::TokenExists(_)
            | IssueError::UserExists
            | IssueError::RequestTokenUndecided
            | IssueError::VerifierRefused
            | IssueError::PasswordRefused
            | IssueError::TooManyAttempts(_)
            | IssueError::MissingMasterKey(_)
            | IssueError::Directory(_)
            | IssueError::Store(_) => Self::Failure,
        }
    }
}

/// Returns the address of the page for these temporary credentials, relative to the page, so that
/// it works behind any proxy.
pub(super) fn address(name: &Token) -> String {
    format!(
        "authorize?oauth_token={}",
        utf8_percent_encode(name.as_str(), NON_ALPHANUMERIC)
    )
}

/// The problem of a failed login.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoginProblem {
    /// The status of the response.
    pub(super) status: StatusCode,
    /// The text for the user.
    pub(super) text: String,
    /// The time until a retry is possible.
    pub(super) wait: Option<Duration>,
}

impl LoginProblem {
    /// Returns the problem that an error stands for; `None` if it does not concern the login.
    pub(super) fn of(error: &IssueError) -> Option<Self> {
        if let IssueError::TooManyAttempts(wait) = error {
            return Some(Self::too_many_attempts(*wait));
        }
        let (status, text) = if matches!(error, IssueError::PasswordRefused) {
            (StatusCode::FORBIDDEN, WRONG_PASSWORD)
        } else if matches!(error, IssueError::UserDisabled) {
            (StatusCode::FORBIDDEN, ACCOUNT_DISABLED)
        } else if matches!(error, IssueError::Directory(_) | IssueError::Store(_)) {
            (StatusCode::SERVICE_UNAVAILABLE, LOGIN_UNAVAILABLE)
        } else {
            return None;
        };
        Some(Self {
            status,
            text: text.to_owned(),
            wait: None,
        })
    }

    fn too_many_attempts(wait: Duration) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            text: format!("Too many wrong passwords. Try again in {}.", in_words(wait)),
            wait: Some(wait),
        }
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

const UNKNOWN: &str =
    "The address may be incomplete or too old. Go back to the application and connect it again.";
const EXPIRED: &str = "Nothing was allowed. Go back to the application and connect it again.";
const DECIDED: &str = "A request can be decided only once. To decide otherwise, go back to the \
    application and connect it again.";
const APPLICATION_DISABLED: &str = "Nothing was allowed. Contact the operator of the application.";
const ACCOUNT_DISABLED: &str = "This account is disabled. Contact the operator of this service.";
const NOT_OUR_FORM: &str = "Nothing was allowed or refused. The form came from another page, or \
    the request has changed since you saw it.";
const NO_COOKIE: &str = "Nothing was allowed or refused. You were logged out, or your browser \
    blocks cookies of this site.";
const NOTHING_DECIDED: &str =
    "Nothing was allowed or refused. Go back to the application and connect it again.";
const BUSY: &str = "The request changed at the same moment. Nothing was allowed or refused.";
const FAILURE: &str = "The problem is on our side. Try again in a minute.";
const WRONG_PASSWORD: &str = "Unknown user or wrong password.";
const LOGIN_UNAVAILABLE: &str =
    "Login is not available at the moment. The problem is on our side; try again in a minute.";
