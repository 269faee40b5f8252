//! `countersign sign`: signs a request as a client would (RFC 5849 section 3), and prints what to send.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use countersign::clock::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use countersign::model::Secret;
use countersign::oauth::{
    OutgoingRequest, ParameterPlace, RequestDraft, RequestStamp, RsaPrivateKey, Scheme,
    SignatureMethod, Signer, SigningKey,
};

use super::Usage;
use super::shared_secrets::SharedSecrets;

/// The arguments of `countersign sign`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The HTTP method
    method: String,
    /// The URL as it is called from outside: http://… or https://…
    url: String,
    #[command(flatten)]
    credentials: Credentials,
    /// HMAC-SHA1, HMAC-SHA256, HMAC-SHA512, RSA-SHA1, RSA-SHA256, RSA-SHA512 or PLAINTEXT; HMAC-SHA256, or RSA-SHA256
    /// with --private-key, when it is left out
    #[arg(long, value_name = "NAME", value_parser = signature_method)]
    signature_method: Option<SignatureMethod>,
    /// A form to send, as in 'a=1&b=2'
    #[arg(long, value_name = "FORM", conflicts_with = "body")]
    form: Option<String>,
    /// A file with another body to send, `-` for standard input; it is signed only through --body-hash
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The media type of --body
    #[arg(
        long,
        value_name = "TYPE",
        default_value = "application/octet-stream",
        requires = "body"
    )]
    content_type: String,
    /// Send oauth_body_hash
    #[arg(long)]
    body_hash: bool,
    /// oauth_callback, for a request token: where the user is sent afterwards, or oob
    #[arg(long, value_name = "URI")]
    callback: Option<String>,
    /// oauth_verifier, for an access token: what the user came back with
    #[arg(long)]
    verifier: Option<String>,
    /// Where the oauth_ parameters go
    #[arg(long, value_enum, default_value_t)]
    transport: Transport,
    /// The realm in the Authorization header
    #[arg(long)]
    realm: Option<String>,
    /// oauth_timestamp, seconds since 1970; now when it is left out
    #[arg(long, value_name = "SECONDS")]
    timestamp: Option<u64>,
    /// oauth_nonce; a random one when it is left out
    #[arg(long)]
    nonce: Option<String>,
    /// What to print: the header (or what carries the parameters instead), a curl command, or everything as JSON
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct Credentials {
    #[arg(long, value_name = "KEY")]
    consumer_key: String,
    #[arg(long)]
    token: Option<String>,
    #[command(flatten)]
    secrets: SharedSecrets,
    /// The RSA private key, PEM
    #[arg(long, value_name = "FILE")]
    private_key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Transport {
    #[default]
    Header,
    Query,
    Body,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Output {
    #[default]
    Header,
    Curl,
    Json,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let url = Url::split(&args.url)?;
    let keys = Keys::read(&args.credentials, args.signature_method)?;
    let body = args.body()?;
    let extensions = args.extensions();
    let nonce = args.nonce.clone().unwrap_or_else(random_nonce);
    let draft = RequestDraft {
        method: args.method.as_bytes(),
        scheme: url.scheme,
        authority: url.authority.as_bytes(),
        target: url.target.as_bytes(),
        content_type: args.content_type().map(str::as_bytes),
        body: &body,
        place: args.transport.into(),
        stamp: RequestStamp {
            timestamp: args
                .timestamp
                .unwrap_or_else(|| SystemClock.now().as_secs()),
            nonce: nonce.as_bytes(),
        },
        realm: args.realm.as_deref(),
        body_hash: args.body_hash,
        extensions: &extensions,
    };
    let signed = keys
        .signer(&args.credentials)
        .sign(&draft)
        .map_err(|error| Usage(error.to_string()))?;
    let printed = Printed {
        args,
        url: &url,
        signed: &signed,
    };
    let text = match args.output {
        Output::Header => printed.carrier(),
        Output::Curl => printed.curl(),
        Output::Json => printed.json()?,
    };
    writeln!(io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// What a token endpoint takes beside what every request has (RFC 5849 sections 2.1 and 2.3).
    fn extensions(&self) -> Vec<(&[u8], &[u8])> {
        let all = [
            ("oauth_callback", &self.callback),
            ("oauth_verifier", &self.verifier),
        ];
        let given = all
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        given
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect()
    }

    fn content_type(&self) -> Option<&str> {
        let of_body = self.body.as_ref().map(|_| self.content_type.as_str());
        self.form.as_ref().map(|_| FORM).or(of_body)
    }

    fn body(&self) -> anyhow::Result<Vec<u8>> {
        match (&self.form, self.body.as_deref()) {
            (Some(form), _) => Ok(form.clone().into_bytes()),
            (None, Some(path)) if path == Path::new("-") => {
                let mut body = Vec::new();
                io::stdin()
                    .lock()
                    .read_to_end(&mut body)
                    .context("standard input")?;
                Ok(body)
            }
            (None, Some(path)) => std::fs::read(path).with_context(|| path.display().to_string()),
            (None, None) => Ok(Vec::new()),
        }
    }
}

/// A URL, split by hand so that not one of its bytes is changed.
struct Url<'a> {
    scheme: Scheme,
    origin: &'a str,
    authority: &'a str,
    target: String,
}

impl<'a> Url<'a> {
    fn split(url: &'a str) -> Result<Self, Usage> {
        let wrong = |problem: &str| Usage(format!("the URL {problem}: {url}"));
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            _ => return Err(wrong("must begin with http:// or https://")),
        };
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let target = &rest[authority.len()..];
        let target = &target[..target.find('#').unwrap_or(target.len())];
        if authority.is_empty() || authority.contains('@') {
            return Err(wrong("must name a host, without user and password"));
        }
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("must be percent-encoded as it is sent"));
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        let origin = &url[..url.len() - rest.len() + authority.len()];
        Ok(Self {
            scheme,
            origin,
            authority,
            target: format!("{slash}{target}"),
        })
    }
}

