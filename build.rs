//! Generates the messages, client and server of `countersign.v1` from `proto/`, without protoc.

use std::path::Path;
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
