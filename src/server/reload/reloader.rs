//! The loop that reloads, and the one place that replaces what is in use.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::changes::ChangeDetector;
use super::expiry::ExpiryWarnings;
use super::files::FileStates;
use super::inputs::{ReadFiles, ReloadInputs, read};
use super::source::ReloadSource;
use crate::config::Config;
use crate::server::app::App;
use crate::server::assembly::{ListenerServices, SharedParts};
use crate::server::transport::{ClientAuthority, ListenerCertificate, LoadedTls};

/// Replaces the configuration of a running service.
pub(in crate::server) struct Reloader<'s> {
    /// The components in use.
    app: App,
    shared: &'s SharedParts,
    services: ListenerServices,
    listeners: [ListenerCertificate; 4],
    expiry: ExpiryWarnings,
    /// The last reload, if it was refused.
    refused: Option<Refusal>,
    /// The configuration in use, for others.
    current: watch::Sender<Arc<Config>>,
}

/// A refused reload.
struct Refusal {
    mistakes: String,
    at: Instant,
}

impl<'s> Reloader<'s> {
    /// Returns a reloader of a service that runs with `app`.
    pub(in crate::server) fn new(
        app: App,
        shared: &'s SharedParts,
        services: ListenerServices,
        listeners: [ListenerCertificate; 4],
    ) -> Self {
        let mut reloader = Self {
            current: watch::Sender::new(Arc::clone(&app.config)),
            app,
            shared,
            services,
            listeners,
            expiry: ExpiryWarnings::default(),
            refused: None,
        };
        reloader.export();
        reloader
    }

    /// Returns the configuration in use, at each time.
    pub(in crate::server) fn current(&self) -> watch::Receiver<Arc<Config>> {
        self.current.subscribe()
    }

    /// Reloads from `source` and warns about certificates, until the future is dropped.
    pub(in crate::server) async fn follow(&mut self, source: Option<ReloadSource>) -> Infallible {
        let Some(mut source) = source else {
            return pending().await;
        };
        let mut files = std::mem::take(&mut source.files);
        files = off_thread(move || {
            files.add_created();
            files
        })
        .await
        .unwrap_or_default();
        let (source, mut changes) = (Arc::new(source), ChangeDetector::new(files));
        loop {
            let is_polled = !self.app.config.reload.interval.is_zero();
            let must_read = tokio::select! {
                () = source.requests.notified() => {
                    self.refused = None;
                    true
                }
                () = sleep(self.pause()) => {
                    self.look_at_expiry();
                    is_polled && (look(&mut changes).await || self.is_retry_due())
                }
            };
            if must_read {
                let report = self.shared.health.reload_report();
                let states = self.reload(&source).await;
                drop(report);
                if let Some(states) = states {
                    changes.was_read(states);
                }
            }
        }
    }

    /// Reads everything, and uses it if there is no mistake. Returns the contents that were read.
    async fn reload(&mut self, source: &Arc<ReloadSource>) -> Option<FileStates> {
        let ReadFiles {
            inputs,
            mut states,
            is_stable,
        } = self.read(source).await?;
        let inputs = inputs.and_then(|inputs| {
            is_stable
                .then_some(inputs)
                .ok_or_else(|| vec![CHANGING.to_owned()])
        });
        let applied = inputs.and_then(|inputs| self.apply(inputs, source));
        match applied {
            Ok(()) => self.refused = None,
            Err(mistakes) => self.refuse(&mistakes),
        }
        let running = source.files(&self.app.config);
        off_thread(move || {
            states.extend(running);
            states
        })
        .await
    }

    /// Reads everything, again if a file changed meanwhile.
    async fn read(&self, source: &Arc<ReloadSource>) -> Option<ReadFiles> {
        let mut attempts = 0;
        loop {
            let (source, app, listeners) =
                (Arc::clone(source), self.app.clone(), self.listeners.clone());
            let files = off_thread(move || read(&source, &app, &listeners)).await?;
            attempts += 1;
            if files.is_stable || attempts == ATTEMPTS {
                return Some(files);
            }
            sleep(PAUSE).await;
        }
    }

    /// Uses `inputs` from now on. After the first step, which may fail, nothing fails or waits.
    fn apply(&mut self, inputs: ReloadInputs, source: &ReloadSource) -> Result<(), Vec<String>> {
        let ReloadInputs {
            config,
            needs_restart,
            admin_token,
            issuer_token,
            directory,
            logo,
            master_keys,
            certificates,
        } = inputs;
        let app = App {
            config: Arc::new(config),
            admin_token,
            issuer_token,
            directory,
            logo,
            ..self.app.clone()
        };
        let clients = api_clients(&self.listeners, &certificates);
        let services = self.services.prepare(&app, self.shared, clients);
        let services = services.map_err(|error| vec![error.to_string()])?;

        if let Some(keys) = master_keys {
            app.store.use_keys(keys);
        }
        for (listener, loaded) in self.listeners.iter().zip(certificates) {
            if let (Some(tls), Some(loaded)) = (&listener.tls, loaded) {
                tls.replace(loaded);
            }
        }
        self.shared.gate.set_admin_token(app.admin_token.clone());
        self.shared.diagnostics.set_rates(&app.config.diagnostics);
        self.services.replace(services);
        self.current.send_replace(Arc::clone(&app.config));
        self.app = app;
        self.report(&needs_restart, source);
        Ok(())
    }

