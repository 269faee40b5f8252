//! `[api]`: the administration API.

use std::path::PathBuf;

use super::listener::ListenerConfig;
use super::reader::Reader;
use super::value;

/// `[api]`.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// The listener of `countersign.v1`.
    pub listener: ListenerConfig,
    /// The file with the issuers' token, if they have one.
    pub issuer_token_file: Option<PathBuf>,
    /// Names in client certificates that replace the admin token.
    pub admin_clients: Vec<String>,
    /// Names in client certificates that replace the issuer token.
    pub issuer_clients: Vec<String>,
    /// The permission of administrators to export secrets in plaintext.
    pub allow_plaintext_export: bool,
}

impl ApiConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            listener: ListenerConfig::read_with_age(reader, "api"),
            issuer_token_file: reader.text("api.issuer_token_file", value::optional_path),
            admin_clients: reader.text("api.admin_clients", value::words),
            issuer_clients: reader.text("api.issuer_clients", value::words),
            allow_plaintext_export: reader.boolean("api.allow_plaintext_export"),
        }
    }
}
