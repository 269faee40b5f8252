//! The connection of a command to a running server: address, TLS and token.
//!
//! Each option is also a variable: the option takes precedence, then the variable, then the
//! default.

use std::env::{self, VarError};
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use countersign::config::WebUrl;
use countersign::oauth::Scheme;
use countersign::server::api::AdminToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;
use zeroize::Zeroizing;

use super::exit::{CallError, CallErrorKind, Usage};
use super::input;
use super::output::{self, Format};
use super::resolution;
use super::secret_input;

pub(super) use super::refusal::refused;

/// The address of the administration API, the token for it, and the output format.
#[derive(Debug, clap::Args)]
pub(crate) struct AdminArgs {
    /// API listener of the server: http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:PATH;
    /// `denials` and `report` call several, separated by commas, or every address of
    /// dns:///NAME:PORT
    #[arg(long, value_name = "URL", value_delimiter = ',', default_value = "http://127.0.0.1:50052", env = "COUNTERSIGN_SERVER", global = true, help_heading = HEADING)]
    server: Vec<ServerAddress>,
    #[command(flatten)]
    tls: TlsArgs,
    /// Data directory of the server, whose admin-token file is read unless COUNTERSIGN_ADMIN_TOKEN
    /// is set
    #[arg(long, value_name = "DIR", default_value = "data", env = "COUNTERSIGN_DATA_DIR", global = true, help_heading = HEADING)]
    data_dir: PathBuf,
    /// File with an admin or issuer token, instead of the data directory and variables [default:
    /// none]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_TOKEN_FILE", global = true, help_heading = HEADING)]
    token_file: Option<PathBuf>,
    /// Format of the output
    #[arg(
        long,
        short,
        value_enum,
        value_name = "FORMAT",
        default_value_t,
        env = "COUNTERSIGN_OUTPUT",
        global = true
    )]
    pub(crate) output: Format,
}

/// TLS towards a server.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct TlsArgs {
    /// PEM file with the CA certificates of the server; required for https
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CA", global = true, help_heading = HEADING)]
    ca: Option<PathBuf>,
    /// PEM file with a client certificate chain, which can replace the token [default: none]
    #[arg(long, alias = "client-cert", value_name = "FILE", env = "COUNTERSIGN_CLIENT_CERTIFICATE", requires = "client_key", global = true, help_heading = HEADING)]
    client_certificate: Option<PathBuf>,
    /// PEM file with the private key of --client-certificate
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CLIENT_KEY", requires = "client_certificate", global = true, help_heading = HEADING)]
    client_key: Option<PathBuf>,
}

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerAddress {
    /// `http://` or `https://`.
    Web(WebUrl),
    /// `unix:PATH`.
    Unix(String),
    /// `dns:///NAME:PORT`, as a plaintext URL: over TLS if `--ca` is set, like every target of that
    /// form in gRPC.
    Name(WebUrl),
}

/// One replica to call.
pub(crate) struct Target {
    /// The address, for people.
    pub(crate) name: String,
    endpoint: Endpoint,
    header: BearerHeader,
}

/// A channel that sends the token with every call.
pub(crate) type AdminChannel = InterceptedService<Channel, BearerHeader>;

/// Adds a token to every call, unless a client certificate replaces it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BearerHeader(Option<MetadataValue<Ascii>>);

// === impl AdminArgs ===

impl AdminArgs {
    /// Connects to the server.
    pub(crate) async fn connect(&self) -> anyhow::Result<AdminChannel> {
        let [server] = &*self.server else {
            return Err(Usage(ONE_SERVER.to_owned()).into());
        };
        let header = self.header()?;
        let channel = server.connect(&self.tls, TIMEOUT).await?;
        Ok(InterceptedService::new(channel, header))
    }

    /// Returns true if the arguments can name more than one replica.
    pub(crate) fn names_replicas(&self) -> bool {
        self.server.len() > 1 || self.names_addresses()
    }

    /// Returns true if a server is a name, whose addresses may change.
    pub(crate) fn names_addresses(&self) -> bool {
        let is_name = |server: &ServerAddress| matches!(server, ServerAddress::Name(_));
        self.server.iter().any(is_name)
    }

