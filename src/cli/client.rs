//! How a command reaches a running server: address, TLS, who asks, and what to say when it can not.

use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use std::{env, fmt, fs};

use anyhow::Context;
use countersign::server::api::AdminToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use zeroize::Zeroizing;

use super::Usage;
use super::output::Format;

/// Where the administration API is, who asks it, and how the answer is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct AdminArgs {
    /// The server: http://HOST:PORT, https://HOST:PORT or unix:PATH
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:50052", global = true, help_heading = HEADING)]
    server: Target,
    #[command(flatten)]
    tls: TlsArgs,
    /// The server's data directory, whose admin-token is used unless COUNTERSIGN_ADMIN_TOKEN is set
    #[arg(long, value_name = "DIR", default_value = "data", env = "COUNTERSIGN_DATA_DIR", global = true, help_heading = HEADING)]
    data_dir: PathBuf,
    /// A file with the token to show instead: an issuer's, or the admin token of a server elsewhere; also
    /// COUNTERSIGN_ISSUER_TOKEN. With --client-certificate none is needed
    #[arg(long, value_name = "FILE", global = true, help_heading = HEADING)]
    token_file: Option<PathBuf>,
    /// How to print what the server answers
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value_t,
        global = true
    )]
    pub(crate) output: Format,
}

/// TLS towards a server.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct TlsArgs {
    /// The PEM certificates that vouch for an https server
    #[arg(long, value_name = "FILE", global = true, help_heading = HEADING)]
    ca: Option<PathBuf>,
    /// The PEM certificate chain to show to a server that asks for one
    #[arg(long, alias = "client-cert", value_name = "FILE", requires = "client_key", global = true, help_heading = HEADING)]
    client_certificate: Option<PathBuf>,
    /// The PEM private key of --client-certificate
    #[arg(long, value_name = "FILE", requires = "client_certificate", global = true, help_heading = HEADING)]
    client_key: Option<PathBuf>,
}

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `http://`, in plaintext.
    Plain(String),
    /// `https://`.
    Tls(String),
    /// `unix:`.
    Unix(String),
}

/// A channel that shows the admin token.
pub(crate) type AdminChannel = InterceptedService<Channel, Bearer>;

/// Adds a token to every call, unless a client certificate stands for it.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

// === impl AdminArgs ===

impl AdminArgs {
    /// Connects to the server.
    pub(crate) async fn connect(&self) -> anyhow::Result<AdminChannel> {
        let bearer = Bearer::new(self.token()?.as_ref())?;
        let channel = self.server.connect(&self.tls, TIMEOUT).await?;
        Ok(InterceptedService::new(channel, bearer))
    }

    /// What is named on the command line is stronger than the environment, and that than the data directory.
    fn token(&self) -> anyhow::Result<Option<AdminToken>> {
        if let Some(path) = &self.token_file {
            let text = Zeroizing::new(
                fs::read_to_string(path).with_context(|| path.display().to_string())?,
            );
            let none = || {
                Usage(format!(
                    "--token-file: {} does not hold a token",
                    path.display()
                ))
            };
            return Ok(Some(
                AdminToken::new(text.trim_ascii_end()).ok_or_else(none)?,
            ));
        }
        let variable = [AdminToken::VARIABLE, ISSUER_VARIABLE]
            .iter()
            .find_map(|name| env::var(name).ok());
        if variable.is_none() && self.tls.client_certificate.is_some() {
            return Ok(None);
        }
        Ok(Some(AdminToken::load(&self.data_dir, variable.as_deref())?))
    }
}

// === impl Target ===

impl Target {
    /// Connects, and allows each call so much time.
    pub(crate) async fn connect(
        &self,
        tls: &TlsArgs,
        timeout: Duration,
    ) -> anyhow::Result<Channel> {
        let mut endpoint =
            Endpoint::from_shared(self.to_string()).with_context(|| format!("--server {self}"))?;
        if let Self::Tls(_) = self {
            endpoint = endpoint
                .tls_config(tls.config()?)
                .context("the files of --ca and --client-certificate")?;
        }
        endpoint.connect_timeout(timeout).timeout(timeout).connect().await.with_context(|| {
            format!("can not reach {self}: is `countersign serve` running, and does it listen there? (--server)")
        })
    }
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(text.to_owned())),
            Some(("http", rest)) if is_authority(rest) => Ok(Self::Plain(text.to_owned())),
            Some(("https", rest)) if is_authority(rest) => Ok(Self::Tls(text.to_owned())),
            Some((_, port))
                if port
                    .rsplit(':')
                    .next()
                    .is_some_and(|port| port.parse::<u16>().is_ok()) =>
            {
                Ok(Self::Plain(format!("http://{text}")))
            }
            _ => Err("expected http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:PATH"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Plain(text) | Self::Tls(text) | Self::Unix(text)) = self;
        f.write_str(text)
    }
}

