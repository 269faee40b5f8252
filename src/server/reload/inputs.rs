//! The reading of everything that a reload replaces.

use std::error::Error;
use std::sync::Arc;

use super::files::FileStates;
use super::source::{ReloadSource, files_of};
use crate::config::{self, Config, TlsConfig};
use crate::directory;
use crate::issue::Directory;
use crate::server::api::{AdminToken, IssuerToken};
use crate::server::app::App;
use crate::server::http::ServiceLogo;
use crate::server::named_files::with_causes;
use crate::server::transport::{ListenerCertificate, LoadedTls};
use crate::store::{self, ReplacementKeys};

/// A configuration and the content of its files, without a mistake.
pub(super) struct ReloadInputs {
    /// The configuration as this process can use it.
    pub(super) config: Config,
    /// The keys that differ and need a restart.
    pub(super) needs_restart: Vec<&'static str>,
    pub(super) admin_token: AdminToken,
    pub(super) issuer_token: Option<IssuerToken>,
    pub(super) directory: Option<Arc<dyn Directory>>,
    pub(super) logo: Option<Arc<ServiceLogo>>,
    /// `None` if the keys of the store are in memory alone.
    pub(super) master_keys: Option<ReplacementKeys>,
    /// One for each listener; `None` if it keeps what it has.
    pub(super) certificates: [Option<LoadedTls>; 4],
}

/// The outcome of reading, and the contents of the files that were read.
pub(super) struct ReadFiles {
    /// The inputs, or every mistake with its place and remedy.
    pub(super) inputs: Result<ReloadInputs, Vec<String>>,
    pub(super) states: FileStates,
    /// False if a file changed while it was read, so that the inputs may not fit together.
    pub(super) is_stable: bool,
}

/// Reads and checks everything for a service that runs with `app`. Blocks.
pub(super) fn read(
    source: &ReloadSource,
    app: &App,
    listeners: &[ListenerCertificate; 4],
) -> ReadFiles {
    let mut states = FileStates::of(source.files(&app.config));
    let inputs = read_config(source, &states).and_then(|config| {
        states.extend(files_of(&config, &source.variables));
        read_named(source, app, listeners, config)
    });
    ReadFiles {
        inputs,
        is_stable: states == states.again(),
        states,
    }
}

fn read_config(source: &ReloadSource, states: &FileStates) -> Result<Config, Vec<String>> {
    let file = source.sources.file.as_deref();
    if let Some(problem) = file.and_then(|file| states.problem(file)) {
        return Err(vec![problem]);
    }
    config::load(&source.sources).map_err(|error| {
        let mistakes = error.mistakes().iter();
        mistakes.map(ToString::to_string).collect()
    })
}

/// Reads every file that `config` names.
fn read_named(
    source: &ReloadSource,
    app: &App,
    listeners: &[ListenerCertificate; 4],
    config: Config,
) -> Result<ReloadInputs, Vec<String>> {
    let mut mistakes = Mistakes::default();
    let configured = tls_of(&config).map(Option::<&TlsConfig>::cloned);
    let (config, needs_restart) = config.within_process(&app.config);
    let mut number = 0;
    let certificates = listeners.each_ref().map(|listener| {
        let configured = configured[number].as_ref();
        number += 1;
        certificate(listener, configured, &mut mistakes)
    });
    let admin_token = mistakes.take(AdminToken::read_again(
        &config.data_dir,
        source.variables.admin.as_deref(),
    ));
    let issuer_token = admin_token.as_ref().and_then(|admin| {
        mistakes.take(IssuerToken::load(
            config.api.issuer_token_file.as_deref(),
            source.variables.issuer.as_deref(),
            Some(admin),
        ))
    });
    let directory = mistakes.take(directory::open(&config.users));
    let logo = mistakes.take(ServiceLogo::load(config.authorize.logo_file.as_deref()));
    let master_keys = mistakes.take(master_keys(app, &config));
    match (admin_token, issuer_token, directory, logo, master_keys) {
        (Some(admin_token), Some(issuer_token), Some(directory), Some(logo), Some(master_keys))
            if mistakes.0.is_empty() =>
        {
            Ok(ReloadInputs {
                config,
                needs_restart,
                admin_token,
                issuer_token,
                directory,
                logo: logo.map(Arc::new),
                master_keys,
                certificates,
            })
        }
        _ => Err(mistakes.0),
    }
}

/// Reads the files of a listener, even if it uses them only after a restart.
fn certificate(
    listener: &ListenerCertificate,
    configured: Option<&TlsConfig>,
    mistakes: &mut Mistakes,
) -> Option<LoadedTls> {
    let loaded = LoadedTls::load(configured?, listener.protocol);
    let name = listener.listener;
    let loaded = loaded.map_err(|error| format!("[{name}.tls]: {}", with_causes(&error)));
    match loaded {
        Ok(loaded) => listener.tls.is_some().then_some(loaded),
        Err(mistake) => {
            mistakes.0.push(mistake);
            None
        }
    }
}

/// Reads the master keys, which must open the records of the store.
fn master_keys(app: &App, config: &Config) -> Result<Option<ReplacementKeys>, store::StoreError> {
    let keys = store::read_keys(&config.store, &config.data_dir)?;
    if let Some(keys) = &keys {
        app.store.check_keys(keys)?;
    }
    Ok(keys)
}

fn tls_of(config: &Config) -> [Option<&TlsConfig>; 4] {
    [
        &config.check.listener,
        &config.api.listener,
        &config.http.listener,
        &config.ops.listener,
    ]
    .map(|listener| listener.tls.as_ref())
}

/// The mistakes so far.
#[derive(Default)]
struct Mistakes(Vec<String>);

impl Mistakes {
    fn take<T, E: Error>(&mut self, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.0.push(with_causes(&error))).ok()
    }
}