    /// Reads the token, which may come from standard input, and warns if others could read it too.
    pub(crate) fn header(&self) -> anyhow::Result<BearerHeader> {
        let token = self.token()?;
        self.warn_of_exposure(token.as_ref());
        BearerHeader::new(token.as_ref())
    }

    /// Reads the token again, except from standard input, which was read to its end.
    fn header_again(&self) -> Option<BearerHeader> {
        if self.token_file.as_deref() == Some(Path::new("-")) {
            return None;
        }
        let token = self.token().ok()?;
        BearerHeader::new(token.as_ref()).ok()
    }

    /// Returns every replica: each server, and each address of a name.
    ///
    /// # Errors
    /// If a name has no address.
    pub(crate) async fn targets(&self, header: &BearerHeader) -> anyhow::Result<Vec<Target>> {
        let mut targets = Vec::<Target>::new();
        for server in &self.server {
            for target in server.targets(&self.tls, header).await? {
                // A replica that is named twice would be counted twice.
                if targets.iter().all(|one| one.name != target.name) {
                    targets.push(target);
                }
            }
        }
        Ok(targets)
    }

    fn warn_of_exposure(&self, token: Option<&AdminToken>) {
        let exposed = |server: &&ServerAddress| server.is_exposed(&self.tls);
        let exposed = self.server.iter().filter(exposed);
        for server in exposed.filter(|_| token.is_some()) {
            output::note(&format!(
                "warning: {server} is plaintext to another machine, so others on the network can \
                 read the token: use https:// if nothing else encrypts the connection"
            ));
        }
    }

    /// Returns the token of `--token-file`, else of the environment, else of the data directory.
    fn token(&self) -> anyhow::Result<Option<AdminToken>> {
        if let Some(path) = &self.token_file {
            secret_input::warn_of_exposure(path);
            let text = Zeroizing::new(input::text(path)?);
            let token = AdminToken::new(text.trim_ascii_end());
            let malformed = || Usage(format!("--token-file: {} is not a token", path.display()));
            return Ok(Some(token.ok_or_else(malformed)?));
        }
        let variable = match token_variable(AdminToken::VARIABLE)? {
            Some(token) => Some(token),
            None => token_variable(ISSUER_VARIABLE)?,
        };
        if variable.is_none() && self.tls.client_certificate.is_some() {
            return Ok(None);
        }
        let token = AdminToken::load(&self.data_dir, variable.as_deref().map(String::as_str));
        Ok(Some(token.map_err(|error| Usage(error.to_string()))?))
    }
}

/// Returns the value of a variable with a token.
///
/// # Errors
/// If it is not UTF-8: another token in its place could have more rights.
fn token_variable(name: &str) -> Result<Option<Zeroizing<String>>, Usage> {
    match env::var(name) {
        Ok(token) => Ok(Some(token.into())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Usage(format!("{name} is not UTF-8"))),
    }
}

// === impl Target ===

impl Target {
    /// Connects to the replica.
    pub(crate) async fn connect(&self) -> anyhow::Result<AdminChannel> {
        let channel = open(self.endpoint.clone(), &self.name, TIMEOUT).await?;
        Ok(InterceptedService::new(channel, self.header.clone()))
    }

    /// Takes the token that the replica may have since its last start; returns false if it is the
    /// same.
    pub(crate) fn renew_token(&mut self, admin: &AdminArgs) -> bool {
        let Some(header) = admin.header_again().filter(|header| *header != self.header) else {
            return false;
        };
        self.header = header;
        true
    }
}

// === impl ServerAddress ===

impl ServerAddress {
    /// Connects; each call may take as long as `timeout`.
    pub(crate) async fn connect(
        &self,
        tls: &TlsArgs,
        timeout: Duration,
    ) -> anyhow::Result<Channel> {
        open(self.endpoint(tls)?, self, timeout).await
    }

