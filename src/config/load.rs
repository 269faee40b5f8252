//! Reads all sections and checks the rules between them.

use std::path::PathBuf;

use super::api::ApiConfig;
use super::check::{CheckConfig, VerifyConfig};
use super::diagnostics::DiagnosticsConfig;
use super::http::{AuthorizeConfig, HttpConfig, IssueConfig};
use super::mistake::ConfigError;
use super::ops::{LogConfig, OpsConfig, ShutdownConfig};
use super::reader::Reader;
use super::scopes::ScopeWords;
use super::source::Sources;
use super::store::{CacheConfig, StoreConfig};
use super::users::{PasswordConfig, UsersConfig};
use super::{Config, route, rules, value};

/// Reads the configuration from its sources.
///
/// # Errors
/// When there is a mistake; the error lists all of them, each with its place, key and remedy.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut reader = Reader::new(sources);
    let config = sections(&mut reader);
    rules::check(&config, &mut reader);
    reader.finish()?;
    Ok(config)
}

impl Default for Config {
    /// Returns the configuration of [`Self::DEFAULT_FILE`].
    fn default() -> Self {
        load(&Sources::default()).expect("the compiled-in default has no mistake; a test proves it")
    }
}

fn sections(reader: &mut Reader) -> Config {
    Config {
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
        shutdown: ShutdownConfig::read(reader),
        routes: route::read(reader),
        scopes: ScopeWords::read(reader),
    }
}

fn data_dir(reader: &mut Reader) -> PathBuf {
    reader.text("data_dir", value::path)
}

fn workers(reader: &mut Reader) -> Option<usize> {
    Some(reader.integer("workers", 0..=1024)).filter(|&workers| workers > 0)
}
