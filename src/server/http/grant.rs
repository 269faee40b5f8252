//! The credentials that a signed request asks for: temporary credentials, or a token for temporary
//! credentials or a password.
//!
//! Parameters may be in the header, the query or the form. Each parameter of this module may occur
//! only once.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::model::{MAX_VALUE_LEN, Secret};
use crate::oauth::{ParameterSet, ProtocolParameter, Rejection, SignedRequest};
use crate::verify::{ParameterProblem, Reason};

/// A token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// `/oauth/request_token` (RFC 5849 section 2.1).
    RequestToken,
    /// `/oauth/access_token` (section 2.3, and xAuth).
    AccessToken,
}

impl Endpoint {
    /// Returns the name for logs and metrics.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::RequestToken => "request_token",
            Self::AccessToken => "access_token",
        }
    }
}

/// The credentials that a request asks for.
#[derive(Debug)]
pub(super) enum GrantRequest {
    /// Temporary credentials.
    RequestToken {
        /// `oauth_callback`.
        callback: String,
        /// The names in `scope`.
        scopes: Vec<String>,
    },
    /// A token for the temporary credentials that sign the request.
    Exchange {
        /// `oauth_verifier`.
        verifier: Secret,
    },
    /// A token for a password (xAuth).
    Password {
        /// `x_auth_username`.
        username: String,
        /// `x_auth_password`.
        password: Secret,
        /// The names in `scope`.
        scopes: Vec<String>,
    },
}

impl GrantRequest {
    /// Reads the parameters of a request, before its signature is verified.
    ///
    /// # Errors
    /// If a parameter is missing, invalid or unexpected.
    pub(super) fn parse(endpoint: Endpoint, request: &SignedRequest<'_>) -> Result<Self, Reason> {
        let password = endpoint == Endpoint::AccessToken && once(request, MODE)?.is_some();
        match endpoint {
            Endpoint::RequestToken => request_token(request),
            Endpoint::AccessToken if password => self::password(request),
            Endpoint::AccessToken => exchange(request),
        }
    }
}

fn request_token(request: &SignedRequest<'_>) -> Result<GrantRequest, Reason> {
    without_token(request)?;
    let callback = protocol(request, ProtocolParameter::Callback)?;
    Ok(GrantRequest::RequestToken {
        callback: text(ProtocolParameter::Callback.name(), callback)?,
        scopes: scopes(request)?,
    })
}

fn exchange(request: &SignedRequest<'_>) -> Result<GrantRequest, Reason> {
    let verifier = protocol(request, ProtocolParameter::Verifier);
    if request.token().is_none() {
        return Err(absent_token(verifier.is_err()));
    }
    Ok(GrantRequest::Exchange {
        verifier: Secret::new(verifier?.as_ref()),
    })
}

/// Returns the reason for an absent token. It also names the verifier if that is missing, so that a
/// client learns of both at once.
fn absent_token(lacks_verifier: bool) -> Reason {
    let token = ParameterSet::only(ProtocolParameter::Token);
    Reason::Rejected(Rejection::Absent(if lacks_verifier {
        token.with(ProtocolParameter::Verifier)
    } else {
        token
    }))
}

fn password(request: &SignedRequest<'_>) -> Result<GrantRequest, Reason> {
    if needed(request, MODE)?.as_ref() != CLIENT_AUTH {
        return Err(wrong(MODE, ParameterProblem::Invalid));
    }
    without_token(request)?;
    Ok(GrantRequest::Password {
        username: username(request)?,
        password: password_value(request)?,
        scopes: scopes(request)?,
    })
}

fn username(request: &SignedRequest<'_>) -> Result<String, Reason> {
    let username = text(USERNAME, needed(request, USERNAME)?)?;
    if username.len() > MAX_VALUE_LEN || username.chars().any(char::is_control) {
        return Err(wrong(USERNAME, ParameterProblem::Invalid));
    }
    Ok(username)
}

fn password_value(request: &SignedRequest<'_>) -> Result<Secret, Reason> {
    let password = Zeroizing::new(needed(request, PASSWORD)?.into_owned());
    if password.len() > MAX_PASSWORD_LEN {
        return Err(wrong(PASSWORD, ParameterProblem::Invalid));
    }
    Ok(Secret::new(password.as_slice()))
}

/// Refuses a token: its secret would not be part of the signature, so the client means something
/// else.
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

/// Returns a protocol parameter that must not be empty. Parsing has ensured that it occurs once.
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

/// Our extension: the requested scopes, separated by spaces. Without it, all scopes of the
/// consumer.
pub(super) const SCOPE: &str = "scope";

const MODE: &str = "x_auth_mode";

