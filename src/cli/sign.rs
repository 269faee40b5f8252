//! `countersign sign`: signs a request as a client would (RFC 5849 section 3), and prints it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use countersign::clock::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use countersign::model::Secret;
use countersign::oauth::{
    OutgoingRequest, ParameterPlace, RequestDraft, RequestStamp, RsaPrivateKey, Scheme,
    SignatureMethod, Signer, SigningKey,
};

use super::exit::Usage;
use super::shared_secrets::SharedSecrets;
use super::{input, output};

/// The arguments of `countersign sign`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// HTTP method, for example GET
    method: String,
    /// URL that clients call, http://… or https://…, percent-encoded
    url: String,
    #[command(flatten)]
    credentials: CredentialArgs,
    /// Signature method [default: HMAC-SHA256, with --private-key RSA-SHA256]
    #[arg(long, value_name = "NAME", value_parser = signature_methods())]
    signature_method: Option<SignatureMethod>,
    /// Form to send as the body, for example 'a=1&b=2' [default: none]
    #[arg(long, value_name = "FORM", conflicts_with = "body")]
    form: Option<String>,
    /// File with another body, - for standard input; only --body-hash signs it [default: none]
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Media type of --body
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
    /// oauth_callback of a request token: URI to send the user to, or oob [default: none]
    #[arg(long, value_name = "URI")]
    callback: Option<String>,
    /// oauth_verifier of an access token, which the user brought back [default: none]
    #[arg(long)]
    verifier: Option<String>,
    /// Part of the request that carries the oauth_ parameters
    #[arg(long, value_enum, default_value_t)]
    transport: Transport,
    /// Realm in the Authorization header [default: none]
    #[arg(long)]
    realm: Option<String>,
    /// oauth_timestamp, Unix time in seconds [default: now]
    #[arg(long, value_name = "SECONDS")]
    timestamp: Option<u64>,
    /// oauth_nonce [default: a random nonce]
    #[arg(long)]
    nonce: Option<String>,
    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: SignFormat,
}

#[derive(Debug, clap::Args)]
struct CredentialArgs {
    /// Consumer key, oauth_consumer_key
    #[arg(long, value_name = "KEY")]
    consumer_key: String,
    /// Token, oauth_token [default: none]
    #[arg(long)]
    token: Option<String>,
    #[command(flatten)]
    secrets: SharedSecrets,
    /// PEM file with the RSA private key, for the RSA methods
    #[arg(long, value_name = "FILE")]
    private_key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Transport {
    /// The Authorization header
    #[default]
    Header,
    /// The query of the URL
    Query,
    /// The form of the body
    Body,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum SignFormat {
    /// The Authorization header, or the URL or form that carries the parameters instead
    #[default]
    Header,
    /// A curl command that sends the request
    Curl,
    /// All parts of the request and the base string, as JSON
    Json,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let url = SplitUrl::parse(&args.url)?;
    let keys = SigningKeys::read(&args.credentials, args.signature_method)?;
    let signed = sign(args, &url, &keys)?;
    let request = SignedRequest {
        args,
        url: &url,
        signed: &signed,
    };
    output::line(&match args.output {
        SignFormat::Header => request.carrier(),
        SignFormat::Curl => request.curl(),
        SignFormat::Json => request.json()?,
    })?;
    Ok(ExitCode::SUCCESS)
}

fn sign(args: &Args, url: &SplitUrl<'_>, keys: &SigningKeys) -> Result<OutgoingRequest, Usage> {
    let now = || SystemClock.now().as_secs();
    let nonce = args.nonce.clone().unwrap_or_else(random_nonce);
    let draft = RequestDraft {
        method: args.method.as_bytes(),
        scheme: url.scheme,
        authority: url.authority.as_bytes(),
        target: url.target.as_bytes(),
        content_type: args.content_type().map(str::as_bytes),
        body: &args.body()?,
        place: args.transport.into(),
        stamp: RequestStamp {
            timestamp: args.timestamp.unwrap_or_else(now),
            nonce: nonce.as_bytes(),
        },
        realm: args.realm.as_deref(),
        body_hash: args.body_hash,
        extensions: &args.extensions(),
    };
    let signed = keys.signer(&args.credentials).sign(&draft);
    signed.map_err(|error| Usage(error.to_string()))
}

impl Args {
    /// Returns the parameters for token endpoints (RFC 5849 sections 2.1 and 2.3).
    fn extensions(&self) -> Vec<(&[u8], &[u8])> {
        let all = [
            ("oauth_callback", &self.callback),
            ("oauth_verifier", &self.verifier),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name.as_bytes(), value.as_deref()?.as_bytes())))
            .collect()
    }

