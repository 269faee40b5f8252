//! Redis over TLS, with certificates of an authority of its own: servers require client
//! certificates, and users log in.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use countersign::config::{ClientCertificateFiles, ConnectionFiles, LoginFiles};
use tempfile::TempDir;

use crate::support::certificates::Certificates;
use crate::support::redis::{RedisServer, free_port};

/// A Redis server with a port for TLS; the test uses its other port.
pub(crate) struct TlsRedis {
    pub(crate) server: RedisServer,
    pub(crate) port: u16,
}

/// The files of a client of Redis, mounted as Kubernetes mounts a Secret: links to a directory that
/// is replaced in one moment.
pub(crate) struct Mount {
    home: TempDir,
    version: std::cell::Cell<u32>,
}

// === impl TlsRedis ===

impl TlsRedis {
    /// Starts a server with a certificate for 127.0.0.1.
    pub(crate) fn start(authority: &Certificates) -> Self {
        Self::start_as(authority, &["ip:127.0.0.1"], &[])
    }

    /// Starts a server with a certificate for these names, and with more options.
    pub(crate) fn start_as(authority: &Certificates, names: &[&str], options: &[&str]) -> Self {
        let port = free_port();
        let mut all = tls_options(authority, names, port);
        all.extend(options.iter().map(|&option| option.to_owned()));
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        let server = RedisServer::start_with(&all);
        Self { server, port }
    }

    /// Returns its address for `store.url`; a user ends in an @.
    pub(crate) fn url(&self, user: &str) -> String {
        format!("rediss://{user}127.0.0.1:{}", self.port)
    }

    /// Lets a user log in with one more password.
    pub(crate) fn allow(&self, user: &str, password: &str) {
        allow(&self.server, user, password);
    }

    /// Removes a password of a user.
    pub(crate) fn forbid(&self, user: &str, password: &str) {
        let password = format!("<{password}");
        self.server.run::<()>(&["ACL", "SETUSER", user, &password]);
    }

    /// Presents other certificates to new connections, and accepts clients of these authorities.
    pub(crate) fn present(&self, files: &Certificates, names: &[&str], clients: &[&Certificates]) {
        let options = tls_options(files, names, self.port);
        let authorities: String = clients.iter().map(|one| one.authority()).collect();
        let accepted = files.file("accepted.pem", &authorities);
        let value = |name: &str| {
            let at = options.iter().position(|option| option == name).unwrap();
            options[at + 1].clone()
        };
        self.server.run::<()>(&[
            "CONFIG",
            "SET",
            "tls-cert-file",
            &value("--tls-cert-file"),
            "tls-key-file",
            &value("--tls-key-file"),
            "tls-ca-cert-file",
            accepted.to_str().unwrap(),
        ]);
    }

    /// Closes every connection except that of the test.
    pub(crate) fn hang_up(&self) {
        hang_up(&self.server);
    }
}

/// Lets a user log in with one more password.
pub(crate) fn allow(server: &RedisServer, user: &str, password: &str) {
    let password = format!(">{password}");
    let rules = [
        "on",
        &password,
        "~countersign:*",
        "&countersign:changes*",
        "+@all",
    ];
    let command = ["ACL", "SETUSER", user].into_iter().chain(rules);
    server.run::<()>(&command.collect::<Vec<_>>());
}

/// Closes every connection to a server except that of the test.
pub(crate) fn hang_up(server: &RedisServer) {
    for kind in ["normal", "pubsub"] {
        server.run::<u64>(&["CLIENT", "KILL", "TYPE", kind]);
    }
}

/// Returns the users of the connections over TLS: the user of the test has no connection of its own
/// there.
pub(crate) fn users_of(server: &RedisServer, port: u16) -> Vec<String> {
    let clients: String = server.run(&["CLIENT", "LIST"]);
    let laddr = format!("laddr=127.0.0.1:{port} ");
    let of = |line: &str| {
        let user = line
            .split(' ')
            .find_map(|field| field.strip_prefix("user="));
        user.unwrap().to_owned()
    };
    let lines = clients.lines().filter(|line| line.contains(&laddr));
    lines.map(of).collect()
}

/// Returns the options of a server with TLS on `port` that requires client certificates.
pub(crate) fn tls_options(files: &Certificates, names: &[&str], port: u16) -> Vec<String> {
    let (certificate, key) = files.issue(names);
    let path = |path: PathBuf| path.to_str().unwrap().to_owned();
    let certificate = files.file(&format!("redis-{port}.pem"), &certificate);
    let key = files.file(&format!("redis-{port}.key"), &key);
    [
        ("--tls-port", port.to_string()),
        ("--tls-cert-file", path(certificate)),
        ("--tls-key-file", path(key)),
        ("--tls-ca-cert-file", path(files.path("ca.pem"))),
        ("--tls-auth-clients", "yes".to_owned()),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value])
    .collect()
}

// === impl Mount ===

impl Mount {
    /// Returns a mount with a certificate of `authority` and a password.
    pub(crate) fn new(authority: &Certificates, password: &str) -> Self {
        let mount = Self {
            home: tempfile::tempdir().unwrap(),
            version: std::cell::Cell::new(0),
        };
        mount.replace(&[authority], authority, password);
        for name in NAMES {
            symlink(Path::new("..data").join(name), mount.path(name)).unwrap();
        }
        mount
    }

    /// Replaces all files in one moment: the authorities to trust, the client certificate, and the
    /// password.
    pub(crate) fn replace(&self, trusted: &[&Certificates], issuer: &Certificates, password: &str) {
        let (certificate, key) = issuer.issue(&["dns:countersign.test"]);
        let ca: String = trusted.iter().map(|one| one.authority()).collect();
        self.replace_with([&ca, &certificate, &key, password]);
    }

    /// Replaces all files in one moment by these texts, in the order of [`NAMES`].
    pub(crate) fn replace_with(&self, texts: [&str; 4]) {
        let version = self.version.get() + 1;
        self.version.set(version);
        let directory = self.home.path().join(format!("..{version}"));
        fs::create_dir(&directory).unwrap();
        for (name, text) in NAMES.iter().zip(texts) {
            let file = directory.join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).unwrap();
        }
        let next = self.path("..next");
        symlink(&directory, &next).unwrap();
        fs::rename(next, self.path("..data")).unwrap();
    }

    /// Returns the text of a file.
    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns the configuration of a client with certificates.
    pub(crate) fn certificates(&self) -> ConnectionFiles {
        ConnectionFiles {
            ca_file: Some(self.path("ca.pem")),
            client: Some(ClientCertificateFiles {
                certificate_file: self.path("client.pem"),
                key_file: self.path("client.key"),
            }),
            ..ConnectionFiles::default()
        }
    }

    /// Returns the configuration of a client with certificates and the password.
    pub(crate) fn all(&self) -> ConnectionFiles {
        ConnectionFiles {
            redis: LoginFiles {
                username_file: None,
                password_file: Some(self.path("password")),
            },
            ..self.certificates()
        }
    }

    /// Returns the same configuration as environment variables.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        vec![
            ("COUNTERSIGN_STORE__TLS__CA_FILE", path("ca.pem")),
            (
                "COUNTERSIGN_STORE__TLS__CERTIFICATE_FILE",
                path("client.pem"),
            ),
            ("COUNTERSIGN_STORE__TLS__KEY_FILE", path("client.key")),
            ("COUNTERSIGN_STORE__PASSWORD_FILE", path("password")),
        ]
    }

    /// Returns the path of a file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
}

/// The files of a mount.
pub(crate) const NAMES: [&str; 4] = ["ca.pem", "client.pem", "client.key", "password"];
