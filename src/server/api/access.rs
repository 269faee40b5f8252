//! Who may ask, and as what.
//!
//! 1. A call with an `authorization` header is its holder's: the administrator's with the admin token, an issuer's with the
//!    issuer token (RFC 6750 section 2.1). Anything else in it is refused, whatever else comes with the call.
//! 2. A call without one is that of its connection's client certificate: the administrator's if the operator wrote one of
//!    its names into `api.admin_clients`, an issuer's if into `api.issuer_clients`. A valid certificate without such a name
//!    opens nothing.
//! 3. Everybody else is refused.
//!
//! What a caller of a role may call is left to [`super::roles`].

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::admin_token::AdminToken;
use super::issuer_token::IssuerToken;
use super::peer::Name;
use super::roles::Role;
use crate::config::ApiConfig;
use crate::issue::Actor;

/// What opens the administration API.
#[derive(Clone, Debug)]
pub struct Access {
    admin_token: AdminToken,
    issuer_token: Option<IssuerToken>,
    admin_clients: Vec<String>,
    issuer_clients: Vec<String>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) role: Role,
    /// The name in the certificate by which the caller is known, if not by a token.
    pub(super) name: Option<Box<str>>,
}

/// Why nobody is known to ask; for the log, callers are not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Nothing was shown.
    Nothing,
    /// What stands in the `authorization` header is no token of this server.
    Token,
    /// A valid certificate, and none of its names is known.
    Certificate,
}

// === impl Access ===

impl Access {
    /// The tokens, and the names of client certificates in `config`.
    pub fn new(
        admin_token: AdminToken,
        issuer_token: Option<IssuerToken>,
        config: &ApiConfig,
    ) -> Self {
        let ApiConfig {
            admin_clients,
            issuer_clients,
            listener: _,
            issuer_token_file: _,
        } = config;
        let (admin_clients, issuer_clients) = (admin_clients.clone(), issuer_clients.clone());
        Self {
            admin_token,
            issuer_token,
            admin_clients,
            issuer_clients,
        }
    }

    /// Who asks, by the headers of a call and the names in the certificate of its connection.
    pub(super) fn caller(&self, headers: &HeaderMap, names: Vec<Name>) -> Result<Caller, Unknown> {
        if headers.contains_key(AUTHORIZATION) {
            let role = bearer(headers).and_then(|presented| self.role_of_token(presented));
            return role
                .map(|role| Caller { role, name: None })
                .ok_or(Unknown::Token);
        }
        if names.is_empty() {
            return Err(Unknown::Nothing);
        }
        self.named(names).ok_or(Unknown::Certificate)
    }

    /// Both are compared, so that the time does not tell which of them it is close to.
    fn role_of_token(&self, presented: &[u8]) -> Option<Role> {
        let is_admin = self.admin_token.matches(presented);
        let is_issuer = self
            .issuer_token
            .as_ref()
            .is_some_and(|token| token.matches(presented));
        if is_admin {
            Some(Role::Admin)
        } else {
            is_issuer.then_some(Role::Issuer)
        }
    }

    /// A certificate with names in both lists is an administrator's.
    fn named(&self, names: Vec<Name>) -> Option<Caller> {
        let listed = |name: &Name, list: &[String]| list.iter().any(|written| name.is(written));
        let role = |name: &Name| match name {
            admin if listed(admin, &self.admin_clients) => Some(Role::Admin),
            issuer if listed(issuer, &self.issuer_clients) => Some(Role::Issuer),
            _ => None,
        };
        let known = names.into_iter().filter_map(|name| {
            Some(Caller {
                role: role(&name)?,
                name: Some(name.into_text()),
            })
        });
        known.min_by_key(|caller| caller.role != Role::Admin)
    }
}

/// The token of the one `authorization` header; of several, none.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.as_bytes().split_at_checked(SCHEME.len())?;
    scheme
        .eq_ignore_ascii_case(SCHEME)
        .then(|| token.trim_ascii())
}

const SCHEME: &[u8] = b"Bearer ";

// === impl Caller ===