    /// Logs and counts a successful reload.
    fn report(&mut self, needs_restart: &[&'static str], source: &ReloadSource) {
        let config = &self.app.config;
        if let Some(Err(error)) = source.log.as_ref().map(|log| log.set(&config.log.filter)) {
            tracing::error!(error = &error as &dyn std::error::Error, "log.filter stays");
        }
        tracing::info!(hash = hash(config), "reloaded the configuration");
        if !needs_restart.is_empty() {
            let keys = needs_restart.join(", ");
            tracing::warn!("restart to apply: {keys}; the other changes are in use");
        }
        log_warnings(config);
        self.app.metrics.config_reload(true);
        self.expiry.reset();
        self.export();
    }

    /// Returns the time until the next look at the files.
    fn pause(&self) -> Duration {
        let interval = self.app.config.reload.interval;
        match &self.refused {
            _ if interval.is_zero() => EXPIRY_INTERVAL,
            Some(_) => interval.min(RETRY_INTERVAL),
            None => interval,
        }
    }

    /// Returns true if a refused reload must be tried again. Its cause may lie outside of the files:
    /// a store whose canary the new master keys do not open yet.
    fn is_retry_due(&self) -> bool {
        let refused = self.refused.as_ref();
        refused.is_some_and(|refused| refused.at.elapsed() >= RETRY_INTERVAL)
    }

    /// Logs and counts a refused reload; a retry that is refused for the same reasons does neither.
    fn refuse(&mut self, mistakes: &[String]) {
        let (count, mistakes) = (mistakes.len(), mistakes.join("; "));
        let is_known = |refused: &Refusal| refused.mistakes == mistakes;
        if !self.refused.as_ref().is_some_and(is_known) {
            tracing::error!(
                count,
                mistakes,
                "refused to reload; everything stays as it was; correct the mistakes, and the files \
                 are read again"
            );
            self.app.metrics.config_reload(false);
        }
        self.refused = Some(Refusal {
            mistakes,
            at: Instant::now(),
        });
    }

    /// Exports the configuration in use as metrics.
    fn export(&mut self) {
        let (config, now) = (&self.app.config, self.app.clock.now());
        self.app.metrics.config_in_use(hash(config), now.as_secs());
        self.look_at_expiry();
    }

    fn look_at_expiry(&mut self) {
        let now = self.app.clock.now();
        self.expiry.look(&self.listeners, &self.app.metrics, now);
    }
}

/// Returns the authority of the api listener's clients once the listeners use `loaded`.
fn api_clients(
    [_, api, _, _]: &[ListenerCertificate; 4],
    [_, loaded, _, _]: &[Option<LoadedTls>; 4],
) -> Option<ClientAuthority> {
    match loaded {
        Some(loaded) => loaded.clients().cloned(),
        None => api.clients(),
    }
}

/// Logs the settings of `config` that are valid but risky.
pub(in crate::server) fn log_warnings(config: &Config) {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
}

/// Looks at the files; returns true if they changed and must be read.
async fn look(changes: &mut ChangeDetector) -> bool {
    let known = changes.known().clone();
    let seen = off_thread(move || known.again()).await;
    seen.is_some_and(|seen| changes.must_read(seen))
}

/// Runs `work`, which reads files, on a thread that may wait. Returns `None` if it panicked.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let done = spawn_blocking(work).await;
    done.inspect_err(|error| tracing::error!(%error, "reading the configuration panicked"))
        .ok()
}

/// Returns a hash of the configuration that differs between configurations of one release.
///
/// # Security
/// Metrics show it, so nothing secret is hashed: `Debug` omits the address of the store, which may
/// hold a password, and the configuration names files without their contents. 48 bits, as an exact
/// number of a gauge.
fn hash(config: &Config) -> u64 {
    let digest: [u8; 32] = Sha256::digest(format!("{config:?}")).into();
    digest[..6]
        .iter()
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The interval of looks at the expiry of certificates if the files are not looked at.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(1);

/// The time after which a refused reload is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// The attempts to read files that change meanwhile.
const ATTEMPTS: u32 = 5;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

const CHANGING: &str =
    "the files changed again and again while they were read; write them, then send SIGHUP";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreUrl;

    #[test]
    fn the_hash_depends_on_the_configuration_and_on_no_secret() {
        let mut config = Config::default();
        let first = hash(&config);
        assert!(first < 1 << 48 && first == hash(&config));
        config.check.realm = "other".to_owned();
        assert_ne!(first, hash(&config));
        let of_store = |url: &str| {
            let mut config = Config::default();
            config.store.url = StoreUrl::Redis(url.to_owned());
            hash(&config)
        };
        assert_eq!(
            of_store("redis://:hunter2@a"),
            of_store("redis://:secret@a")
        );
    }
}
