//! `countersign explain`: verifies a captured request offline, and says why it is refused.
//!
//! It knows no consumers: whoever asks gives the secrets. What only a running service knows, whether the nonce is new and
//! what the consumer may do, is not looked at. Nothing is masked: whoever asks has the request and the secrets anyway.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use countersign::clock::{Clock as _, SystemClock};
use countersign::model::{MIN_RSA_BITS, Secret};
use countersign::oauth::diagnosis::{
    BUDGET, Diagnosis, ForwardedHeaders, MismatchEvidence, OriginSetting, diagnose,
};
use countersign::oauth::{
    BodyHashRule, CompatProfile, CompatSet, KeySchedule, ParseLimits, Rejection, Request,
    RequestBody, RsaPublicKey, Scheme, SignatureMethod, SignedRequest, VerificationKeys,
};
use serde::Serialize;

use super::output::{self, Format};
use super::raw_request::RawRequest;
use super::shared_secrets::SharedSecrets;
use super::{Usage, difference, secret_input};

/// How far `oauth_timestamp` may be from `--at`, seconds: the default of `verify.timestamp_window`.
const WINDOW: u64 = 300;

/// What is left to do where no cause is known.
const COMPARE: &str = ": compare the base string with the client's, then the secrets";

/// The arguments of `countersign explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file with the request as it arrived at Envoy: request line, headers, empty line, body; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// The scheme by which it arrived at Envoy, which is not in the request
    #[arg(long, value_enum, default_value_t)]
    scheme: SchemeArg,
    #[command(flatten)]
    secrets: SharedSecrets,
    /// A consumer secret that was replaced, for the case that the client still signs with it; may be given several times
    #[arg(long, value_name = "SECRET", value_parser = secret_input::inline)]
    old_consumer_secret: Vec<Secret>,
    /// A compat profile that the consumer has; may be given several times
    #[arg(long, value_name = "PROFILE", value_parser = profiles())]
    compat: Vec<CompatProfile>,
    /// A file with the RSA public key or certificate of the consumer, PEM
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// When the request arrived, seconds since 1970; now when it is left out
    #[arg(long, value_name = "UNIXTIME")]
    at: Option<u64>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum SchemeArg {
    Http,
    #[default]
    Https,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Output {
    /// For people; may change from version to version
    #[default]
    Text,
    /// For programs: one object, with null for what there is not
    Json,
}

/// Runs the command. Exit code 1 is a refused or unsigned request, so whatever keeps it from an answer is 64.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let explained = explain(args).map_err(|error| Usage(format!("{error:#}")))?;
    explained.print(args.output)?;
    Ok(if explained.verdict == Verdict::Verified {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn explain(args: &Args) -> anyhow::Result<Explanation> {
    let capture = read(&args.file)?;
    let material = Material::read(args)?;
    let request = RawRequest::parse(&capture).with_context(|| args.file.display().to_string())?;
    let now = args.at.unwrap_or_else(|| SystemClock.now().as_secs());
    Explanation::of(&request, args.scheme.into(), &material, now)
}

/// What `--output json` prints, field by field.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Explanation {
    verdict: Verdict,
    problem: Option<&'static str>,
    advice: Option<String>,
    base_string: Option<String>,
    /// Why the signature does not match; two causes that come together are joined by `+`.
    cause: Option<String>,
    /// What the client signed instead.
    client_base_string: Option<String>,
    /// Where the two base strings part, in bytes.
    first_difference: Option<usize>,
    /// What to change.
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Verified,
    Refused,
    #[default]
    Unsigned,
}

impl Explanation {
    /// Verifies a request.
    ///
    /// # Errors
    /// When the key that its method needs was not given.
    fn of(
        raw: &RawRequest<'_>,
        scheme: Scheme,
        material: &Material,
        now: u64,
    ) -> anyhow::Result<Self> {
        let (authorization, content_type) =
            (raw.values("authorization"), raw.values("content-type"));
        let request = Request {
            method: raw.method,
            scheme,
            authority: &raw.values("host").join(&b','),
            path_prefix: b"",
            target: raw.target,
            authorization: &authorization,
            content_type: &content_type,
            body: RequestBody::Whole(raw.body),
        };
        match request.parse(&ParseLimits::default()) {
            Ok(Some(signed)) => {
                let verdict = Self::of_signed(signed, material, now)?;
                let refused = verdict.verdict == Verdict::Refused;
                let diagnosis = refused
                    .then(|| material.diagnose(&request, forwarded(raw)))
                    .flatten();
                Ok(match diagnosis {
                    Some(diagnosis) => verdict.explained(diagnosis),
                    None => verdict,
                })
            }
            Ok(None) => Ok(Self::unsigned()),
            Err(rejection) => Ok(Self::refused(rejection)),
        }
    }

    fn of_signed(signed: SignedRequest<'_>, material: &Material, now: u64) -> anyhow::Result<Self> {
        material.suffices(&signed)?;
        material.warn(signed.signature_method())?;
        let base_string = Some(String::from_utf8_lossy(&signed.base_string()).into_owned());
        let verdict = match material.prove(signed) {
            Err(rejection) => Self::refused(rejection),
            Ok(Some(timestamp)) if timestamp.abs_diff(now) > WINDOW => {
                Self::out_of_time(timestamp, now)
            }
            Ok(_) => Self {
                verdict: Verdict::Verified,
                ..Self::default()
            },
        };
        Ok(Self {
            base_string,
            ..verdict
        })
    }

    fn unsigned() -> Self {
        Self {
            problem: Some("parameter_absent"),
            advice: Some(
                "sign the request with OAuth 1.0 (RFC 5849): it has no `oauth_*` parameter"
                    .to_owned(),
            ),
            ..Self::default()
        }
    }

    fn refused(rejection: Rejection) -> Self {
        let mismatch = rejection == Rejection::SignatureMismatch;
        let compare = if mismatch { COMPARE } else { "" };
        Self {
            verdict: Verdict::Refused,
            problem: Some(rejection.problem()),
            advice: Some(format!("{rejection}{compare}")),
            ..Self::default()
        }
    }

    fn explained(self, diagnosis: Diagnosis) -> Self {
        let cause = Some(diagnosis.cause());
        let Diagnosis {
            base_string,
            client_base_string,
            first_difference,
            remedy,
            ..
        } = diagnosis;
        Self {
            advice: self.advice.map(|advice| advice.replace(COMPARE, "")),
            base_string: Some(base_string),
            cause,
            client_base_string: Some(client_base_string),
            first_difference,
            remedy: Some(remedy),
            ..self
        }
    }

    fn out_of_time(timestamp: u64, now: u64) -> Self {
        let direction = if timestamp < now { "before" } else { "after" };
        let advice = format!(
            "the timestamp {timestamp} is {} s {direction} {now}, when the request arrived; {WINDOW} s are accepted",
            timestamp.abs_diff(now)
        );
        Self {
            verdict: Verdict::Refused,
            problem: Some("timestamp_refused"),
            advice: Some(advice),
            ..Self::default()
        }
    }

    fn print(&self, format: Output) -> anyhow::Result<()> {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let mut fields = vec![
            ("verdict", format!("{:?}", self.verdict).to_lowercase()),
            ("problem", text(self.problem)),
            ("advice", text(self.advice.as_deref())),
            ("cause", text(self.cause.as_deref())),
            ("remedy", text(self.remedy.as_deref())),
            ("base string", text(self.base_string.as_deref())),
        ];
        if let (Some(ours), Some(theirs), Some(at)) = (
            &self.base_string,
            &self.client_base_string,
            self.first_difference,
        ) {
            fields.extend(difference::fields(ours, theirs, at));
        }
        let format = match format {
            Output::Text => Format::Table,
            Output::Json => Format::Json,
        };
        output::record(format, self, &fields)
    }
}

/// What a signature is held against.
struct Material {
    consumer_secret: Option<Secret>,
    token_secret: Option<Secret>,
    old_secrets: Vec<Secret>,
    public_key: Option<RsaPublicKey>,
    compat: CompatSet,
}

impl Material {
    fn read(args: &Args) -> anyhow::Result<Self> {
        Ok(Self {
            consumer_secret: args.secrets.consumer()?,
            token_secret: args.secrets.token()?,
            old_secrets: args.old_consumer_secret.clone(),
            public_key: args.public_key.as_deref().map(public_key).transpose()?,
            compat: args.compat.iter().copied().collect(),
        })
    }

    /// Without the keys nothing could be said about the signature.
    fn suffices(&self, signed: &SignedRequest<'_>) -> Result<(), Usage> {
        let method = signed.signature_method();
        let missing = match (method.is_rsa(), &self.public_key, &self.consumer_secret) {
            (true, None, _) => "--public-key",
            (false, _, None) => "--consumer-secret",
            _ if !method.is_rsa() && signed.token().is_some() && self.token_secret.is_none() => {
                "--token-secret"
            }
            _ => return Ok(()),
        };
        Err(Usage(format!(
            "the request is signed with {method}: give {missing}"
        )))
    }

    /// The timestamp that was proven, if there is one.
    fn prove(&self, signed: SignedRequest<'_>) -> Result<Option<u64>, Rejection> {
        let schedule = KeySchedule::default();
        let verified = self.with_keys(|keys| {
            signed.verify_under(self.compat, keys, &schedule, BodyHashRule::Accept)
        })?;
        Ok(verified.request().timestamp())
    }

    /// Why it is refused, if that is known.
    fn diagnose(
        &self,
        request: &Request<'_>,
        forwarded: ForwardedHeaders<'_>,
    ) -> Option<Diagnosis> {
        let expired_secrets: Vec<_> = self.old_secrets.iter().map(Secret::expose).collect();
        self.with_keys(|&keys| {
            let evidence = MismatchEvidence {
                request,
                limits: &ParseLimits::default(),
                compat: self.compat,
                keys,
                expired_secrets: &expired_secrets,
                forwarded,
                received: None,
                setting: OriginSetting::Origin,
                reveal: true,
            };
            diagnose(&evidence, BUDGET)
        })
    }

    fn with_keys<R>(&self, with: impl FnOnce(&VerificationKeys<'_>) -> R) -> R {
        let consumer_secrets: Vec<_> = self.consumer_secret.iter().map(Secret::expose).collect();
        let rsa_public_keys: Vec<_> = self.public_key.iter().collect();
        with(&VerificationKeys {
            consumer_secrets: &consumer_secrets,
            token_secret: self.token_secret.as_ref().map(Secret::expose),
            rsa_public_keys: &rsa_public_keys,
        })
    }

    /// What a service would not let pass by default.
    fn warn(&self, method: SignatureMethod) -> io::Result<()> {
        let bits = self
            .public_key
            .as_ref()
            .filter(|_| method.is_rsa())
            .map(RsaPublicKey::bits);
        if let Some(bits) = bits.filter(|&bits| bits < MIN_RSA_BITS) {
            warn(&format!(
                "the RSA key has {bits} bits; a consumer needs at least {MIN_RSA_BITS}"
            ))?;
        }
        match method {
            SignatureMethod::Plaintext => warn(
                "PLAINTEXT sends the secrets and protects nothing else; it is refused unless it is allowed",
            ),
            SignatureMethod::RsaSha1 => {
                warn("RSA-SHA1 is refused unless the consumer is allowed to use it")
            }
            SignatureMethod::HmacSha1
            | SignatureMethod::HmacSha256
            | SignatureMethod::HmacSha512
            | SignatureMethod::RsaSha256
            | SignatureMethod::RsaSha512 => Ok(()),
        }
    }
}

/// What proxies wrote into the request.
fn forwarded<'r>(raw: &'r RawRequest<'_>) -> ForwardedHeaders<'r> {
    let header = |name| raw.values(name).into_iter().next();
    ForwardedHeaders {
        host: header("x-forwarded-host"),
        proto: header("x-forwarded-proto"),
        port: header("x-forwarded-port"),
        prefix: header("x-forwarded-prefix"),
        original_path: header("x-envoy-original-path"),
    }
}

fn profiles() -> impl TypedValueParser<Value = CompatProfile> {
    let named = |name: String| CompatProfile::from_name(&name).ok_or("no compat profile");
    PossibleValuesParser::new(CompatProfile::ALL.map(CompatProfile::name)).try_map(named)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut capture = Vec::new();
        io::stdin()
            .lock()
            .read_to_end(&mut capture)
            .context("standard input")?;
        return Ok(capture);
    }
    std::fs::read(file).with_context(|| file.display().to_string())
}

fn public_key(file: &Path) -> anyhow::Result<RsaPublicKey> {
    let pem = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    RsaPublicKey::from_pem(&pem).with_context(|| file.display().to_string())
}

fn warn(text: &str) -> io::Result<()> {
    use io::Write as _;
    writeln!(io::stderr(), "warning: {text}")
}

impl From<SchemeArg> for Scheme {
    fn from(scheme: SchemeArg) -> Self {
        match scheme {
            SchemeArg::Http => Self::Http,
            SchemeArg::Https => Self::Https,
        }
    }
}
