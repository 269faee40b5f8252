//! What an operator can set, after every source was read and checked: values here are valid.
//!
//! `config.default.toml` is the reference: it says every key, its default and why. [`load`] lays the operator's file, the
//! environment and the flags over it and reports every mistake at once. The files beside this one do that:
//!
//! - `source`: which setting of a key is the strongest, and where it stands.
//! - `read`: from settings to values, a section at a time.
//! - `value`, `route`, `scopes`: from the text of one value to its type.
//! - `rules`: what must hold between keys, and what is legal and yet worth a warning.

mod mistake;
mod read;
pub mod route;
mod rules;
mod scopes;
mod source;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use mistake::{ConfigError, Mistake};
pub use read::load;
pub use route::{Mode, Origin, Requirement, Route, RoutePolicy};
pub use scopes::ScopeWords;
pub use source::Sources;

pub use crate::model::DenyDetail;
pub use value::ValueProblem;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the embedded store, its key and the admin token are kept.
    pub data_dir: PathBuf,
    /// Worker threads of the runtime; `None` is one per core.
    pub workers: Option<usize>,
    /// `[log]`.
    pub log: LogConfig,
    /// `[store]`.
    pub store: StoreConfig,
    /// `[cache]`.
    pub cache: CacheConfig,
    /// `[diagnostics]`.
    pub diagnostics: DiagnosticsConfig,
    /// `[verify]` and `[nonce]`.
    pub verify: VerifyConfig,
    /// `[check]`.
    pub check: CheckConfig,
    /// `[api]`.
    pub api: ApiConfig,
    /// `[http]`.
    pub http: HttpConfig,
    /// `[issue]`.
    pub issue: IssueConfig,
    /// `[authorize]`.
    pub authorize: AuthorizeConfig,
    /// `[users]`.
    pub users: UsersConfig,
    /// `[password]`.
    pub password: PasswordConfig,
    /// `[ops]`.
    pub ops: OpsConfig,
    /// `[shutdown]`.
    pub shutdown: ShutdownConfig,
    /// `[[route]]`, in order: the first that matches decides.
    pub routes: Vec<Route>,
    /// `[scopes]`: what users are told about them.
    pub scopes: ScopeWords,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A `tracing` filter, for example `info` or `countersign=debug`.
    pub filter: String,
    /// One JSON object a line instead of text.
    pub json: bool,
}

/// `[store]`.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Which store.
    pub url: StoreUrl,
    /// The file with the master keys that seal secrets; the embedded store makes its own when there is none.
    pub master_key_file: Option<PathBuf>,
    /// How long one call to Redis may take.
    pub timeout: Duration,
    /// How many multiplexed connections to Redis are kept.
    pub connections: u32,
    /// After Redis was found restarted or replaced, refuse timestamps up to that moment.
    pub fence_on_restart: bool,
}

/// `store.url`.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `embedded:PATH`; a relative path is below the data directory.
    Embedded(PathBuf),
    /// `memory:`.
    Memory,
    /// `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://`; may carry a password, so never shown.
    Redis(String),
}

/// `[verify]` and `[nonce]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyConfig {
    /// How far `oauth_timestamp` may be from the clock, to either side.
    pub timestamp_window: Duration,
    /// The most parameters of header, query and body together.
    pub max_parameters: usize,
    /// Envoy's request id stands in for the check id of a nonce claim.
    pub trust_envoy_request_id: bool,
    /// Timestamps up to this second are refused: a fence an operator can set; 0 is none.
    pub not_before: u64,
}

/// `[check]`.
#[derive(Clone, Debug)]
pub struct CheckConfig {
    /// Where Envoy asks.
    pub listener: ListenerConfig,
    /// The realm in `WWW-Authenticate`.
    pub realm: String,
    /// Whether the client's realm must equal it.
    pub realm_match: bool,
    /// The longest a check may take, whatever `grpc-timeout` says.
    pub timeout: Duration,
    /// The largest body that Envoy is configured to send.
    pub max_body_bytes: usize,
    /// The operator's word that Envoy sends bodies whole (`allow_partial_message: false`).
    pub envoy_sends_whole_bodies: bool,
    /// Remove the `Authorization` header that carried the verified parameters.
    pub hide_credentials: bool,
    /// How much a denial tells, unless its consumer has an attribute of that name.
    pub deny_detail: DenyDetail,
    /// How our own failure is answered.
    pub on_error: OnError,
    /// Server reflection on this listener.
    pub reflection: bool,
    /// What a route rule and `context_extensions` leave open.
    pub policy: RoutePolicy,
}

/// `check.on_error`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// A gRPC status.
    #[default]
    Grpc,
    /// `error_response`, which needs Envoy 1.37.
    ErrorResponse,
}

/// `[api]`.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Where administrators ask.
    pub listener: ListenerConfig,
    /// The file with the issuers' token, if they have one.
    pub issuer_token_file: Option<PathBuf>,
    /// Names in client certificates that stand for the admin token.
    pub admin_clients: Vec<String>,
    /// Names in client certificates that stand for the issuer token.
    pub issuer_clients: Vec<String>,
}

