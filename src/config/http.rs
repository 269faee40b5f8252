//! `[http]`, `[issue]` and `[authorize]`: the endpoints where consumers obtain tokens.

use std::path::PathBuf;
use std::time::Duration;

use super::accent_color::{self, AccentColor};
use super::listener::ListenerConfig;
use super::reader::Reader;
use super::route::{self, Origin};
use super::value::{self, DAY, SECOND, TEN_YEARS};

/// `[http]`.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The listener of `/oauth/…`.
    pub listener: ListenerConfig,
    /// The URL that clients call and sign; `None` takes it from the request.
    pub public_url: Option<Origin>,
    /// Answers GET like POST.
    pub allow_get: bool,
    /// The number of proxies that append to `X-Forwarded-For`.
    pub trusted_hops: usize,
}

/// `[issue]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueConfig {
    /// The lifetime of temporary credentials.
    pub request_token_ttl: Duration,
    /// The lifetime of access tokens that consumers obtain by themselves; `None` is unlimited.
    pub access_token_ttl: Option<Duration>,
}

/// `[authorize]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizeConfig {
    /// The operator's own consent page; `None` is the built-in page.
    pub external_url: Option<String>,
    /// The longest time that a user stays logged in.
    pub session_ttl: Duration,
    /// The name of the service, as users know it.
    pub service_name: Option<String>,
    /// The image with the logo of the service.
    pub logo_file: Option<PathBuf>,
    /// The color of buttons and links; `None` is the built-in one.
    pub accent_color: Option<AccentColor>,
}

impl HttpConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            listener: ListenerConfig::read(reader, "http"),
            public_url: reader.text("http.public_url", route::optional_origin),
            allow_get: reader.boolean("http.allow_get"),
            trusted_hops: reader.integer("http.trusted_hops", 0..=16),
        }
    }
}

impl IssueConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let access_token_ttl =
            reader.duration("issue.access_token_ttl", Duration::ZERO..=TEN_YEARS);
        Self {
            request_token_ttl: reader.duration("issue.request_token_ttl", SECOND..=DAY),
            access_token_ttl: Some(access_token_ttl).filter(|ttl| !ttl.is_zero()),
        }
    }
}

impl AuthorizeConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            external_url: reader.text("authorize.external_url", value::optional_url),
            session_ttl: reader.duration("authorize.session_ttl", SECOND..=DAY),
            service_name: reader.text("authorize.service_name", |text| {
                value::optional_caption(text, MAX_NAME_LEN)
            }),
            logo_file: reader.text("authorize.logo_file", value::optional_path),
            accent_color: reader.text("authorize.accent_color", accent_color::optional),
        }
    }
}

/// A line on a phone.
const MAX_NAME_LEN: usize = 60;
