//! What a signed request asks for: temporary credentials, their exchange, or that of a password.
//!
//! Parameters are found wherever they were signed: in the header, the query or the form. Each of those that are read here
//! may stand there once.

use std::borrow::Cow;

use crate::model::{MAX_VALUE_LEN, Secret};
use crate::oauth::{ParameterSet, ProtocolParameter, Rejection, SignedRequest};
use crate::verify::{ParameterProblem, Reason};

/// Where it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// `/oauth/request_token` (RFC 5849 section 2.1).
    RequestToken,
    /// `/oauth/access_token` (section 2.3, and xAuth).
    AccessToken,
}

impl Endpoint {
    /// Its name in logs and metrics.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::RequestToken => "request_token",
            Self::AccessToken => "access_token",
        }
    }
}

/// What is asked for.
#[derive(Debug)]
pub(super) enum Grant {
    /// Temporary credentials.
    RequestToken {
        /// `oauth_callback`.
        callback: String,
        /// `scope`, taken apart.
        scopes: Vec<String>,
    },
    /// The exchange of the temporary credentials that it is signed with.
    Exchange {
        /// `oauth_verifier`.
        verifier: Secret,
    },
    /// The exchange of a password (xAuth).
    Password {
        /// `x_auth_username`.
        username: String,
        /// `x_auth_password`.
        password: Secret,
        /// `scope`, taken apart.
        scopes: Vec<String>,
    },
}

impl Grant {
    /// What a request asks for, before it is proven who asks.
    ///
    /// # Errors
    /// What is missing, or stands there and can not.
    pub(super) fn of(endpoint: Endpoint, request: &SignedRequest<'_>) -> Result<Self, Reason> {
        let password = endpoint == Endpoint::AccessToken && once(request, MODE)?.is_some();
        match endpoint {
            Endpoint::RequestToken => request_token(request),
            Endpoint::AccessToken if password => self::password(request),
            Endpoint::AccessToken => exchange(request),
        }
    }
}

fn request_token(request: &SignedRequest<'_>) -> Result<Grant, Reason> {
    without_token(request)?;
    let callback = protocol(request, ProtocolParameter::Callback)?;
    Ok(Grant::RequestToken {
        callback: text(ProtocolParameter::Callback.name(), callback)?,
        scopes: scopes(request)?,
    })
}

fn exchange(request: &SignedRequest<'_>) -> Result<Grant, Reason> {
    let verifier = protocol(request, ProtocolParameter::Verifier);
    if request.token().is_none() {
        let absent = ParameterSet::only(ProtocolParameter::Token);
        let absent = if verifier.is_ok() {
            absent
        } else {
            absent.with(ProtocolParameter::Verifier)
        };
        return Err(Reason::Rejected(Rejection::Absent(absent)));
    }
    Ok(Grant::Exchange {
        verifier: Secret::new(verifier?.as_ref()),
    })
}

fn password(request: &SignedRequest<'_>) -> Result<Grant, Reason> {
    if needed(request, MODE)?.as_ref() != CLIENT_AUTH {
        return Err(wrong(MODE, ParameterProblem::Invalid));
    }
    without_token(request)?;
    let username = text(USERNAME, needed(request, USERNAME)?)?;
    if username.len() > MAX_VALUE_LEN || username.chars().any(char::is_control) {
        return Err(wrong(USERNAME, ParameterProblem::Invalid));
    }
    let password = needed(request, PASSWORD)?;
    if password.len() > MAX_PASSWORD_LEN {
        return Err(wrong(PASSWORD, ParameterProblem::Invalid));
    }
    Ok(Grant::Password {
        username,
        password: Secret::new(password.as_ref()),
        scopes: scopes(request)?,
    })
}

/// A token's secret would have no part in the signature: whoever sends one means something else.
fn without_token(request: &SignedRequest<'_>) -> Result<(), Reason> {
    match request.token() {
        Some(_) => Err(wrong(
            ProtocolParameter::Token.name(),
            ParameterProblem::Unexpected,
        )),
        None => Ok(()),
    }
}

