//! The credentials and certificates of connections to Redis, its Sentinels and the nodes of a
//! Cluster.
//!
//! They are in files (`credential_files`) or in `store.url`. The files are read again every
//! [`INTERVAL`], and at once if a connection fails in a way that a change explains. A connection
//! takes what was read last; connections that were made before stay as they are. The connection to
//! a Cluster is an exception: it connects to new nodes by itself, with the credentials that it was
//! made with, so a change ends the term of the servers (`server_term`).
//!
//! While a file cannot be used, the last good content of all files stays in use.
//!
//! # Security
//! The Redis client trusts a list of its own if it is given no CA certificates. So every connection
//! with TLS is made here, with those of the file or of the system.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, RedisResult, TlsCertificates,
};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::credential_files::{CredentialContent, CredentialFileError, Login, system_roots};
use crate::config::ConnectionFiles;

/// The credentials and certificates.
pub(super) struct Credentials {
    files: ConnectionFiles,
    /// Set for TLS without a file of CA certificates.
    trusts_system: bool,
    current: watch::Sender<Arc<CredentialContent>>,
    /// Held while the files are read, so that no older content replaces a newer one.
    reading: Mutex<()>,
    /// Notified when a connection failed in a way that a change of a file explains.
    hint: Notify,
}

/// The treatment of the certificates of the system, which take long to read.
#[derive(Clone, Copy)]
enum SystemRoots {
    Read,
    Keep,
}

/// The credentials at one time.
#[derive(Clone, Default)]
pub(super) struct CurrentCredentials(Arc<CredentialContent>);

// === impl Credentials ===

impl Credentials {
    /// Reads the files, and without one of CA certificates those of the system, if the connections
    /// use TLS.
    ///
    /// # Errors
    /// If one of them cannot be used.
    pub(super) fn load(
        files: &ConnectionFiles,
        is_tls: bool,
    ) -> Result<Arc<Self>, CredentialFileError> {
        let credentials = Self {
            files: files.clone(),
            trusts_system: is_tls && files.ca_file.is_none(),
            current: watch::Sender::default(),
            reading: Mutex::default(),
            hint: Notify::new(),
        };
        credentials.read(SystemRoots::Read)?;
        Ok(Arc::new(credentials))
    }

    /// Returns the credentials of a URL alone.
    #[cfg(test)]
    pub(super) fn none() -> Arc<Self> {
        Self::load(&ConnectionFiles::default(), false).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Returns what was read last.
    pub(super) fn current(&self) -> CurrentCredentials {
        CurrentCredentials(Arc::clone(&self.current.borrow()))
    }

    /// Reads the files again, since a connection with the credentials `used` failed; returns `true`
    /// if there are other ones now.
    pub(super) async fn have_changed_since(self: &Arc<Self>, used: &CurrentCredentials) -> bool {
        // The task in the background reports a file that cannot be used.
        drop(self.read_again(SystemRoots::Read).await);
        self.current() != *used
    }

    /// Reads the files again soon.
    pub(super) fn look_again(&self) {
        self.hint.notify_one();
    }

    /// Starts reading the files again and again, and calls `on_change` after each change. Needs a
    /// tokio runtime.
    pub(super) fn watch(self: &Arc<Self>, on_change: impl Fn() + Send + 'static) {
        if self.files != ConnectionFiles::default() {
            tokio::spawn(watch_files(Arc::downgrade(self), self.current(), on_change));
        }
    }

    async fn read_again(self: &Arc<Self>, roots: SystemRoots) -> Result<(), CredentialFileError> {
        if self.files == ConnectionFiles::default() && !self.trusts_system {
            return Ok(());
        }
        let credentials = Arc::clone(self);
        let read = spawn_blocking(move || credentials.read(roots));
        // The runtime is ending if the task was stopped.
        read.await.unwrap_or(Ok(()))
    }

    fn read(&self, roots: SystemRoots) -> Result<(), CredentialFileError> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut content = CredentialContent::read(&self.files)?;
        if self.trusts_system {
            content.ca = Some(match (roots, &self.current.borrow().ca) {
                (SystemRoots::Keep, Some(known)) => known.clone(),
                (SystemRoots::Keep, None) | (SystemRoots::Read, _) => system_roots()?,
            });
        }
        self.current.send_if_modified(|current| {
            let is_new = **current != content;
            if is_new {
                *current = Arc::new(content);
            }
            is_new
        });
        Ok(())
    }
}