    /// Returns an endpoint for each address of the server.
    async fn targets(&self, tls: &TlsArgs, header: &BearerHeader) -> anyhow::Result<Vec<Target>> {
        let Self::Name(url) = self else {
            return Ok(vec![Target {
                name: self.to_string(),
                endpoint: self.endpoint(tls)?,
                header: header.clone(),
            }]);
        };
        let found = resolution::addresses(url.authority()).await;
        let found = found.with_context(|| format!("cannot resolve {self}"))?;
        let target = |address: SocketAddr| {
            let origin = tls.url(url.authority());
            let endpoint = Endpoint::from_shared(tls.url(&address.to_string()))?;
            let endpoint = endpoint.origin(origin.parse()?);
            Ok(Target {
                name: address.to_string(),
                endpoint: tls.secured(endpoint, url.uri().host())?,
                header: header.clone(),
            })
        };
        found.into_iter().map(target).collect()
    }

    fn endpoint(&self, tls: &TlsArgs) -> anyhow::Result<Endpoint> {
        match self {
            Self::Unix(address) => Ok(Endpoint::from_shared(address.clone()).context("--server")?),
            Self::Web(url) => {
                let endpoint = Endpoint::from(url.uri().clone());
                match url.scheme() {
                    Scheme::Http => Ok(endpoint),
                    Scheme::Https => endpoint
                        .tls_config(tls.config()?)
                        .map_err(|error| unusable_tls(&error).into()),
                }
            }
            Self::Name(url) => {
                let endpoint = Endpoint::from_shared(tls.url(url.authority()))?;
                tls.secured(endpoint, None)
            }
        }
    }

    /// Returns `true` if others on the network could read the calls.
    fn is_exposed(&self, tls: &TlsArgs) -> bool {
        match self {
            Self::Web(url) => url.is_exposed(),
            Self::Name(url) => tls.ca.is_none() && url.is_exposed(),
            Self::Unix(_) => false,
        }
    }
}

/// Connects to an endpoint; each call may take as long as `timeout`.
async fn open(
    endpoint: Endpoint,
    name: &impl fmt::Display,
    timeout: Duration,
) -> anyhow::Result<Channel> {
    let endpoint = endpoint.connect_timeout(timeout).timeout(timeout);
    // A watch has no other sign that the server's machine is gone.
    let endpoint = endpoint
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(timeout)
        .keep_alive_while_idle(true);
    endpoint.connect().await.map_err(|error| {
        let message = format!(
            "cannot connect to {name}: {}; check that `countersign serve` is running and listens \
             there, or set --server",
            root_cause(&error)
        );
        let kind = CallErrorKind::Unavailable;
        CallError { kind, message }.into()
    })
}

fn unusable_tls(error: &tonic::transport::Error) -> Usage {
    Usage(format!(
        "cannot use the files of --ca, --client-certificate and --client-key: {}",
        root_cause(error)
    ))
}

fn root_cause(error: &dyn Error) -> &dyn Error {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}

impl FromStr for ServerAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(name) = text.strip_prefix("dns:///") {
            let url = WebUrl::parse(&format!("http://{name}"));
            let url = url.filter(|url| url.uri().port().is_some() && url.authority() == name);
            return url.map(Self::Name).ok_or("expected dns:///NAME:PORT");
        }
        let web = match text.strip_prefix("unix:") {
            Some("") => None,
            Some(_) => return Ok(Self::Unix(text.to_owned())),
            None if text.contains("://") => WebUrl::parse(text),
            // Without a scheme, the port tells an address from a misspelled word.
            None => {
                WebUrl::parse(&format!("http://{text}")).filter(|url| url.uri().port().is_some())
            }
        };
        // gRPC determines the path.
        web.filter(|url| {
            matches!(
                url.uri().path_and_query().map_or("/", |path| path.as_str()),
                "/"
            )
        })
        .map(Self::Web)
        .ok_or(
            "expected http://HOST:PORT, https://HOST:PORT, HOST:PORT, unix:PATH or dns:///NAME:PORT",
        )
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(url) => url.fmt(f),
            Self::Unix(address) => f.write_str(address),
            Self::Name(url) => write!(f, "dns:///{}", url.authority()),
        }
    }
}

// === impl TlsArgs ===