/// What is signed with.
struct Keys {
    method: SignatureMethod,
    consumer_secret: Option<Secret>,
    token_secret: Option<Secret>,
    private_key: Option<RsaPrivateKey>,
}

impl Keys {
    fn read(from: &Credentials, method: Option<SignatureMethod>) -> anyhow::Result<Self> {
        let default = if from.private_key.is_some() {
            SignatureMethod::RsaSha256
        } else {
            SignatureMethod::HmacSha256
        };
        let keys = Self {
            method: method.unwrap_or(default),
            consumer_secret: from.secrets.consumer()?,
            token_secret: from.secrets.token()?,
            private_key: from.private_key.as_deref().map(private_key).transpose()?,
        };
        let problem = match (
            keys.method.is_rsa(),
            &keys.private_key,
            &keys.consumer_secret,
        ) {
            (true, None, _) => "needs --private-key",
            (false, _, None) => "needs --consumer-secret",
            _ if from.token.is_some() && !keys.method.is_rsa() && keys.token_secret.is_none() => {
                "with a token needs --token-secret"
            }
            _ => return Ok(keys),
        };
        Err(Usage(format!("{} {problem}", keys.method)).into())
    }

    fn signer<'k>(&'k self, credentials: &'k Credentials) -> Signer<'k> {
        let exposed =
            |secret: &'k Option<Secret>| secret.as_ref().map(Secret::expose).unwrap_or_default();
        let key = match &self.private_key {
            Some(key) if self.method.is_rsa() => SigningKey::Rsa(key),
            Some(_) | None => SigningKey::Secrets {
                consumer: exposed(&self.consumer_secret),
                token: exposed(&self.token_secret),
            },
        };
        Signer {
            consumer_key: credentials.consumer_key.as_bytes(),
            token: credentials.token.as_deref().map(str::as_bytes),
            method: self.method,
            key,
        }
    }
}

fn private_key(path: &Path) -> anyhow::Result<RsaPrivateKey> {
    let pem = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    RsaPrivateKey::from_pem(&pem)
        .map_err(|error| Usage(format!("{}: {error}", path.display())).into())
}

/// A signed request, to be printed.
struct Printed<'a> {
    args: &'a Args,
    url: &'a Url<'a>,
    signed: &'a OutgoingRequest,
}

