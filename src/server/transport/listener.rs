//! The sockets: bound before anything is served, with an error that names the listener and its address.
//!
//! A Unix socket takes the place of a file that a killed process left behind, never of one that is still answered, and is
//! removed at the end.

use std::fs::{self, File, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};
use tokio::runtime::Handle;

use super::protocol::Protocol;
use super::tls::{Tls, TlsError};
use crate::config::{Config, ListenAddress, ListenerConfig};

/// The listeners of the service, bound.
#[derive(Debug)]
pub struct Listeners {
    pub(in crate::server) check: Listener,
    pub(in crate::server) api: Listener,
    pub(in crate::server) http: Listener,
    pub(in crate::server) ops: Listener,
}

/// Where [`Listeners`] really listen: with the port that the system chose for port 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Of the check listener.
    pub check: ListenAddress,
    /// Of the api listener.
    pub api: ListenAddress,
    /// Of the http listener.
    pub http: ListenAddress,
    /// Of the ops listener.
    pub ops: ListenAddress,
}

/// Why a listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address can not be had.
    #[error("the {listener} listener can not listen on {address}")]
    Address {
        /// Which listener.
        listener: &'static str,
        /// Where it should listen.
        address: ListenAddress,
        /// Why it can not.
        source: io::Error,
    },
    /// Its certificates can not be used: a mistake in the configuration or in the files it names.
    #[error("the {listener} listener can not offer TLS")]
    Tls {
        /// Which listener.
        listener: &'static str,
        /// Why it can not.
        source: TlsError,
    },
}

impl Listeners {
    /// Binds what `config` says.
    ///
    /// # Errors
    /// When an address can not be had, or a certificate can not be used.
    pub async fn bind(config: &Config) -> Result<Self, BindError> {
        Ok(Self {
            check: Listener::bind("check", Protocol::Http2, &config.check.listener).await?,
            api: Listener::bind("api", Protocol::Http2, &config.api.listener).await?,
            http: Listener::bind("http", Protocol::Http1, &config.http.listener).await?,
            ops: Listener::bind("ops", Protocol::Http1, &config.ops.listener).await?,
        })
    }

    /// Where they listen.
    pub fn addresses(&self) -> Addresses {
        let all = [&self.check, &self.api, &self.http, &self.ops];
        let [check, api, http, ops] = all.map(|listener| listener.address.clone());
        Addresses {
            check,
            api,
            http,
            ops,
        }
    }
}

/// One listener, bound.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Its section in the configuration.
    pub(crate) name: &'static str,
    /// Where it listens.
    pub(crate) address: ListenAddress,
    /// What it speaks.
    pub(crate) protocol: Protocol,
    /// TLS, if it is encrypted.
    pub(crate) tls: Option<Tls>,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "removes the file when it is dropped")] SocketFile,
    ),
}

/// An accepted connection, before TLS.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// The same connection, for tasks of `runtime`.
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

impl Listener {
    async fn bind(
        name: &'static str,
        protocol: Protocol,
        config: &ListenerConfig,
    ) -> Result<Self, BindError> {
        let tls = config
            .tls
            .as_ref()
            .map(|tls| Tls::load(tls, protocol))
            .transpose();
        let tls = tls.map_err(|source| BindError::Tls {
            listener: name,
            source,
        })?;
        let failed = |source| BindError::Address {
            listener: name,
            address: config.address.clone(),
            source,
        };
        let (socket, address) = match &config.address {
            ListenAddress::Tcp(address) => bind_tcp(*address).await,
            ListenAddress::Unix(path) => bind_unix(path).await,
        }
        .map_err(failed)?;
        Ok(Self {
            name,
            address,
            protocol,
            tls,
            socket,
        })
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // An answer is one small write that must not wait for more; a socket without the option works too.
                let _: io::Result<()> = stream.set_nodelay(true);
                Ok(Stream::Tcp(stream))
            }
            Socket::Unix(listener, _) => listener
                .accept()
                .await
                .map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

async fn bind_tcp(address: SocketAddr) -> io::Result<(Socket, ListenAddress)> {
    let listener = TcpListener::bind(address).await?;
    let address = ListenAddress::Tcp(listener.local_addr()?);
    Ok((Socket::Tcp(listener), address))
}

async fn bind_unix(path: &Path) -> io::Result<(Socket, ListenAddress)> {
    remove_stale(path).await?;
    let socket = UnixSocket::new_stream()?;
    // Before the file exists, so that at no time it is open to more than group; and after, since the umask took from it.
    File::from(socket.as_fd().try_clone_to_owned()?)
        .set_permissions(Permissions::from_mode(SOCKET_MODE))?;
    socket.bind(path)?;
    let file = SocketFile::of(path)?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    Ok((
        Socket::Unix(socket.listen(BACKLOG)?, file),
        ListenAddress::Unix(path.to_owned()),
    ))
}

/// Removes a socket that nobody answers any more; leaves everything else for `bind` to fail on.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if is_socket && UnixStream::connect(path).await.is_err_and(refused) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// The file of a Unix socket; removed when this is dropped, if nobody put another in its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            inode: inode(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|found| found == self.inode) {
            // What is left of it is a stale socket, which the next start removes.
            let _: io::Result<()> = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Owner and group: Envoy runs as another user of a common group.
const SOCKET_MODE: u32 = 0o660;

/// As many as tokio asks for on TCP.
const BACKLOG: u32 = 1024;

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[tokio::test]
    async fn a_unix_socket_is_for_owner_and_group_and_is_removed_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("check.sock");
        let bound = bind_unix(&path).await.unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o660
        );
        assert!(UnixStream::connect(&path).await.is_ok());
        drop(bound);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_unix_socket_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("check.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a killed process leaves its file");
        let _bound = bind_unix(&path).await.unwrap();
        assert!(UnixStream::connect(&path).await.is_ok());
    }

    #[tokio::test]
    async fn a_unix_socket_that_is_answered_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("check.sock");
        let first = bind_unix(&path).await.unwrap();
        assert_eq!(
            bind_unix(&path).await.unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        assert!(UnixStream::connect(&path).await.is_ok());
        drop(first);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("precious");
        fs::write(&path, "content").unwrap();
        assert_eq!(
            bind_unix(&path).await.unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "content");
    }

    #[tokio::test]
    async fn a_socket_of_another_process_is_not_removed_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("check.sock");
        let first = bind_unix(&path).await.unwrap();
        fs::rename(&path, directory.path().join("moved")).unwrap();
        let _second = bind_unix(&path).await.unwrap();
        drop(first);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named_with_its_listener() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::default();
        config.check.listener.address = ListenAddress::Tcp(taken.local_addr().unwrap());
        let error = Listeners::bind(&config).await.unwrap_err();
        let expected = format!(
            "the check listener can not listen on {}",
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
