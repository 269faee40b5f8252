//! What holds of every directory, however it is asked.

use std::fs;
use std::net::IpAddr;
use std::sync::Mutex;

use super::*;
use crate::model::{ConsumerKey, Secret};

#[tokio::test]
async fn a_user_that_a_header_can_not_carry_is_an_outage_that_names_the_field() {
    for (user_id, screen_name, problem) in [
        ("", "", "user_id in its answer can not be used"),
        ("jörg", "", "user_id in its answer can not be used"),
        (
            &"u".repeat(256),
            "",
            "user_id in its answer can not be used",
        ),
        (
            "alice",
            &"s".repeat(256),
            "screen_name in its answer is longer than 255 bytes",
        ),
        (
            "alice",
            "a\nb",
            "screen_name in its answer has a control character",
        ),
    ] {
        let refused = remote(Scripted::user(user_id, screen_name))
            .authenticate(&login("secret"))
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("the user directory could not answer: {problem}")
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
async fn a_directory_that_does_not_answer_is_not_waited_for() {
    let asked_at = tokio::time::Instant::now();
    let refused = remote(Scripted::default())
        .authenticate(&login("secret"))
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the user directory could not answer: it took longer than users.timeout"
    );
    assert_eq!(asked_at.elapsed(), DEADLINE);
}

#[tokio::test]
async fn a_mapped_address_is_told_as_the_ipv4_address_that_it_is() {
    let directory = remote(Scripted::user("alice", ""));
    let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
    directory
        .authenticate(&Login {
            client_address: Some(mapped),
            ..login("secret")
        })
        .await
        .unwrap();
    assert_eq!(*directory.peer.asked.lock().unwrap(), ["192.0.2.1"]);
}

#[tokio::test]
async fn a_password_that_is_no_text_is_nobodys() {
    let directory = remote(Scripted::user("alice", ""));
    let login = Login {
        password: Secret::new(*b"\xff"),
        ..login("")
    };
    assert_eq!(directory.authenticate(&login).await.unwrap(), None);
    assert!(directory.peer.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_can_never_work_is_told_before_anybody_logs_in() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        fs::write(&path, text).unwrap();
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
        format!("users.ca_file: {} can not be read", absent.display())
    );
}

/// Says what it was told to say, or nothing at all.
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
impl Peer for Scripted {
    async fn ask(&self, question: Question<'_>) -> Result<Option<Answer>, DirectoryError> {
        self.asked
            .lock()
            .unwrap()
            .push(question.client_address.to_owned());
        match self.user.clone() {
            Some((user_id, screen_name)) => Ok(Some(Answer {
                user_id,
                screen_name,
            })),
            None => std::future::pending().await,
        }
    }
}

fn remote(peer: Scripted) -> Remote<Scripted> {
    Remote {
        peer,
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