// === impl CurrentCredentials ===

impl CurrentCredentials {
    /// Returns a client of a Redis server.
    pub(super) fn redis_client(&self, server: &ConnectionInfo) -> RedisResult<Client> {
        self.client(self.redis_login(server))
    }

    /// Returns a client of a Sentinel.
    pub(super) fn sentinel_client(&self, server: &ConnectionInfo) -> RedisResult<Client> {
        self.client(with_login(server, &self.0.sentinel))
    }

    /// Returns the same connection with user and password.
    pub(super) fn redis_login(&self, server: &ConnectionInfo) -> ConnectionInfo {
        with_login(server, &self.0.redis)
    }

    /// Returns the certificates of a connection with TLS.
    pub(super) fn certificates(&self, server: &ConnectionInfo) -> Option<TlsCertificates> {
        let CredentialContent { ca, client, .. } = &*self.0;
        let is_tls = matches!(server.addr(), ConnectionAddr::TcpTls { .. });
        (is_tls || ca.is_some() || client.is_some()).then(|| TlsCertificates {
            // Without CA certificates, no server is trusted.
            root_cert: Some(ca.clone().unwrap_or_default()),
            client_tls: client.as_ref().map(|client| ClientTlsConfig {
                client_cert: client.certificate.clone(),
                client_key: client.key.clone(),
            }),
        })
    }

    fn client(&self, server: ConnectionInfo) -> RedisResult<Client> {
        match self.certificates(&server) {
            Some(certificates) => Client::build_with_tls(server, certificates),
            None => Client::open(server),
        }
    }
}

impl PartialEq for CurrentCredentials {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn with_login(server: &ConnectionInfo, login: &Login) -> ConnectionInfo {
    let mut settings = server.redis_settings().clone();
    if let Some(username) = &login.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &login.password {
        settings = settings.set_password(password);
    }
    server.clone().set_redis_settings(settings)
}

/// Reads the files until the credentials are dropped. A problem is logged when it is found twice in
/// a row, since several files are not replaced in one moment.
async fn watch_files(
    credentials: Weak<Credentials>,
    mut seen: CurrentCredentials,
    on_change: impl Fn(),
) {
    let (mut found, mut logged) = (None, None);
    while let Some(credentials) = credentials.upgrade() {
        let problem = credentials.read_again(SystemRoots::Keep).await.err();
        let problem = problem.map(|problem| problem.to_string());
        if problem == found && problem != logged {
            log_files(problem.as_deref());
            logged.clone_from(&problem);
        }
        found = problem;
        let current = credentials.current();
        if current != seen {
            info!("the files of connections to Redis have changed; new connections use them");
            on_change();
            seen = current;
        }
        sleep(MIN_PAUSE).await;
        // Without a hint, the interval is over.
        drop(timeout(INTERVAL - MIN_PAUSE, credentials.hint.notified()).await);
    }
}

fn log_files(problem: Option<&str>) {
    match problem {
        Some(problem) => warn!(
            problem,
            "cannot read a file of connections to Redis; its last good content stays in use"
        ),
        None => info!("every file of connections to Redis can be read again"),
    }
}

/// The interval at which the files are read again.
const INTERVAL: Duration = Duration::from_secs(1);

/// The shortest pause between two readings.
const MIN_PAUSE: Duration = Duration::from_millis(100);
