//! The rules for every remote directory, independent of the protocol.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;

use super::*;
use crate::model::{ConsumerKey, Secret};

#[tokio::test]
async fn an_invalid_user_is_an_outage_that_names_the_field() {
    for (user_id, screen_name, problem) in [
        ("", "", "user_id in its response is not a valid user id"),
        ("jörg", "", "user_id in its response is not a valid user id"),
        (
            &"u".repeat(256),
            "",
            "user_id in its response is not a valid user id",
        ),
        (
            "alice",
            &"s".repeat(256),
            "screen_name in its response is longer than 255 bytes",
        ),
        (
            "alice",
            "a\nb",
            "screen_name in its response has a control character",
        ),
    ] {
        let refused = remote(Scripted::user(user_id, screen_name))
            .authenticate(&login("secret"))
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("the user directory failed: {problem}")
        );
    }
    let user = remote(Scripted::user("alice", "Älice"))
        .authenticate(&login("secret"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (user.id.as_str(), user.screen_name.as_str()),
        ("alice", "Älice")
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_the_deadline() {
    let asked_at = tokio::time::Instant::now();
    let refused = remote(Scripted::default())
        .authenticate(&login("secret"))
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the user directory failed: no response within users.timeout"
    );
    assert_eq!(asked_at.elapsed(), DEADLINE);
}

#[tokio::test]
async fn a_mapped_address_is_sent_as_ipv4() {
    let directory = remote(Scripted::user("alice", ""));
    let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
    directory
        .authenticate(&Login {
            client_address: Some(mapped),
            ..login("secret")
        })
        .await
        .unwrap();
    assert_eq!(*directory.client.asked.lock().unwrap(), ["192.0.2.1"]);
}

#[tokio::test]
async fn a_password_that_is_not_utf_8_belongs_to_nobody() {
    let directory = remote(Scripted::user("alice", ""));
    let login = Login {
        password: Secret::new(*b"\xff"),
        ..login("")
    };
    assert_eq!(directory.authenticate(&login).await.unwrap(), None);
    assert!(directory.client.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_impossible_configuration_fails_at_the_start() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let (token, certificates) = (
        file("token", "two words\n"),
        file("ca.pem", "no certificate"),
    );
    let config = UsersConfig {
        directory: DirectoryKind::Http,
        url: Some("https://127.0.0.1:1/".to_owned()),
        timeout: DEADLINE,
        ca_file: None,
        token_file: None,
        insecure_plaintext: false,
    };
    let problem = |config: UsersConfig| open(&config).map(|_| ()).unwrap_err().to_string();
    let said = problem(UsersConfig {
        token_file: Some(token.clone()),
        ..config.clone()
    });
    let expected = "does not hold a bearer token: visible ASCII characters";
    assert_eq!(
        said,
        format!("users.token_file: {} {expected}", token.display())
    );
    let said = problem(UsersConfig {
        ca_file: Some(certificates.clone()),
        ..config.clone()
    });
    assert_eq!(
        said,
        format!(
            "users.ca_file: {} does not hold CA certificates in PEM",
            certificates.display()
        )
    );
    let absent = home.path().join("absent");
    let said = problem(UsersConfig {
        ca_file: Some(absent.clone()),
        ..config
    });
    assert_eq!(
        said,
        format!(
            "users.ca_file: cannot read {}: No such file or directory (os error 2)",
            absent.display()
        )
    );
}

#[tokio::test]
async fn a_scheme_in_upper_case_is_encrypted_too() {
    let config = |url: &str| UsersConfig {
        directory: DirectoryKind::Http,
        url: Some(url.to_owned()),
        timeout: DEADLINE,
        ca_file: Some("/nonexistent/ca.pem".into()),
        token_file: None,
        insecure_plaintext: false,
    };
    for encrypted in [
        "https://127.0.0.1:1/",
        "HTTPS://[::1]/",
        "HttpS://users.example.com./a",
    ] {
        let refused = open(&config(encrypted)).map(|_| ()).unwrap_err();
        assert!(
            refused.to_string().starts_with("users.ca_file"),
            "{encrypted}: {refused}"
        );
    }
    for plaintext in ["http://127.0.0.1:1/", "HTTP://[::1]:80/"] {
        assert!(open(&config(plaintext)).is_ok(), "{plaintext}");
    }
}

/// A client with a scripted user; without one it never responds.
#[derive(Default)]
struct Scripted {
    user: Option<(String, String)>,
    asked: Mutex<Vec<String>>,
}

impl Scripted {
    fn user(user_id: &str, screen_name: &str) -> Self {
        Self {
            user: Some((user_id.to_owned(), screen_name.to_owned())),
            ..Self::default()
        }
    }
}

#[async_trait]
impl DirectoryClient for Scripted {
    async fn authenticate(
        &self,
        query: LoginQuery<'_>,
    ) -> Result<Option<DirectoryReply>, DirectoryError> {
        self.asked
            .lock()
            .unwrap()
            .push(query.client_address.to_owned());
        match self.user.clone() {
            Some((user_id, screen_name)) => Ok(Some(DirectoryReply {
                user_id,
                screen_name,
            })),
            None => std::future::pending().await,
        }
    }
}

fn remote(client: Scripted) -> RemoteDirectory<Scripted> {
    RemoteDirectory {
        client,
        deadline: DEADLINE,
    }
}

fn login(password: &str) -> Login {
    Login {
        username: "alice".to_owned(),
        password: Secret::new(password.as_bytes()),
        consumer_key: ConsumerKey::new("K").unwrap(),
        client_address: None,
    }
}

const DEADLINE: Duration = Duration::from_secs(3);