impl Printed<'_> {
    fn url(&self) -> String {
        format!("{}{}", self.url.origin, text(&self.signed.target))
    }

    /// What carries the parameters: the header, the URL or the body.
    fn carrier(&self) -> String {
        match (&self.signed.authorization, self.args.transport) {
            (Some(header), _) => format!("Authorization: {header}"),
            (None, Transport::Body) => text(&self.signed.body),
            (None, Transport::Header | Transport::Query) => self.url(),
        }
    }

    fn curl(&self) -> String {
        // What curl would change of a path, or take for a pattern in it, is signed as it stands.
        let mut words: Vec<_> = ["curl", "-i", "--globoff", "--path-as-is"]
            .map(str::to_owned)
            .into();
        match self.args.method.as_str() {
            "HEAD" => words.push("--head".to_owned()),
            method => words.extend(["-X".to_owned(), shell_word(method)]),
        }
        let authorization = self
            .signed
            .authorization
            .as_ref()
            .map(|header| format!("Authorization: {header}"));
        let content_type = self
            .signed
            .content_type
            .as_ref()
            .map(|value| format!("Content-Type: {}", text(value)));
        for header in authorization.into_iter().chain(content_type) {
            words.extend(["-H".to_owned(), shell_word(&header)]);
        }
        match &self.args.body {
            Some(path) if path == Path::new("-") => {
                words.extend(["--data-binary".to_owned(), "@-".to_owned()])
            }
            Some(path) => {
                words.extend([
                    "--data-binary".to_owned(),
                    shell_word(&format!("@{}", path.display())),
                ]);
            }
            None if !self.signed.body.is_empty() => {
                words.extend([
                    "--data-binary".to_owned(),
                    shell_word(&text(&self.signed.body)),
                ]);
            }
            None => {}
        }
        words.push(shell_word(&self.url()));
        words.join(" ")
    }

    fn json(&self) -> anyhow::Result<String> {
        let pairs = self
            .signed
            .parameters
            .iter()
            .map(|(name, value)| (text(name), text(value).into()));
        let parameters: serde_json::Map<String, serde_json::Value> = pairs.collect();
        let all = serde_json::json!({
            "method": self.args.method,
            "url": self.url(),
            "authorization": self.signed.authorization,
            "content_type": self.signed.content_type.as_deref().map(text),
            "body": self.args.body.is_none().then(|| text(&self.signed.body)).filter(|body| !body.is_empty()),
            "parameters": parameters,
            "base_string": text(&self.signed.base_string),
        });
        Ok(serde_json::to_string_pretty(&all)?)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One word for a POSIX shell.
fn shell_word(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn random_nonce() -> String {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

fn signature_method(name: &str) -> Result<SignatureMethod, String> {
    SignatureMethod::from_name(name.as_bytes()).ok_or_else(|| {
        let names = SignatureMethod::ALL.map(SignatureMethod::name).join(", ");
        format!("expected one of {names}")
    })
}

impl From<Transport> for ParameterPlace {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Header => Self::Header,
            Transport::Query => Self::Query,
            Transport::Body => Self::Body,
        }
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_without_changing_a_byte() {
        let url = Url::split("HTTPS://Api.Test:8443/a%2fb//c?x=%7E&y#top").unwrap();
        assert_eq!(
            (url.origin, url.authority),
            ("HTTPS://Api.Test:8443", "Api.Test:8443")
        );
        assert_eq!(url.target, "/a%2fb//c?x=%7E&y");
        assert_eq!(Url::split("http://a?b=1").unwrap().target, "/?b=1");
        assert_eq!(Url::split("http://a").unwrap().target, "/");
    }

    #[test]
    fn a_url_that_can_not_be_sent_is_refused() {
        for wrong in [
            "a/b",
            "ftp://a/",
            "http:///a",
            "http://u:p@a/",
            "http://a/ä",
            "http://a/b c",
        ] {
            assert!(Url::split(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_shell_word_keeps_its_quotes() {
        assert_eq!(shell_word("a'b\"c"), r#"'a'\''b"c'"#);
    }
}
