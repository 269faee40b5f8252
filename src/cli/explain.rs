//! `countersign explain`: verifies a captured request offline, and explains why it is refused.
//!
//! The caller supplies the secrets, since the command knows no consumers. It cannot check the nonce
//! or the rights of the consumer, which only a running service knows. It masks nothing, since the
//! caller has the request and the secrets.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use countersign::clock::{Clock as _, SystemClock};
use countersign::model::{MIN_RSA_BITS, Secret};
use countersign::oauth::diagnosis::{
    BUDGET, Diagnosis, ForwardedHeaders, MismatchEvidence, OriginSetting, diagnose,
    passing_profiles,
};
use countersign::oauth::{
    BodyHashRule, CompatProfile, CompatSet, KeySchedule, ParseLimits, Rejection, Request,
    RsaPublicKey, Scheme, SignatureMethod, SignedRequest, VerificationKeys,
};
use serde::Serialize;

use super::capture::{self, CaptureHints, CapturedRequest};
use super::exit::Usage;
use super::output::{self, Format};
use super::shared_secrets::SharedSecrets;
use super::{difference, input, secret_input, would_pass};

/// The arguments of `countersign explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// File with the request, in one of the formats below; - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Scheme with which the request reached Envoy [default: that of the capture, else https]
    #[arg(long, value_enum)]
    scheme: Option<SchemeArg>,
    /// Host header, for captures without one, such as access logs [default: that of the capture]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Number of the request in a capture of several, from 1 [default: the only one with OAuth
    /// parameters]
    #[arg(long, value_name = "NUMBER")]
    entry: Option<usize>,
    #[command(flatten)]
    secrets: SharedSecrets,
    /// Replaced consumer secret that the client may still use; repeat for several [default: none]
    #[arg(long, value_name = "SECRET", value_parser = secret_input::inline)]
    old_consumer_secret: Vec<Secret>,
    /// Compat profile of the consumer; repeat for several [default: none]
    #[arg(long, value_name = "PROFILE", value_parser = profiles())]
    compat: Vec<CompatProfile>,
    /// PEM file with the consumer's RSA public key or certificate, for the RSA methods
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Time at which the request arrived, Unix time in seconds [default: that of the capture, else
    /// now]
    #[arg(long, value_name = "SECONDS")]
    at: Option<u64>,
    /// Format of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: ExplainFormat,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SchemeArg {
    Http,
    Https,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum ExplainFormat {
    /// Text for people; its layout may change between versions
    #[default]
    Text,
    /// JSON for programs: one object, with null for missing values
    Json,
}

/// Runs the command. A refused or unsigned request is status 1, so any error is 64.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let explained = explain(args).map_err(|error| Usage(format!("{error:#}")))?;
    explained.print(args.output)?;
    Ok(match explained.verdict {
        Verdict::Verified => ExitCode::SUCCESS,
        Verdict::Refused | Verdict::Unsigned => ExitCode::FAILURE,
    })
}

fn explain(args: &Args) -> anyhow::Result<RequestReport> {
    let capture = input::bytes_up_to(&args.file, capture::MAX_BYTES)?;
    let keys = ExplainKeys::read(args)?;
    let hints = CaptureHints {
        entry: args.entry,
        host: args.host.as_deref(),
    };
    let capture = capture::read(&capture, hints).with_context(|| input::name(&args.file))?;
    let request = &capture.request;
    let scheme = args.scheme.map(Scheme::from).or(request.scheme);
    let arrival = Arrival::of(args.at.or(request.time));
    let report = RequestReport::of(request, scheme.unwrap_or(Scheme::Https), &keys, arrival)?;
    let unknown_scheme = scheme.is_none().then(|| NO_SCHEME.to_owned());
    let unknown_time = (arrival.is_assumed && report.is_out_of_time()).then(|| NO_TIME.to_owned());
    Ok(RequestReport {
        read_as: capture.format.name(),
        read: format!("{}{}", capture.format, capture.choice),
        entry: (capture.choice.of > 1).then_some(capture.choice.number),
        unknown: unknown_scheme
            .into_iter()
            .chain(unknown_time)
            .chain(request.unknown.iter().cloned())
            .collect(),
        ..report
    })
}

/// The time at which the request arrived.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    /// Unix time in seconds.
    at: u64,
    /// True for now, because neither the caller nor the capture names a time.
    is_assumed: bool,
}