const USERNAME: &str = "x_auth_username";

const PASSWORD: &str = "x_auth_password";

/// The only mode of xAuth.
const CLIENT_AUTH: &[u8] = b"client_auth";

/// Longer than any typed password. Longer ones would only slow down hashing.
const MAX_PASSWORD_LEN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::{ParseLimits, Request, RequestBody, Scheme};

    #[test]
    fn temporary_credentials_need_a_callback() {
        let parsed = parsed(
            Endpoint::RequestToken,
            "oauth_callback=https%3A%2F%2Fa.example%2Fcb%3Fx%3D%2520&scope=b+a%20%20c",
        );
        let Ok(GrantRequest::RequestToken { callback, scopes }) = parsed else {
            panic!("{parsed:?}")
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
    fn an_empty_token_counts_as_absent() {
        assert!(parsed(Endpoint::RequestToken, "oauth_callback=oob&oauth_token=").is_ok());
    }

    #[test]
    fn an_exchange_needs_a_token_and_a_verifier() {
        let of = |parameters| Reason::Rejected(Rejection::Absent(parameters));
        let (token, verifier) = (
            ParameterSet::only(ProtocolParameter::Token),
            ParameterSet::only(ProtocolParameter::Verifier),
        );
        assert!(matches!(
            parsed(Endpoint::AccessToken, "oauth_token=t&oauth_verifier=v"),
            Ok(GrantRequest::Exchange { .. })
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
        let parsed = parsed(
            Endpoint::AccessToken,
            "x_auth_mode=client_auth&x_auth_username=J%C3%BCrgen&x_auth_password=+%00",
        );
        let Ok(GrantRequest::Password {
            username,
            password,
            scopes,
        }) = parsed
        else {
            panic!("{parsed:?}")
        };
        assert_eq!(
            (username.as_str(), password.expose(), scopes.len()),
            ("Jürgen", &b" \0"[..], 0)
        );
    }

    #[test]
    fn every_parameter_of_xauth_is_required() {
        for (form, parameter) in [
            (format!("x_auth_mode=&{NAME}&{WORD}"), "x_auth_mode"),
            (format!("{CLIENT}&{WORD}"), "x_auth_username"),
            (format!("{CLIENT}&{NAME}"), "x_auth_password"),
        ] {
            refused_xauth(&form, parameter, ParameterProblem::Absent);
        }
    }

    #[test]
    fn no_parameter_of_xauth_may_repeat() {
        let all = format!("{CLIENT}&{NAME}&{WORD}");
        for (again, parameter) in [
            (CLIENT, "x_auth_mode"),
            (NAME, "x_auth_username"),
            (WORD, "x_auth_password"),
            ("scope=a&scope=a", "scope"),
        ] {
            let form = format!("{all}&{again}");
            refused_xauth(&form, parameter, ParameterProblem::Duplicate);
        }
    }

    #[test]
    fn every_parameter_of_xauth_has_bounds() {
        let long = "a".repeat(1025);
        for (form, parameter) in [
            (
                format!("x_auth_mode=reverse_auth&{NAME}&{WORD}"),
                "x_auth_mode",
            ),
            (
                format!("{CLIENT}&x_auth_username=%0A&{WORD}"),
                "x_auth_username",
            ),
            (
                format!("{CLIENT}&x_auth_username=%FF&{WORD}"),
                "x_auth_username",
            ),
            (
                format!("{CLIENT}&x_auth_username={}&{WORD}", &long[..256]),
                "x_auth_username",
            ),
            (
                format!("{CLIENT}&{NAME}&x_auth_password={long}"),
                "x_auth_password",
            ),
        ] {
            refused_xauth(&form, parameter, ParameterProblem::Invalid);
        }
    }

    #[test]
    fn xauth_refuses_a_token() {
        let form = format!("{CLIENT}&{NAME}&{WORD}&oauth_token=t");
        refused_xauth(&form, "oauth_token", ParameterProblem::Unexpected);
    }

    const CLIENT: &str = "x_auth_mode=client_auth";
    const NAME: &str = "x_auth_username=u";
    const WORD: &str = "x_auth_password=p";

    fn refused_xauth(form: &str, parameter: &'static str, problem: ParameterProblem) {
        refused(Endpoint::AccessToken, form, wrong(parameter, problem));
    }

    fn refused(endpoint: Endpoint, form: &str, reason: Reason) {
        assert_eq!(parsed(endpoint, form).unwrap_err(), reason, "{form}");
    }

    /// Parses a form with an arbitrary signature.
    fn parsed(endpoint: Endpoint, form: &str) -> Result<GrantRequest, Reason> {
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
        GrantRequest::parse(endpoint, &signed)
    }
}