impl TlsArgs {
    /// Returns the URL of a `dns:///` target: over TLS if `--ca` is set.
    fn url(&self, authority: &str) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://{authority}")
    }

    /// Adds TLS to the endpoint of a `dns:///` target, if `--ca` is set. The certificate must be for
    /// `host`, if it is given, else for the host of the endpoint.
    fn secured(&self, endpoint: Endpoint, host: Option<&str>) -> anyhow::Result<Endpoint> {
        if self.ca.is_none() {
            return Ok(endpoint);
        }
        let mut config = self.config()?;
        if let Some(host) = host {
            // A URL has brackets around an IPv6 address, and a certificate has none.
            config = config.domain_name(host.trim_matches(['[', ']']));
        }
        let secured = endpoint.tls_config(config);
        secured.map_err(|error| unusable_tls(&error).into())
    }

    fn config(&self) -> Result<ClientTlsConfig, Usage> {
        let Some(ca) = &self.ca else {
            return Err(Usage(CA_NEEDED.to_owned()));
        };
        let ca = Certificate::from_pem(input::bytes(ca)?);
        let config = ClientTlsConfig::new().ca_certificate(ca);
        match (&self.client_certificate, &self.client_key) {
            (Some(certificate), Some(key)) => {
                let key = Zeroizing::new(input::bytes(key)?);
                Ok(config.identity(Identity::from_pem(input::bytes(certificate)?, &*key)))
            }
            _ => Ok(config),
        }
    }
}

// === impl BearerHeader ===

impl BearerHeader {
    fn new(token: Option<&AdminToken>) -> anyhow::Result<Self> {
        let Some(token) = token else {
            return Ok(Self(None));
        };
        let value = Zeroizing::new([b"Bearer ", token.expose()].concat());
        let mut value = MetadataValue::try_from(value.as_slice()).context("the token")?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl Interceptor for BearerHeader {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Returns `true` if the server ends a watch with its connection, so that another can follow.
pub(crate) fn is_connection_ending(status: &Status) -> bool {
    let details = status.get_error_details();
    let info = details.error_info();
    info.is_some_and(|info| info.reason == "CONNECTION_ENDING")
}

const ONE_SERVER: &str = "this command calls one server: name one with --server; denials and report \
                          accept several";

const CA_NEEDED: &str = "an https server needs --ca FILE; for a certificate of a public CA, name \
                         the system's file, for example /etc/ssl/certs/ca-certificates.crt";

/// The variable with the token of an issuer, for commands as for the server.
const ISSUER_VARIABLE: &str = "COUNTERSIGN_ISSUER_TOKEN";

/// The heading of these options in `--help`.
const HEADING: &str = "Connection";

/// The time between two pings of a connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Longer than the server's own deadlines, so that its answer arrives first.
const TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_url_address_or_socket() {
        for (text, shown, is_exposed) in [
            ("http://127.0.0.1:50052", "http://127.0.0.1:50052", false),
            ("HTTP://LocalHost:50052/", "http://LocalHost:50052", false),
            ("http://[::1]", "http://[::1]", false),
            ("127.0.0.1:50051", "http://127.0.0.1:50051", false),
            ("[::1]:50051", "http://[::1]:50051", false),
            ("countersign:50051", "http://countersign:50051", true),
            ("Http://10.0.0.1:50052", "http://10.0.0.1:50052", true),
            (
                "https://auth.example.com",
                "https://auth.example.com",
                false,
            ),
            (
                "HTTPS://auth.example.com:443",
                "https://auth.example.com:443",
                false,
            ),
            ("unix:/run/c.sock", "unix:/run/c.sock", false),
            ("dns:///countersign:50052", "dns:///countersign:50052", true),
            ("dns:///localhost:50052", "dns:///localhost:50052", false),
        ] {
            let server: ServerAddress = text.parse().unwrap();
            assert_eq!(
                (
                    server.to_string().as_str(),
                    server.is_exposed(&TlsArgs::default())
                ),
                (shown, is_exposed),
                "{text}"
            );
        }
    }

    #[test]
    fn a_server_has_a_host_and_nothing_else() {
        for wrong in [
            "",
            "localhost",
            "unix:",
            "http://",
            "http://host/path",
            "http://host?query",
            "http://host#fragment",
            "http://user@host",
            "ftp://host",
            "http:host",
            "host:port",
            "host:0",
            "::1",
            "[::1]",
            "http://host:70000",
            "dns:///host",
            "dns:///host:1/",
            "dns://host:1",
            "dns:///",
        ] {
            assert!(wrong.parse::<ServerAddress>().is_err(), "{wrong:?}");
        }
    }
}
