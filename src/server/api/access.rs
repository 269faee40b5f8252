//! Authentication of callers.
//!
//! 1. The `authorization` header of a call decides if it is present: the admin token makes the
//!    caller an administrator, the issuer token an issuer (RFC 6750 section 2.1). Any other value
//!    is refused, even with a valid client certificate.
//! 2. Otherwise the client certificate of the connection decides: a name in `api.admin_clients`
//!    makes the caller an administrator, a name in `api.issuer_clients` an issuer. A valid
//!    certificate without such a name gives no access, and neither does one that the current
//!    `client_ca_file` does not verify any more: the connection may be older than the file.
//! 3. Every other call is refused.
//!
//! A reload that changes a token, a name or the client CA revokes the former [`Access`]: calls that
//! it admitted and whose request is incomplete fail, and its streams end.
//!
//! Left to [`super::roles`]: the calls that a role permits.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use super::admin_token::AdminToken;
use super::issuer_token::IssuerToken;
use super::peer::CertificateName;
use super::roles::Role;
use crate::config::ApiConfig;
use crate::issue::Actor;
use crate::server::transport::ClientAuthority;

/// The credentials that give access to the administration API.
#[derive(Debug)]
pub struct Access {
    admin_token: AdminToken,
    issuer_token: Option<IssuerToken>,
    admin_clients: Vec<String>,
    issuer_clients: Vec<String>,
    /// The authority of client certificates; `None` if no certificate gives access.
    authority: Option<ClientAuthority>,
    revoked: watch::Sender<bool>,
    allow_plaintext_export: bool,
}

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) role: Role,
    /// The name in the client certificate; `None` if a token authenticated the caller.
    pub(super) name: Option<Box<str>>,
}

/// The reason why a caller is unknown. The log contains it, the response does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnknownCaller {
    /// The call has neither a token nor a certificate.
    Nothing,
    /// The `authorization` header holds no token of this server.
    Token,
    /// The certificate is valid, and no name in it is configured.
    Certificate,
    /// A name in the certificate is configured, and the certificate is no longer valid.
    FormerCertificate,
}

// === impl Access ===

impl Access {
    /// Creates the access of these tokens, and of the client certificates in `config` that an
    /// authority verifies, which is added later.
    pub fn new(
        admin_token: AdminToken,
        issuer_token: Option<IssuerToken>,
        config: &ApiConfig,
    ) -> Self {
        let ApiConfig {
            admin_clients,
            issuer_clients,
            allow_plaintext_export,
            listener: _,
            issuer_token_file: _,
        } = config;
        let (admin_clients, issuer_clients) = (admin_clients.clone(), issuer_clients.clone());
        Self {
            admin_token,
            issuer_token,
            admin_clients,
            issuer_clients,
            authority: None,
            allow_plaintext_export: *allow_plaintext_export,
            revoked: watch::Sender::new(false),
        }
    }

    /// Admits client certificates of `authority`.
    #[must_use]
    pub(in crate::server) fn with_authority(self, authority: Option<ClientAuthority>) -> Self {
        Self { authority, ..self }
    }

    /// Returns true if both give the same access to the same callers.
    pub(in crate::server) fn is_same(&self, other: &Self) -> bool {
        self.admin_token == other.admin_token
            && self.issuer_token == other.issuer_token
            && self.admin_clients == other.admin_clients
            && self.issuer_clients == other.issuer_clients
            && self.authority == other.authority
            && self.allow_plaintext_export == other.allow_plaintext_export
    }

    /// Ends this access, also of admitted calls that have not begun.
    pub(in crate::server) fn revoke(&self) {
        self.revoked.send_replace(true);
    }

    pub(super) fn is_revoked(&self) -> bool {
        *self.revoked.borrow()
    }

    /// Returns a future that waits until this access is revoked.
    pub(super) fn revocation(&self) -> impl Future<Output = ()> + Send + use<> + 'static {
        let mut revoked = self.revoked.subscribe();
        async move {
            if revoked.wait_for(|revoked| *revoked).await.is_err() {
                // Nobody can revoke it any more.
                std::future::pending().await
            }
        }
    }

    /// Returns `true` if administrators may export secrets in plaintext.
    pub(super) const fn allows_plaintext_export(&self) -> bool {
        self.allow_plaintext_export
    }

    /// Authenticates a caller by the headers of a call and the names in the client certificate.
    pub(super) fn caller(
        &self,
        headers: &HeaderMap,
        names: Vec<CertificateName>,
    ) -> Result<Caller, UnknownCaller> {
        if headers.contains_key(AUTHORIZATION) {
            let role = bearer(headers).and_then(|presented| self.role_of_token(presented));
            return role
                .map(|role| Caller { role, name: None })
                .ok_or(UnknownCaller::Token);
        }
        if names.is_empty() {
            return Err(UnknownCaller::Nothing);
        }
        self.named(names).ok_or(UnknownCaller::Certificate)
    }

    /// Returns the caller, if a token authenticated it, or a certificate in `chain` that the current
    /// authority verifies.
    ///
    /// # Security
    /// The handshake of an old connection verified the certificate against a former CA, to which the
    /// current names mean nothing.
    pub(super) fn confirmed(
        &self,
        caller: Caller,
        chain: &[CertificateDer<'_>],
    ) -> Result<Caller, UnknownCaller> {
        let is_verified = || {
            let authority = self.authority.as_ref();
            authority.is_some_and(|authority| authority.verifies(chain))
        };
        if caller.name.is_none() || is_verified() {
            Ok(caller)
        } else {
            Err(UnknownCaller::FormerCertificate)
        }
    }

    /// Returns the role of a token. Both comparisons always run, so that the time reveals nothing.
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

    /// Returns the caller of a certificate; names in both lists make it an administrator's.
    fn named(&self, names: Vec<CertificateName>) -> Option<Caller> {
        let listed =
            |name: &CertificateName, list: &[String]| list.iter().any(|written| name.is(written));
        let role = |name: &CertificateName| match name {
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

/// Returns the token in the `authorization` header; several headers hold none.
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

// === impl UnknownCaller ===

impl UnknownCaller {
    /// Returns the reason in the log.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Nothing => "no credentials",
            Self::Token => "wrong token",
            Self::Certificate => "unknown certificate",
            Self::FormerCertificate => "certificate no longer valid",
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
            assert_eq!(asked(wrong, &[]), Err(UnknownCaller::Token), "{wrong:?}");
            assert_eq!(
                asked(wrong, &["ops.example.com"]),
                Err(UnknownCaller::Token),
                "beside a good certificate"
            );
        }
        assert_eq!(asked(&[], &[]), Err(UnknownCaller::Nothing));
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
                Err(UnknownCaller::Token),
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
        assert_eq!(
            asked(&[], &["x.example.com"]),
            Err(UnknownCaller::Certificate)
        );
    }

    #[test]
    fn a_token_decides_beside_a_certificate() {
        assert_eq!(
            asked(&["Bearer token-of-the-issuers"], &["ops.example.com"]),
            Ok(by_token(Role::Issuer))
        );
    }

    fn asked(authorization: &[&'static str], names: &[&str]) -> Result<Caller, UnknownCaller> {
        let names = names
            .iter()
            .map(|&name| CertificateName::Dns(name.into()))
            .collect();
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