impl From<Caller> for Actor {
    fn from(Caller { role, name }: Caller) -> Self {
        match role {
            Role::Admin => Self::Admin(name),
            Role::Issuer => Self::Issuer(name),
        }
    }
}

// === impl Unknown ===

impl Unknown {
    /// Its name in the log.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Nothing => "no credentials",
            Self::Token => "wrong token",
            Self::Certificate => "unknown certificate",
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::config::Config;

    #[test]
    fn the_admin_token_is_an_administrators_and_the_issuer_token_an_issuers() {
        assert_eq!(
            asked(&["Bearer correct-horse-battery"], &[]),
            Ok(by_token(Role::Admin))
        );
        assert_eq!(
            asked(&["bearer correct-horse-battery"], &[]),
            Ok(by_token(Role::Admin))
        );
        assert_eq!(
            asked(&["Bearer token-of-the-issuers"], &[]),
            Ok(by_token(Role::Issuer))
        );
    }

    #[test]
    fn nothing_else_in_the_header_opens_anything() {
        for wrong in [
            &["correct-horse-battery"][..],
            &["Basic correct-horse-battery"],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Bearer correct-horse-batterY"],
            &["Bearer correct-horse-battery-staple"],
            &[
                "Bearer correct-horse-battery",
                "Bearer correct-horse-battery",
            ],
            &[
                "Bearer correct-horse-battery",
                "Bearer token-of-the-issuers",
            ],
        ] {
            assert_eq!(asked(wrong, &[]), Err(Unknown::Token), "{wrong:?}");
            assert_eq!(
                asked(wrong, &["ops.example.com"]),
                Err(Unknown::Token),
                "beside a good certificate"
            );
        }
        assert_eq!(asked(&[], &[]), Err(Unknown::Nothing));
    }

    #[test]
    fn without_an_issuer_token_nobody_is_an_issuer_by_one() {
        let access = Access {
            issuer_token: None,
            ..access()
        };
        for wrong in ["Bearer ", "Bearer token-of-the-issuers"] {
            let headers = headers(&[wrong]);
            assert_eq!(
                access.caller(&headers, Vec::new()),
                Err(Unknown::Token),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_named_certificate_is_its_owners() {
        let by_name = |role, name: &str| {
            Ok(Caller {
                role,
                name: Some(name.into()),
            })
        };
        assert_eq!(
            asked(&[], &["ops.example.com"]),
            by_name(Role::Admin, "ops.example.com")
        );
        assert_eq!(
            asked(&[], &["login.example.com"]),
            by_name(Role::Issuer, "login.example.com")
        );
        assert_eq!(
            asked(&[], &["x.example.com", "ops.example.com"]),
            by_name(Role::Admin, "ops.example.com")
        );
        let both = &["login.example.com", "ops.example.com"];
        assert_eq!(asked(&[], both), by_name(Role::Admin, "ops.example.com"));
        assert_eq!(asked(&[], &["x.example.com"]), Err(Unknown::Certificate));
    }

    #[test]
    fn a_token_decides_beside_a_certificate() {
        assert_eq!(
            asked(&["Bearer token-of-the-issuers"], &["ops.example.com"]),
            Ok(by_token(Role::Issuer))
        );
    }

    fn asked(authorization: &[&'static str], names: &[&str]) -> Result<Caller, Unknown> {
        let names = names.iter().map(|&name| Name::Dns(name.into())).collect();
        access().caller(&headers(authorization), names)
    }

    fn headers(authorization: &[&'static str]) -> HeaderMap {
        authorization
            .iter()
            .map(|value| (AUTHORIZATION, HeaderValue::from_static(value)))
            .collect()
    }

    fn access() -> Access {
        let mut config = Config::default().api;
        config.admin_clients = vec!["ops.example.com".to_owned()];
        config.issuer_clients = vec!["login.example.com".to_owned()];
        let issuer = IssuerToken::new("token-of-the-issuers");
        Access::new(
            AdminToken::new("correct-horse-battery").unwrap(),
            issuer,
            &config,
        )
    }

    const fn by_token(role: Role) -> Caller {
        Caller { role, name: None }
    }
}