    fn content_type(&self) -> Option<&str> {
        let of_body = self.body.as_ref().map(|_| self.content_type.as_str());
        self.form.as_ref().map(|_| FORM).or(of_body)
    }

    fn body(&self) -> Result<Vec<u8>, Usage> {
        match (&self.form, &self.body) {
            (Some(form), _) => Ok(form.clone().into_bytes()),
            (None, Some(path)) => input::bytes_up_to(path, MAX_BODY),
            (None, None) => Ok(Vec::new()),
        }
    }
}

/// A URL, split without a URL parser, so that every byte is signed as it is sent.
struct SplitUrl<'a> {
    scheme: Scheme,
    origin: &'a str,
    authority: &'a str,
    target: String,
}

impl<'a> SplitUrl<'a> {
    fn parse(url: &'a str) -> Result<Self, Usage> {
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
            return Err(wrong("must be percent-encoded, as it is sent"));
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

/// The signature method and its keys.
struct SigningKeys {
    method: SignatureMethod,
    consumer_secret: Option<Secret>,
    token_secret: Option<Secret>,
    private_key: Option<RsaPrivateKey>,
}

impl SigningKeys {
    fn read(args: &CredentialArgs, method: Option<SignatureMethod>) -> anyhow::Result<Self> {
        let default = if args.private_key.is_some() {
            SignatureMethod::RsaSha256
        } else {
            SignatureMethod::HmacSha256
        };
        let keys = Self {
            method: method.unwrap_or(default),
            consumer_secret: args.secrets.consumer()?,
            token_secret: args.secrets.token()?,
            private_key: args.private_key.as_deref().map(private_key).transpose()?,
        };
        match keys.missing(args.token.is_some()) {
            Some(missing) => Err(Usage(format!("{} {missing}", keys.method)).into()),
            None => Ok(keys),
        }
    }

    /// Returns what the method needs and was not given. A token secret without its token would change
    /// the signature, and none would verify it.
    const fn missing(&self, has_token: bool) -> Option<&'static str> {
        match (self.method.is_rsa(), has_token) {
            (true, _) if self.private_key.is_none() => Some("needs --private-key"),
            (false, _) if self.consumer_secret.is_none() => Some("needs --consumer-secret"),
            (false, true) if self.token_secret.is_none() => {
                Some("with a token needs --token-secret")
            }
            (false, false) if self.token_secret.is_some() => Some(
                "with a token secret needs --token: pass it, or unset COUNTERSIGN_TOKEN_SECRET",
            ),
            _ => None,
        }
    }

    fn signer<'k>(&'k self, credentials: &'k CredentialArgs) -> Signer<'k> {
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

fn private_key(path: &Path) -> Result<RsaPrivateKey, Usage> {
    let key = RsaPrivateKey::from_pem(&input::text(path)?);
    key.map_err(|error| Usage(format!("{}: {error}", input::name(path))))
}

/// A signed request in the forms of `--output`.
struct SignedRequest<'a> {
    args: &'a Args,
    url: &'a SplitUrl<'a>,
    signed: &'a OutgoingRequest,
}

impl SignedRequest<'_> {
    fn url(&self) -> String {
        format!("{}{}", self.url.origin, text(&self.signed.target))
    }

    /// Returns the part that carries the parameters: the header, the URL or the body.
    fn carrier(&self) -> String {
        match (&self.signed.authorization, self.args.transport) {
            (Some(header), _) => format!("Authorization: {header}"),
            (None, Transport::Body) => text(&self.signed.body),
            (None, Transport::Header | Transport::Query) => self.url(),
        }
    }

    fn curl(&self) -> String {
        // The options keep curl from changing a path, or expanding a pattern in it, after the URL
        // was signed.
        let mut words = vec!["curl -i --globoff --path-as-is".to_owned()];
        words.push(match self.args.method.as_str() {
            "HEAD" => "--head".to_owned(),
            method => format!("-X {}", shell_word(method)),
        });
        if let Some(authorization) = &self.signed.authorization {
            words.push(header("Authorization", authorization));
        }
        if let Some(content_type) = &self.signed.content_type {
            words.push(header("Content-Type", &text(content_type)));
        }
        if let Some(data) = self.curl_data() {
            words.push(format!("--data-binary {data}"));
        }
        words.push(shell_word(&self.url()));
        words.join(" ")
    }

    fn curl_data(&self) -> Option<String> {
        match &self.args.body {
            Some(path) if path == Path::new("-") => Some("@-".to_owned()),
            Some(path) => Some(shell_word(&format!("@{}", path.display()))),
            None if self.signed.body.is_empty() => None,
            None => Some(shell_word(&text(&self.signed.body))),
        }
    }

    fn json(&self) -> anyhow::Result<String> {
        let parameters = self.signed.parameters.iter();
        let parameters: serde_json::Map<String, serde_json::Value> = parameters
            .map(|(name, value)| (text(name), text(value).into()))
            .collect();
        let body = text(&self.signed.body);
        let all = serde_json::json!({
            "method": self.args.method,
            "url": self.url(),
            "authorization": self.signed.authorization,
            "content_type": self.signed.content_type.as_deref().map(text),
            "body": Some(body).filter(|body| self.args.body.is_none() && !body.is_empty()),
            "parameters": parameters,
            "base_string": text(&self.signed.base_string),
        });
        Ok(serde_json::to_string_pretty(&all)?)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn header(name: &str, value: &str) -> String {
    format!("-H {}", shell_word(&format!("{name}: {value}")))
}

/// Quotes a word for a POSIX shell.
fn shell_word(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn random_nonce() -> String {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

fn signature_methods() -> impl TypedValueParser<Value = SignatureMethod> {
    let method =
        |name: String| SignatureMethod::from_name(name.as_bytes()).ok_or("no signature method");
    PossibleValuesParser::new(SignatureMethod::ALL.map(SignatureMethod::name)).try_map(method)
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

/// The largest body to sign, in bytes.
const MAX_BODY: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_without_changing_a_byte() {
        let url = SplitUrl::parse("HTTPS://Api.Test:8443/a%2fb//c?x=%7E&y#top").unwrap();
        assert_eq!(
            (url.origin, url.authority),
            ("HTTPS://Api.Test:8443", "Api.Test:8443")
        );
        assert_eq!(url.target, "/a%2fb//c?x=%7E&y");
        assert_eq!(SplitUrl::parse("http://a?b=1").unwrap().target, "/?b=1");
        assert_eq!(SplitUrl::parse("http://a").unwrap().target, "/");
    }

    #[test]
    fn a_url_that_cannot_be_sent_is_refused() {
        for wrong in [
            "a/b",
            "ftp://a/",
            "http:///a",
            "http://u:p@a/",
            "http://a/ä",
            "http://a/b c",
        ] {
            assert!(SplitUrl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_shell_word_keeps_its_quotes() {
        assert_eq!(shell_word("a'b\"c"), r#"'a'\''b"c'"#);
    }
}