fn scopes(request: &SignedRequest<'_>) -> Result<Vec<String>, Reason> {
    let list = once(request, SCOPE)?
        .map(|list| text(SCOPE, list))
        .transpose()?
        .unwrap_or_default();
    Ok(list
        .split(' ')
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect())
}

/// A protocol parameter that must not be empty; that it stands there once is known.
fn protocol<'r>(
    request: &SignedRequest<'r>,
    parameter: ProtocolParameter,
) -> Result<Cow<'r, [u8]>, Reason> {
    match request.values(parameter.name()).next() {
        Some(value) if !value.is_empty() => Ok(value),
        Some(_) => Err(Reason::Rejected(Rejection::Empty(parameter))),
        None => Err(Reason::Rejected(Rejection::Absent(ParameterSet::only(
            parameter,
        )))),
    }
}

fn needed<'r>(request: &SignedRequest<'r>, name: &'static str) -> Result<Cow<'r, [u8]>, Reason> {
    let value = once(request, name)?.filter(|value| !value.is_empty());
    value.ok_or_else(|| wrong(name, ParameterProblem::Absent))
}

fn once<'r>(
    request: &SignedRequest<'r>,
    name: &'static str,
) -> Result<Option<Cow<'r, [u8]>>, Reason> {
    let mut values = request.values(name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(wrong(name, ParameterProblem::Duplicate)),
        (value, None) => Ok(value),
    }
}

fn text(name: &'static str, bytes: Cow<'_, [u8]>) -> Result<String, Reason> {
    String::from_utf8(bytes.into_owned()).map_err(|_| wrong(name, ParameterProblem::Invalid))
}

const fn wrong(name: &'static str, problem: ParameterProblem) -> Reason {
    Reason::Parameter { name, problem }
}

/// An extension of ours: the scopes that are asked for, separated by spaces; all of the consumer's without it.
pub(super) const SCOPE: &str = "scope";

const MODE: &str = "x_auth_mode";

const USERNAME: &str = "x_auth_username";

const PASSWORD: &str = "x_auth_password";

/// The one mode that xAuth has.
const CLIENT_AUTH: &[u8] = b"client_auth";

