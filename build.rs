//! Generates the messages, client and server of `countersign.v1` from `proto/`, without protoc, and
//! describes the build for `countersign --version`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, error, fs};

use protox::Compiler;

const FILES: [&str; 7] = [
    "countersign/v1/backup.proto",
    "countersign/v1/consumer.proto",
    "countersign/v1/diagnostics.proto",
    "countersign/v1/store.proto",
    "countersign/v1/token.proto",
    "countersign/v1/user.proto",
    "countersign/v1/user_directory.proto",
];

/// The messages that the command line prints as JSON, with the field names of `proto/`.
const PRINTED: [&str; 14] = [
    "Consumer",
    "RsaPublicKey",
    "Token",
    "User",
    "RequestToken",
    "IntrospectTokenResponse",
    "Denial",
    "ConsumerReport",
    "DenialCount",
    "DenialDetail",
    "SignatureMethodCount",
    "RekeySummary",
    "MasterKeyCount",
    "UnreadableRecord",
];

/// The messages that carry secrets; their `Debug` is written by hand, without them.
const SECRET: [&str; 20] = [
    "ApplyConsumerRequest",
    "ApplyConsumerResponse",
    "CreateConsumerRequest",
    "CreateConsumerResponse",
    "RotateConsumerSecretRequest",
    "RotateConsumerSecretResponse",
    "CreateTokenRequest",
    "CreateTokenResponse",
    "IssuedToken",
    "ExchangePasswordRequest",
    "CreateRequestTokenResponse",
    "AuthorizeRequestTokenResponse",
    "RefuseRequestTokenResponse",
    "ExchangeRequestTokenRequest",
    "CreateUserRequest",
    "SetPasswordRequest",
    "AuthenticateRequest",
    "ConsumerSecrets",
    "TokenSecrets",
    "UserSecrets",
];

fn main() -> Result<(), Box<dyn error::Error>> {
    describe_build()?;
    generate_messages()
}

/// Sets COUNTERSIGN_VERSION: the version with commit and date.
///
/// The commit is the variable COUNTERSIGN_COMMIT, or that of the git repository, or the one that
/// `git archive` wrote. The date is SOURCE_DATE_EPOCH (reproducible-builds.org), or today.
fn describe_build() -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-env-changed=COUNTERSIGN_COMMIT");
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo:rerun-if-changed=build.rs");
    let version = env::var("CARGO_PKG_VERSION")?;
    let commit = env::var("COUNTERSIGN_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty())
        .or_else(git_commit)
        .or_else(archived_commit);
    let commit = commit.map_or_else(String::new, |commit| format!("commit {commit}, "));
    let date = build_date()?;
    println!("cargo:rustc-env=COUNTERSIGN_VERSION={version} ({commit}built {date})");
    Ok(())
}

/// Returns the commit of the repository whose root is this directory. An archive may lie within
/// another repository.
fn git_commit() -> Option<String> {
    let here = fs::canonicalize(env::var("CARGO_MANIFEST_DIR").ok()?).ok()?;
    let root = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    if fs::canonicalize(root).ok()? != here {
        return None;
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // Changes with each commit and checkout. Without a log, HEAD changes with each checkout.
    let watched = ["logs/HEAD", "HEAD"].iter().find_map(|name| {
        let path = PathBuf::from(git(&["rev-parse", "--git-path", name])?);
        path.exists().then_some(path)
    });
    if let Some(path) = watched {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    Some(commit)
}

/// Returns the commit in `.archive`: `git archive` replaces `$Format:%H$` there, see `.gitattributes`.
fn archived_commit() -> Option<String> {
    println!("cargo:rerun-if-changed=.archive");
    let text = fs::read_to_string(".archive").ok()?;
    let commit = text.trim().strip_prefix("commit ")?;
    let is_hash = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| commit.get(..12).map(str::to_owned))?
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Returns the date of the build, `2026-11-30`.
fn build_date() -> Result<String, Box<dyn error::Error>> {
    let time = match env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => {
            let seconds = seconds.trim().parse().map_err(|_| {
                format!("SOURCE_DATE_EPOCH must be a Unix time in seconds, not {seconds:?}")
            })?;
            UNIX_EPOCH
                .checked_add(Duration::from_secs(seconds))
                .ok_or("SOURCE_DATE_EPOCH is too large")?
        }
        Err(_) => now(),
    };
    let time = humantime::format_rfc3339_seconds(time).to_string();
    Ok(time.split('T').next().unwrap_or_default().to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a build has no `Clock`; SOURCE_DATE_EPOCH replaces the time"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

fn generate_messages() -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = Compiler::new(["proto"])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(FILES)?;

    let out = env::var("OUT_DIR")?;
    fs::write(
        Path::new(&out).join("countersign.v1.bin"),
        compiler.encode_file_descriptor_set(),
    )?;

    let mut code = tonic_prost_build::configure().codec_path("crate::v1::NamingCodec");
    for message in PRINTED {
        code = code.message_attribute(message, "#[derive(serde::Serialize)]");
    }
    for field in [
        "create_time",
        "update_time",
        "expire_time",
        "previous_secret_expire_time",
        "decision_time",
        "last_seen_time",
        "deprecated_at",
        "sunset_at",
    ] {
        code = code.field_attribute(
            field,
            r#"#[serde(serialize_with = "crate::v1::printing::timestamp")]"#,
        );
    }
    for (field, function) in [
        ("Consumer.status", "consumer_status"),
        ("Token.status", "token_status"),
        ("User.status", "user_status"),
        ("RequestToken.state", "request_token_state"),
        ("Denial.mode", "route_mode"),
    ] {
        code = code.field_attribute(
            field,
            format!(r#"#[serde(serialize_with = "crate::v1::printing::{function}")]"#),
        );
    }
    // The largest variant of its `oneof`.
    code = code.boxed(".countersign.v1.ExportSecretsResponse.record.consumer");
    code.skip_debug(SECRET)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
