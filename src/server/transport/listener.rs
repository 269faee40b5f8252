//! Bound listeners. All are bound before any is served, and an error names the listener and its
//! address.

use std::io;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;

use super::protocol::Protocol;
use super::tls::{ClientAuthority, ListenerTls, LoadedTls, TlsError};
use super::unix::{self, SocketFile};
use crate::config::{Config, ConnectionAge, ListenAddress, ListenerConfig};

/// The bound listeners of the service.
#[derive(Debug)]
pub struct Listeners {
    pub(in crate::server) check: BoundListener,
    pub(in crate::server) api: BoundListener,
    pub(in crate::server) http: BoundListener,
    pub(in crate::server) ops: BoundListener,
}

/// The certificate of a listener, which a reload replaces.
#[derive(Clone, Debug)]
pub(in crate::server) struct ListenerCertificate {
    /// The name of the listener.
    pub(in crate::server) listener: &'static str,
    pub(in crate::server) protocol: Protocol,
    /// `None` if the listener is not encrypted.
    pub(in crate::server) tls: Option<ListenerTls>,
}

/// The addresses of [`Listeners`], with the port that the system chose for port 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The address of the check listener.
    pub check: ListenAddress,
    /// The address of the api listener.
    pub api: ListenAddress,
    /// The address of the http listener.
    pub http: ListenAddress,
    /// The address of the ops listener.
    pub ops: ListenAddress,
}

/// An error that prevents a listener from being bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is not available.
    #[error(
        "the {listener} listener cannot listen on {address} (choose another with --{listener} or {listener}.listen)"
    )]
    Address {
        /// The name of the listener.
        listener: &'static str,
        /// The configured address.
        address: ListenAddress,
        /// The error of the system.
        source: io::Error,
    },
    /// The certificates are not usable: the configuration or one of its files is wrong.
    #[error("the {listener} listener cannot offer TLS")]
    Tls {
        /// The name of the listener.
        listener: &'static str,
        /// The error of the certificates.
        source: TlsError,
    },
}

/// One bound listener.
#[derive(Debug)]
pub(crate) struct BoundListener {
    /// The name of its section in the configuration.
    pub(crate) name: &'static str,
    /// Its address.
    pub(crate) address: ListenAddress,
    /// The HTTP version.
    pub(crate) protocol: Protocol,
    /// TLS, if it is encrypted.
    pub(crate) tls: Option<ListenerTls>,
    /// The age at which its connections end.
    pub(crate) age: Option<ConnectionAge>,
    socket: ListenerSocket,
}

#[derive(Debug)]
enum ListenerSocket {
    Tcp(TcpListener),
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "removes the file when it is dropped")] SocketFile,
    ),
}

/// An accepted connection, before TLS.
#[derive(Debug)]
pub(crate) enum AcceptedStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

// === impl Listeners ===

impl Listeners {
    /// Binds all listeners of `config`.
    ///
    /// # Errors
    /// If an address is not available or a certificate is not usable.
    pub async fn bind(config: &Config) -> Result<Self, BindError> {
        use Protocol::{Http1, Http2};
        Ok(Self {
            check: BoundListener::bind("check", Http2, &config.check.listener).await?,
            api: BoundListener::bind("api", Http2, &config.api.listener).await?,
            http: BoundListener::bind("http", Http1, &config.http.listener).await?,
            ops: BoundListener::bind("ops", Http1, &config.ops.listener).await?,
        })
    }

    /// Returns the certificates: those of check, api, http and ops.
    pub(in crate::server) fn certificates(&self) -> [ListenerCertificate; 4] {
        [&self.check, &self.api, &self.http, &self.ops].map(|listener| ListenerCertificate {
            listener: listener.name,
            protocol: listener.protocol,
            tls: listener.tls.clone(),
        })
    }

    /// Returns the bound addresses.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            check: self.check.address.clone(),
            api: self.api.address.clone(),
            http: self.http.address.clone(),
            ops: self.ops.address.clone(),
        }
    }
}

// === impl ListenerCertificate ===

impl ListenerCertificate {
    /// Returns the authority of client certificates, if there is one.
    pub(in crate::server) fn clients(&self) -> Option<ClientAuthority> {
        self.tls.as_ref()?.clients()
    }
}

// === impl BoundListener ===

impl BoundListener {
    async fn bind(
        name: &'static str,
        protocol: Protocol,
        config: &ListenerConfig,
    ) -> Result<Self, BindError> {
        let tls = config.tls.as_ref();
        let tls = tls
            .map(|tls| LoadedTls::load(tls, protocol).map(ListenerTls::new))
            .transpose()
            .map_err(|source| BindError::Tls {
                listener: name,
                source,
            })?;
        let (socket, address) = ListenerSocket::bind(&config.address)
            .await
            .map_err(|source| BindError::Address {
                listener: name,
                address: config.address.clone(),
                source,
            })?;
        Ok(Self {
            name,
            address,
            protocol,
            tls,
            age: config.age,
            socket,
        })
    }

    /// Accepts the next connection.
    pub(crate) async fn accept(&self) -> io::Result<AcceptedStream> {
        match &self.socket {
            ListenerSocket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // A response is one small write that must not be delayed. A socket without the
                // option works too.
                let _: io::Result<()> = stream.set_nodelay(true);
                Ok(AcceptedStream::Tcp(stream))
            }
            ListenerSocket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok(AcceptedStream::Unix(stream))
            }
        }
    }
}

// === impl ListenerSocket ===

impl ListenerSocket {
    /// Binds a socket; returns it with its address.
    async fn bind(address: &ListenAddress) -> io::Result<(Self, ListenAddress)> {
        match address {
            ListenAddress::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                let bound = ListenAddress::Tcp(listener.local_addr()?);
                Ok((Self::Tcp(listener), bound))
            }
            ListenAddress::Unix(path) => {
                let (listener, file) = unix::bind(path).await?;
                Ok((Self::Unix(listener, file), address.clone()))
            }
        }
    }
}

// === impl AcceptedStream ===

impl AcceptedStream {
    /// Returns the connection, registered with `runtime`.
    pub(crate) fn moved_to(self, runtime: &Handle) -> io::Result<Self> {
        if runtime.id() == Handle::current().id() {
            return Ok(self);
        }
        let _inside = runtime.enter();
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream.into_std()?).map(Self::Tcp),
            Self::Unix(stream) => UnixStream::from_std(stream.into_std()?).map(Self::Unix),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[tokio::test]
    async fn a_bind_error_names_the_listener_and_its_address() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::default();
        config.check.listener.address = ListenAddress::Tcp(taken.local_addr().unwrap());
        let error = Listeners::bind(&config).await.unwrap_err();
        let expected = format!(
            "the check listener cannot listen on {} (choose another with --check or check.listen)",
            taken.local_addr().unwrap()
        );
        assert_eq!(error.to_string(), expected);
        assert!(
            error
                .source()
                .unwrap()
                .to_string()
                .starts_with("Address already in use")
        );
    }
}