/// `[http]`.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where clients get tokens.
    pub listener: ListenerConfig,
    /// What clients see and sign; `None` takes it from the request.
    pub public_url: Option<Origin>,
    /// Whether tokens are given for GET too.
    pub allow_get: bool,
    /// How many proxies add to X-Forwarded-For.
    pub trusted_hops: usize,
}

/// `[issue]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueConfig {
    /// How long temporary credentials are valid.
    pub request_token_ttl: Duration,
    /// How long access tokens are valid that consumers obtain by themselves; `None` is for ever.
    pub access_token_ttl: Option<Duration>,
}

/// `[authorize]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizeConfig {
    /// The operator's own page that users are sent to, if there is one.
    pub external_url: Option<String>,
    /// How long a log-in lasts.
    pub session_ttl: Duration,
}

/// `[users]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsersConfig {
    /// Who knows users and their passwords.
    pub directory: DirectoryKind,
    /// Where the operator's directory is asked; there unless it is the built-in one.
    pub url: Option<String>,
    /// The longest that it may take.
    pub timeout: Duration,
    /// The PEM certificates that vouch for it; `None` is those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The file with the bearer token that it is shown.
    pub token_file: Option<PathBuf>,
    /// The operator's word that plaintext beyond loopback is meant.
    pub insecure_plaintext: bool,
}

/// `users.directory`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirectoryKind {
    /// Countersign itself.
    #[default]
    Builtin,
    /// A `countersign.v1.UserDirectory` of the operator's.
    Grpc,
    /// An HTTP endpoint of the operator's.
    Http,
}

/// `[password]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordConfig {
    /// The memory of one argon2id hash.
    pub memory_kib: u32,
    /// The passes over it.
    pub iterations: u32,
    /// Its lanes.
    pub parallelism: u32,
    /// How long a wrong password counts.
    pub window: Duration,
    /// How many of a user's are answered without a delay.
    pub free_failures: u32,
    /// The longest delay.
    pub max_delay: Duration,
    /// How many may come from one address.
    pub address_failures: u32,
}

/// `[cache]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// The oldest that anything may be that is used; zero keeps nothing.
    pub max_age: Duration,
    /// The most memory that it may take.
    pub max_bytes: u64,
}

/// `[diagnostics]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagnosticsConfig {
    /// How many denials are kept.
    pub recent: usize,
    /// The most memory that they may take.
    pub max_bytes: usize,
    /// How many consumers are counted, on each thread that answers checks.
    pub consumers: usize,
    /// Whether it is looked for why a signature did not match.
    pub explain: bool,
    /// One in so many of each consumer's is looked at.
    pub explain_sample: u64,
    /// How many a minute of each consumer.
    pub explain_rate: u64,
    /// How many a minute of all together.
    pub explain_total_rate: u64,
}

/// `[ops]`.
#[derive(Clone, Debug)]
pub struct OpsConfig {
    /// Where probes and Prometheus ask.
    pub listener: ListenerConfig,
    /// Whether operators can look at the console there.
    pub console: bool,
}

/// `[shutdown]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// How long health says NOT_SERVING before connections are told to go away.
    pub delay: Duration,
    /// How long requests in flight may take to finish after that.
    pub timeout: Duration,
}

/// One listener.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Where it listens.
    pub address: ListenAddress,
    /// TLS, if wanted.
    pub tls: Option<TlsConfig>,
    /// The operator's word that plaintext beyond loopback is meant.
    pub insecure_plaintext: bool,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket, `unix:PATH`.
    Unix(PathBuf),
}

/// TLS of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate chain, PEM.
    pub certificate_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// Clients must show a certificate that one of these signed, PEM.
    pub client_ca_file: Option<PathBuf>,
}

// === impl Config ===

impl Config {
    /// The compiled-in default file, comments and all.
    pub const DEFAULT_FILE: &str = source::DEFAULT;

    /// What is legal in it and yet worth a warning at every start.
    pub fn warnings(&self) -> Vec<String> {
        rules::warnings(self)
    }
}

impl Default for Config {
    /// What [`Self::DEFAULT_FILE`] says.
    fn default() -> Self {
        load(&Sources::default()).expect("the compiled-in default has no mistake; a test proves it")
    }
}

// === impl ListenerConfig ===

impl ListenerConfig {
    /// Whether strangers may be able to listen in: on a network, and not encrypted.
    pub fn is_exposed_plaintext(&self) -> bool {
        self.tls.is_none()
            && matches!(self.address, ListenAddress::Tcp(address) if !address.ip().is_loopback())
    }
}

// === impl ListenAddress ===

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

// === impl StoreUrl ===

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(path) => write!(f, "embedded:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
            Self::Redis(_) => f.write_str("redis (address redacted)"),
        }
    }
}