/// Longer than any that is typed; more would only make hashing slow.
const MAX_PASSWORD_LEN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::{ParseLimits, Request, RequestBody, Scheme};

    #[test]
    fn temporary_credentials_need_a_callback() {
        let asked = asked(
            Endpoint::RequestToken,
            "oauth_callback=https%3A%2F%2Fa.example%2Fcb%3Fx%3D%2520&scope=b+a%20%20c",
        );
        let Ok(Grant::RequestToken { callback, scopes }) = asked else {
            panic!("{asked:?}")
        };
        assert_eq!(
            (callback.as_str(), scopes.as_slice()),
            (
                "https://a.example/cb?x=%20",
                &["b", "a", "c"].map(str::to_owned)[..]
            )
        );
        refused(
            Endpoint::RequestToken,
            "",
            Reason::Rejected(Rejection::Absent(ParameterSet::only(
                ProtocolParameter::Callback,
            ))),
        );
        refused(
            Endpoint::RequestToken,
            "oauth_callback=",
            Reason::Rejected(Rejection::Empty(ProtocolParameter::Callback)),
        );
        refused(
            Endpoint::RequestToken,
            "oauth_callback=%FF",
            wrong("oauth_callback", ParameterProblem::Invalid),
        );
        refused(
            Endpoint::RequestToken,
            "oauth_callback=oob&oauth_token=t",
            wrong("oauth_token", ParameterProblem::Unexpected),
        );
    }

    #[test]
    fn an_empty_token_is_none() {
        assert!(asked(Endpoint::RequestToken, "oauth_callback=oob&oauth_token=").is_ok());
    }

    #[test]
    fn an_exchange_needs_a_token_and_a_verifier() {
        let of = |parameters| Reason::Rejected(Rejection::Absent(parameters));
        let (token, verifier) = (
            ParameterSet::only(ProtocolParameter::Token),
            ParameterSet::only(ProtocolParameter::Verifier),
        );
        assert!(matches!(
            asked(Endpoint::AccessToken, "oauth_token=t&oauth_verifier=v"),
            Ok(Grant::Exchange { .. })
        ));
        refused(
            Endpoint::AccessToken,
            "",
            of(token.with(ProtocolParameter::Verifier)),
        );
        refused(Endpoint::AccessToken, "oauth_verifier=v", of(token));
        refused(Endpoint::AccessToken, "oauth_token=t", of(verifier));
    }

    #[test]
    fn a_password_is_exchanged_without_a_token() {
        let asked = asked(
            Endpoint::AccessToken,
            "x_auth_mode=client_auth&x_auth_username=J%C3%BCrgen&x_auth_password=+%00",
        );
        let Ok(Grant::Password {
            username,
            password,
            scopes,
        }) = asked
        else {
            panic!("{asked:?}")
        };
        assert_eq!(
            (username.as_str(), password.expose(), scopes.len()),
            ("Jürgen", &b" \0"[..], 0)
        );
    }

    #[test]
    fn every_parameter_of_xauth_is_needed_once_and_in_its_bounds() {
        use ParameterProblem::{Absent, Duplicate, Invalid, Unexpected};
        let (name, word) = ("x_auth_username=u", "x_auth_password=p");
        let mode = "x_auth_mode=client_auth";
        let long = "a".repeat(1025);
        for (form, parameter, problem) in [
            (format!("x_auth_mode=&{name}&{word}"), "x_auth_mode", Absent),
            (
                format!("x_auth_mode=reverse_auth&{name}&{word}"),
                "x_auth_mode",
                Invalid,
            ),
            (
                format!("{mode}&{mode}&{name}&{word}"),
                "x_auth_mode",
                Duplicate,
            ),
            (format!("{mode}&{word}"), "x_auth_username", Absent),
            (format!("{mode}&{name}"), "x_auth_password", Absent),
            (
                format!("{mode}&{name}&{name}&{word}"),
                "x_auth_username",
                Duplicate,
            ),
            (
                format!("{mode}&{name}&{word}&{word}"),
                "x_auth_password",
                Duplicate,
            ),
            (
                format!("{mode}&x_auth_username=%0A&{word}"),
                "x_auth_username",
                Invalid,
            ),
            (
                format!("{mode}&x_auth_username=%FF&{word}"),
                "x_auth_username",
                Invalid,
            ),
            (
                format!("{mode}&x_auth_username={}&{word}", &long[..256]),
                "x_auth_username",
                Invalid,
            ),
            (
                format!("{mode}&{name}&x_auth_password={long}"),
                "x_auth_password",
                Invalid,
            ),
            (
                format!("{mode}&{name}&{word}&scope=a&scope=a"),
                "scope",
                Duplicate,
            ),
            (
                format!("{mode}&{name}&{word}&oauth_token=t"),
                "oauth_token",
                Unexpected,
            ),
        ] {
            refused(Endpoint::AccessToken, &form, wrong(parameter, problem));
        }
    }

    fn refused(endpoint: Endpoint, form: &str, reason: Reason) {
        assert_eq!(asked(endpoint, form).unwrap_err(), reason, "{form}");
    }

    /// What a form asks for that is signed with anything.
    fn asked(endpoint: Endpoint, form: &str) -> Result<Grant, Reason> {
        let signed = "oauth_consumer_key=k&oauth_nonce=n&oauth_signature=c2ln&oauth_signature_method=HMAC-SHA1&oauth_timestamp=1";
        let body = format!("{signed}&{form}");
        let request = Request {
            method: b"POST",
            scheme: Scheme::Https,
            authority: b"oauth.example.com",
            path_prefix: b"",
            target: b"/oauth/access_token",
            authorization: &[],
            content_type: &[b"application/x-www-form-urlencoded"],
            body: RequestBody::Whole(body.as_bytes()),
        };
        let Ok(Some(signed)) = request.parse(&ParseLimits::default()) else {
            panic!("{form} is not signed")
        };
        Grant::of(endpoint, &signed)
    }
}
