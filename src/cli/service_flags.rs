//! The flags that override keys of the configuration, shared by `serve`, `config check` and `config
//! show`.

use std::path::PathBuf;

use countersign::config::Sources;
use countersign::server::api::{AdminToken, IssuerToken};
use countersign::server::reload::TokenVariables;

use super::input::environment;

/// The flags. Each overrides its COUNTERSIGN_* variable, which overrides the file.
#[derive(Debug, clap::Args)]
pub(crate) struct ServiceFlags {
    /// Directory of the embedded store, its key file and the admin token [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Store: embedded:FILE, memory:, or redis://… (also rediss, redis+sentinel, redis+cluster)
    /// [default: embedded:countersign.redb]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// File with the keys that encrypt records in the store [default: none, created for an embedded
    /// store]
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<String>,
    /// Listener for Envoy: IP:PORT or unix:PATH [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDR")]
    check: Option<String>,
    /// Listener of the administration API: IP:PORT or unix:PATH [default: 127.0.0.1:50052]
    #[arg(long, value_name = "ADDR")]
    api: Option<String>,
    /// Listener of /oauth/…, where clients obtain tokens: IP:PORT or unix:PATH [default:
    /// 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// Listener of probes, metrics and the console: IP:PORT or unix:PATH [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR")]
    ops: Option<String>,
    /// Number of threads that answer checks, 0 to 1024; 0 is one for each core [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    workers: Option<String>,
}

impl ServiceFlags {
    /// Returns the sources of the configuration: the file, the environment and these flags.
    pub(crate) fn into_sources(self, file: Option<PathBuf>) -> Sources {
        let flags = [
            ("data_dir", self.data_dir),
            ("store.url", self.store),
            ("store.master_key_file", self.master_key_file),
            ("check.listen", self.check),
            ("api.listen", self.api),
            ("http.listen", self.http),
            ("ops.listen", self.ops),
            ("workers", self.workers),
        ];
        let flags = flags
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
        Sources {
            file,
            env: environment(),
            flags,
        }
    }
}

/// Returns the variables that hold tokens.
pub(crate) fn token_variables() -> TokenVariables {
    TokenVariables {
        admin: std::env::var(AdminToken::VARIABLE).ok(),
        issuer: std::env::var(IssuerToken::VARIABLE).ok(),
    }
}