impl Arrival {
    fn of(known: Option<u64>) -> Self {
        Self {
            at: known.unwrap_or_else(|| SystemClock.now().as_secs()),
            is_assumed: known.is_none(),
        }
    }
}

/// The fields of `--output json`.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct RequestReport {
    verdict: Verdict,
    /// The name of the format of the capture.
    read_as: &'static str,
    /// The format for people, with the number of the request.
    #[serde(skip)]
    read: String,
    /// The number of the request in a capture of several.
    entry: Option<usize>,
    /// A sentence about each part that the capture lacks.
    unknown: Vec<String>,
    problem: Option<&'static str>,
    advice: Option<String>,
    base_string: Option<String>,
    /// The cause of a signature mismatch; two causes are joined by `+`.
    cause: Option<String>,
    /// The base string that the client signed.
    client_base_string: Option<String>,
    /// The offset of the first difference between the base strings, in bytes.
    first_difference: Option<usize>,
    /// The change that corrects the client.
    remedy: Option<String>,
    /// The compat profiles that would let the request pass, if no other change is made.
    compat_profiles: Option<Vec<&'static str>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Verified,
    Refused,
    #[default]
    Unsigned,
}

impl RequestReport {
    /// Verifies a request.
    ///
    /// # Errors
    /// When a key that its method needs was not given.
    fn of(
        raw: &CapturedRequest,
        scheme: Scheme,
        keys: &ExplainKeys,
        arrival: Arrival,
    ) -> anyhow::Result<Self> {
        let (authorization, content_type) =
            (raw.values("authorization"), raw.values("content-type"));
        let request = Request {
            method: &raw.method,
            scheme,
            authority: &raw.values("host").join(&b','),
            path_prefix: b"",
            target: &raw.target,
            authorization: &authorization,
            content_type: &content_type,
            body: raw.body(),
        };
        match request.parse(&ParseLimits::default()) {
            Ok(Some(signed)) => {
                if let Err(missing) = keys.suffice(&signed) {
                    // A cause may need no more than the keys that were given.
                    let diagnosis = keys.with_evidence(&request, forwarded(raw), |evidence| {
                        diagnose(evidence, THOROUGH_BUDGET)
                    });
                    let diagnosis = diagnosis.ok_or(missing)?;
                    let refused = Self::refused(Rejection::SignatureMismatch);
                    return Ok(refused.explained(Some(diagnosis)));
                }
                let verdict = Self::of_signed(signed, keys, arrival)?;
                if verdict.verdict == Verdict::Verified {
                    return Ok(verdict);
                }
                Ok(keys.with_evidence(&request, forwarded(raw), |evidence| {
                    verdict
                        .explained(diagnose(evidence, THOROUGH_BUDGET))
                        .passing_with(passing_profiles(evidence, CompatSet::NONE, THOROUGH_BUDGET))
                }))
            }
            Ok(None) => Ok(Self::unsigned()),
            Err(Rejection::SignatureMethodUnsupported) => Ok(Self::unsupported_method(raw)),
            Err(rejection) => Ok(Self::refused(rejection)),
        }
    }

    /// Names the method that was sent, which a service never repeats.
    fn unsupported_method(raw: &CapturedRequest) -> Self {
        let refused = Self::refused(Rejection::SignatureMethodUnsupported);
        let sent = raw.protocol_value("oauth_signature_method");
        let methods = SignatureMethod::ALL.map(SignatureMethod::name).join(", ");
        Self {
            advice: Some(format!(
                "unsupported `oauth_signature_method` {:?}: expected one of {methods}, in capitals",
                sent.unwrap_or_default()
            )),
            ..refused
        }
    }

