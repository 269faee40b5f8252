//! The whole configuration, read section by section.

use std::path::PathBuf;

use super::api::ApiConfig;
use super::check::{CheckConfig, VerifyConfig};
use super::diagnostics::DiagnosticsConfig;
use super::http::{AuthorizeConfig, HttpConfig, IssueConfig};
use super::ops::{LogConfig, OpsConfig, ReloadConfig, ShutdownConfig};
use super::reader::Reader;
use super::route::{self, Route};
use super::scopes::ScopeWords;
use super::source::DEFAULT;
use super::store::{CacheConfig, StoreConfig};
use super::users::{PasswordConfig, UsersConfig};
use super::value;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of the embedded store, its key file and the admin token.
    pub data_dir: PathBuf,
    /// The number of threads that answer checks; `None` is one for each core.
    pub workers: Option<usize>,
    /// `[log]`.
    pub log: LogConfig,
    /// `[store]`.
    pub store: StoreConfig,
    /// `[cache]`.
    pub cache: CacheConfig,
    /// `[diagnostics]`.
    pub diagnostics: DiagnosticsConfig,
    /// `[verify]` and `[nonce]`.
    pub verify: VerifyConfig,
    /// `[check]`.
    pub check: CheckConfig,
    /// `[api]`.
    pub api: ApiConfig,
    /// `[http]`.
    pub http: HttpConfig,
    /// `[issue]`.
    pub issue: IssueConfig,
    /// `[authorize]`.
    pub authorize: AuthorizeConfig,
    /// `[users]`.
    pub users: UsersConfig,
    /// `[password]`.
    pub password: PasswordConfig,
    /// `[ops]`.
    pub ops: OpsConfig,
    /// `[reload]`.
    pub reload: ReloadConfig,
    /// `[shutdown]`.
    pub shutdown: ShutdownConfig,
    /// `[[route]]`, in order: the first that matches applies.
    pub routes: Vec<Route>,
    /// `[scopes]`: descriptions of scopes for the consent page.
    pub scopes: ScopeWords,
}

impl Config {
    /// The compiled-in default file with its comments.
    pub const DEFAULT_FILE: &str = DEFAULT;

    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            data_dir: data_dir(reader),
            workers: workers(reader),
            log: LogConfig::read(reader),
            store: StoreConfig::read(reader),
            cache: CacheConfig::read(reader),
            diagnostics: DiagnosticsConfig::read(reader),
            verify: VerifyConfig::read(reader),
            check: CheckConfig::read(reader),
            api: ApiConfig::read(reader),
            http: HttpConfig::read(reader),
            issue: IssueConfig::read(reader),
            authorize: AuthorizeConfig::read(reader),
            users: UsersConfig::read(reader),
            password: PasswordConfig::read(reader),
            ops: OpsConfig::read(reader),
            reload: ReloadConfig::read(reader),
            shutdown: ShutdownConfig::read(reader),
            routes: route::read(reader),
            scopes: ScopeWords::read(reader),
        }
    }
}

fn data_dir(reader: &mut Reader) -> PathBuf {
    reader.text("data_dir", value::path)
}

fn workers(reader: &mut Reader) -> Option<usize> {
    Some(reader.integer("workers", 0..=1024)).filter(|&workers| workers > 0)
}