/// `//` and a host, without a path: gRPC has none to choose.
fn is_authority(rest: &str) -> bool {
    let authority = rest
        .strip_prefix("//")
        .map(|authority| authority.strip_suffix('/').unwrap_or(authority));
    authority
        .is_some_and(|authority| !authority.is_empty() && !authority.contains(['/', '?', '#', '@']))
}

// === impl TlsArgs ===

impl TlsArgs {
    fn config(&self) -> anyhow::Result<ClientTlsConfig> {
        let Some(ca) = &self.ca else {
            let remedy = "an https server needs --ca FILE, for a public certificate the system's own, for example \
                          /etc/ssl/certs/ca-certificates.crt";
            return Err(Usage(remedy.to_owned()).into());
        };
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
        if let (Some(certificate), Some(key)) = (&self.client_certificate, &self.client_key) {
            config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        Ok(config)
    }
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

// === impl Bearer ===

impl Bearer {
    fn new(token: Option<&AdminToken>) -> anyhow::Result<Self> {
        let Some(token) = token else {
            return Ok(Self(None));
        };
        let value = [b"Bearer ", token.expose()].concat();
        let mut value = MetadataValue::try_from(value.as_slice()).context("the token")?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// What a person is told of a refusal: every field that is wrong on a line of its own, else the message.
#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(crate) fn refused(status: Status) -> anyhow::Error {
    let details = status.get_error_details();
    match details.bad_request() {
        Some(wrong) => {
            let line = |one: &tonic_types::FieldViolation| {
                format!("\n  {} {}", one.field, one.description)
            };
            anyhow::anyhow!(
                "the server refused:{}",
                wrong.field_violations.iter().map(line).collect::<String>()
            )
        }
        None if status.code() == Code::Unimplemented => {
            anyhow::anyhow!(
                "the server does not know this call: --server must name its api listener, of this version"
            )
        }
        None if broke(&status) => anyhow::anyhow!(
            "no answer came back: --server must name the api listener, with https where it has TLS; if it does, what was \
             asked for may be done nevertheless"
        ),
        None => anyhow::anyhow!("{}", status.message()),
    }
}

/// Whether it was not the server who said so, but the connection that ended.
fn broke(status: &Status) -> bool {
    status
        .source()
        .is_some_and(|source| source.is::<tonic::transport::Error>())
}

/// What an issuer's token may stand in, for the server as for a command.
const ISSUER_VARIABLE: &str = "COUNTERSIGN_ISSUER_TOKEN";

/// Where help lists what is the same for every command that asks a server.
const HEADING: &str = "Connection";

/// Longer than the server's own deadlines, so that its answer is seen and not this.
const TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_server_is_named_by_url_address_or_socket() {
        for (text, target) in [
            (
                "http://127.0.0.1:50052",
                Target::Plain("http://127.0.0.1:50052".to_owned()),
            ),
            (
                "127.0.0.1:50051",
                Target::Plain("http://127.0.0.1:50051".to_owned()),
            ),
            (
                "[::1]:50051",
                Target::Plain("http://[::1]:50051".to_owned()),
            ),
            (
                "countersign:50051",
                Target::Plain("http://countersign:50051".to_owned()),
            ),
            (
                "https://auth.example.com",
                Target::Tls("https://auth.example.com".to_owned()),
            ),
            (
                "unix:/run/countersign/api.sock",
                Target::Unix("unix:/run/countersign/api.sock".to_owned()),
            ),
        ] {
            assert_eq!(text.parse(), Ok(target));
        }
        for wrong in [
            "",
            "localhost",
            "unix:",
            "http://",
            "http://host/path",
            "ftp://host",
            "http:host",
            "host:port",
        ] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_fields() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("consumer.name", "must not be empty");
        details.add_bad_request_violation("consumer.flows[0]", "is no flow");
        let status = Status::with_error_details(Code::InvalidArgument, "x", details);
        assert_eq!(
            refused(status).to_string(),
            "the server refused:\n  consumer.name must not be empty\n  consumer.flows[0] is no flow"
        );
        assert_eq!(
            refused(Status::not_found("there is no token t")).to_string(),
            "there is no token t"
        );
    }
}