    fn of_signed(
        signed: SignedRequest<'_>,
        keys: &ExplainKeys,
        arrival: Arrival,
    ) -> anyhow::Result<Self> {
        keys.suffice(&signed)?;
        keys.warn(signed.signature_method());
        let base_string = Some(String::from_utf8_lossy(&signed.base_string()).into_owned());
        let verdict = match keys.prove(signed) {
            Err(rejection) => Self::refused(rejection),
            Ok(Some(timestamp)) if timestamp.abs_diff(arrival.at) > WINDOW => {
                Self::out_of_time(timestamp, arrival)
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
                "the request has no `oauth_*` parameter: sign it with OAuth 1.0a (RFC 5849)"
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

    /// Adds the explanation, if there is any.
    fn explained(self, diagnosis: Option<Diagnosis>) -> Self {
        let Some(diagnosis) = diagnosis else {
            return self;
        };
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

    /// Adds the profiles that would let the request pass, if there are any.
    fn passing_with(self, profiles: CompatSet) -> Self {
        let names = profiles.iter().map(CompatProfile::name).collect();
        Self {
            compat_profiles: (!profiles.is_empty()).then_some(names),
            ..self
        }
    }

    /// Refuses a correct signature for its timestamp.
    fn out_of_time(timestamp: u64, Arrival { at, is_assumed }: Arrival) -> Self {
        let direction = if timestamp < at { "before" } else { "after" };
        let (meaning, remedy) = if is_assumed {
            ("the current time", PASS_TIME)
        } else {
            ("the time of arrival", "")
        };
        let advice = format!(
            "the signature is correct, but the timestamp {timestamp} is {} s {direction} {at}, {meaning}; at most {WINDOW} s are accepted{remedy}",
            timestamp.abs_diff(at)
        );
        Self {
            verdict: Verdict::Refused,
            problem: Some(OUT_OF_TIME),
            advice: Some(advice),
            ..Self::default()
        }
    }

    fn is_out_of_time(&self) -> bool {
        self.problem == Some(OUT_OF_TIME)
    }

    /// Returns true for a mismatch without a known cause.
    fn is_unexplained(&self) -> bool {
        let advice = self.advice.as_deref().unwrap_or_default();
        self.cause.is_none() && advice.ends_with(COMPARE)
    }

    fn print(&self, format: ExplainFormat) -> anyhow::Result<()> {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let (no_cause, no_remedy) = if self.is_unexplained() {
            (Some("none"), Some(NO_CAUSE))
        } else {
            (None, None)
        };
        let profiles = self.compat_profiles.as_deref().unwrap_or_default();
        let mut fields = vec![
            ("verdict", format!("{:?}", self.verdict).to_lowercase()),
            ("read as", self.read.clone()),
            ("unknown", self.unknown.join("; ")),
            ("problem", text(self.problem)),
            ("advice", text(self.advice.as_deref())),
            ("cause", text(self.cause.as_deref().or(no_cause))),
            ("remedy", text(self.remedy.as_deref().or(no_remedy))),
            (would_pass::LABEL, would_pass::text(profiles)),
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
            ExplainFormat::Text => Format::Table,
            ExplainFormat::Json => Format::Json,
        };
        output::record(format, self, &fields)
    }
}

/// The keys that a signature is verified with.
struct ExplainKeys {
    consumer_secret: Option<Secret>,
    token_secret: Option<Secret>,
    old_secrets: Vec<Secret>,
    public_key: Option<RsaPublicKey>,
    compat: CompatSet,
}

impl ExplainKeys {
    fn read(args: &Args) -> anyhow::Result<Self> {
        Ok(Self {
            consumer_secret: args.secrets.consumer()?,
            token_secret: args.secrets.token()?,
            old_secrets: args.old_consumer_secret.clone(),
            public_key: args.public_key.as_deref().map(public_key).transpose()?,
            compat: args.compat.iter().copied().collect(),
        })
    }

    /// Checks that the keys of the signature method are there.
    fn suffice(&self, signed: &SignedRequest<'_>) -> Result<(), Usage> {
        let method = signed.signature_method();
        let missing = match (method.is_rsa(), signed.token().is_some()) {
            (true, _) if self.public_key.is_none() => "--public-key",
            (false, _) if self.consumer_secret.is_none() => "--consumer-secret",
            (false, true) if self.token_secret.is_none() => "--token-secret",
            _ => return Ok(()),
        };
        Err(Usage(format!(
            "the request is signed with {method}, which needs {missing}"
        )))
    }

    /// Verifies the signature and the type of the body; returns the timestamp, if the request has
    /// one.
    fn prove(&self, signed: SignedRequest<'_>) -> Result<Option<u64>, Rejection> {
        let schedule = KeySchedule::default();
        let verified = self.with_keys(|keys| {
            signed.verify_under(self.compat, keys, &schedule, BodyHashRule::Accept)
        })?;
        let request = verified.request();
        request.refuse_unclear_body(BodyHashRule::Accept)?;
        Ok(request.timestamp())
    }

    fn with_evidence<R>(
        &self,
        request: &Request<'_>,
        forwarded: ForwardedHeaders<'_>,
        with: impl FnOnce(&MismatchEvidence<'_>) -> R,
    ) -> R {
        let expired_secrets: Vec<_> = self.old_secrets.iter().map(Secret::expose).collect();
        self.with_keys(|&keys| {
            with(&MismatchEvidence {
                request,
                limits: &ParseLimits::default(),
                compat: self.compat,
                keys,
                expired_secrets: &expired_secrets,
                forwarded,
                received: None,
                setting: OriginSetting::Origin,
                reveal: true,
            })
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

    /// Warns about methods and keys that a service refuses by default.
    fn warn(&self, method: SignatureMethod) {
        let key = self.public_key.as_ref().filter(|_| method.is_rsa());
        if let Some(bits) = key
            .map(RsaPublicKey::bits)
            .filter(|&bits| bits < MIN_RSA_BITS)
        {
            output::note(&format!(
                "warning: the RSA key has {bits} bits; a consumer needs at least {MIN_RSA_BITS}"
            ));
        }
        match method {
            SignatureMethod::Plaintext => output::note(PLAINTEXT),
            SignatureMethod::RsaSha1 => output::note(RSA_SHA1),
            SignatureMethod::HmacSha1
            | SignatureMethod::HmacSha256
            | SignatureMethod::HmacSha512
            | SignatureMethod::RsaSha256
            | SignatureMethod::RsaSha512 => {}
        }
    }
}

/// Returns the headers that proxies added to the request.
fn forwarded(raw: &CapturedRequest) -> ForwardedHeaders<'_> {
    ForwardedHeaders::of(|name| raw.values(name).into_iter().next())
}

fn profiles() -> impl TypedValueParser<Value = CompatProfile> {
    let named = |name: String| CompatProfile::from_name(&name).ok_or("no compat profile");
    PossibleValuesParser::new(CompatProfile::ALL.map(CompatProfile::name)).try_map(named)
}

fn public_key(file: &Path) -> anyhow::Result<RsaPublicKey> {
    RsaPublicKey::from_pem(&input::text(file)?).with_context(|| input::name(file))
}

impl From<SchemeArg> for Scheme {
    fn from(scheme: SchemeArg) -> Self {
        match scheme {
            SchemeArg::Http => Self::Http,
            SchemeArg::Https => Self::Https,
        }
    }
}

/// The accepted distance between `oauth_timestamp` and `--at` in seconds: the default of
/// `verify.timestamp_window`.
const WINDOW: u64 = 300;

/// The command explains one request, and nobody else waits: it searches longer than a service.
const THOROUGH_BUDGET: u32 = 5 * BUDGET;

const NO_SCHEME: &str = "the scheme: https is assumed; add --scheme http if the request reached \
                         Envoy without TLS";

const NO_TIME: &str = "the time: now is assumed";

/// The problem of a timestamp outside the window.
const OUT_OF_TIME: &str = "timestamp_refused";

/// The end of the advice if the time of arrival is unknown.
const PASS_TIME: &str = "; if the request arrived at another time, pass that time with --at";

/// The remedy in the text output if the cause is unknown.
const NO_CAUSE: &str = "check that the secrets belong to this consumer key and token; see \"No \
                        known cause\" in docs/debugging.md";

/// The advice if the cause is unknown.
const COMPARE: &str = ": compare the base string with the client's, then the secrets";

const PLAINTEXT: &str = "warning: PLAINTEXT sends the secrets and protects nothing else; it is \
                         refused unless the consumer is allowed to use it";

const RSA_SHA1: &str = "warning: RSA-SHA1 is refused unless the consumer is allowed to use it";

const AFTER_HELP: &str = "\
Formats, detected by their content:
  HTTP request             request line, headers, empty line, body
  curl -v, curl --trace    the output, with the curl command above it for the body
  HTTP/2 headers           :method: GET and so on, of Chrome, nghttp or curl
  HAR                      of a browser or a proxy
  Envoy tap trace          JSON, buffered or streamed
  access log               lines with the request line and the Authorization header, or JSON
  curl command             as browsers copy it for bash and cmd
  fetch, axios, Postman    a call or a configuration of plain values; a collection

Exit status:
  0   the request is verified
  1   the request is refused or unsigned
  64  wrong usage, an unreadable file, or a missing secret";
