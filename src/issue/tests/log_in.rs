//! Log-ins, and the limits on guessing passwords.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::time::Instant;

use super::*;
use crate::issue::{DirectoryError, DirectoryUser, Login};

#[tokio::test(start_paused = true)]
async fn a_right_password_identifies_the_user_in_any_case_of_the_name() {
    let world = World::new().await;
    world.user("Jane").await;
    for name in ["Jane", "jane", "JANE"] {
        let user = world.issuer.log_in(&login(name, PASSWORD)).await.unwrap();
        assert_eq!(
            (user.id.as_str(), user.screen_name.as_str()),
            ("jane", "Jane")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_user_a_wrong_password_and_a_user_without_one_are_answered_alike() {
    let world = World::new().await;
    world.user("jane").await;
    let keyless = UserDraft {
        username: "keyless".to_owned(),
        ..UserDraft::default()
    };
    world.issuer.create_user(&keyless, &ADMIN).await.unwrap();
    for (name, password) in [
        ("jane", "wrong horse"),
        ("nobody", PASSWORD),
        ("keyless", ""),
        ("keyless", PASSWORD),
        ("", ""),
        ("a b\n", "x"),
    ] {
        assert_err!(
            world.issuer.log_in(&login(name, password)).await,
            IssueError::PasswordRefused
        );
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_right_password_reveals_a_disabled_user() {
    let world = World::new().await;
    world.user("jane").await;
    world
        .issuer
        .disable_user(&id("jane"), &ADMIN)
        .await
        .unwrap();
    assert_err!(
        world.issuer.log_in(&login("jane", "wrong horse")).await,
        IssueError::PasswordRefused
    );
    assert_err!(
        world.issuer.log_in(&login("jane", PASSWORD)).await,
        IssueError::UserDisabled
    );
    world
        .issuer
        .delete_user(&id("jane"), None, &ADMIN)
        .await
        .unwrap();
    assert_err!(
        world.issuer.log_in(&login("jane", PASSWORD)).await,
        IssueError::PasswordRefused
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_password_replaces_the_one_before() {
    let world = World::new().await;
    world.user("jane").await;
    world
        .issuer
        .set_password(&id("jane"), &secret("another horse"), &ADMIN)
        .await
        .unwrap();
    assert_err!(
        world.issuer.log_in(&login("jane", PASSWORD)).await,
        IssueError::PasswordRefused
    );
    assert!(
        world
            .issuer
            .log_in(&login("jane", "another horse"))
            .await
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn a_password_that_was_hashed_otherwise_is_hashed_anew_at_log_in_and_only_then() {
    let world = World::new().await;
    let before = world.user("jane").await;
    let dearer = world.again(|terms| terms.password.iterations = 2);
    assert_err!(
        dearer.log_in(&login("jane", "wrong horse")).await,
        IssueError::PasswordRefused
    );
    assert_eq!(world.issuer.user(&id("jane")).await.unwrap(), before);
    for _ in 0..2 {
        dearer.log_in(&login("jane", PASSWORD)).await.unwrap();
        let after = world.issuer.user(&id("jane")).await.unwrap();
        assert!(
            after
                .password
                .unwrap()
                .expose()
                .starts_with("$argon2id$v=19$m=8,t=2,p=1$")
        );
        assert_eq!((after.revision, after.updated_at), (2, before.updated_at));
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_passwords_are_answered_later_and_later_up_to_the_longest_delay() {
    let world = World::new().await;
    world.user("jane").await;
    let mut delays = Vec::new();
    for _ in 0..11 {
        let begin = Instant::now();
        assert_err!(
            world.issuer.log_in(&login("JANE", "wrong horse")).await,
            IssueError::PasswordRefused
        );
        delays.push(begin.elapsed().as_millis() / 10 * 10);
    }
    assert_eq!(delays, [0, 0, 0, 0, 0, 250, 500, 1000, 2000, 4000, 5000]);

    let begin = Instant::now();
    assert!(
        world.issuer.log_in(&login("jane", PASSWORD)).await.is_ok(),
        "nobody is locked out"
    );
    assert_eq!(begin.elapsed().as_secs(), 5);
    world.pass(world.issuer.terms.password.window);
    let begin = Instant::now();
    assert!(world.issuer.log_in(&login("jane", PASSWORD)).await.is_ok());
    assert_eq!(begin.elapsed().as_millis() / 10, 0, "the window is over");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_has_is_slowed_down_too_and_its_variants_with_it() {
    let world = World::new().await;
    for name in ["nobody", "Nobody", "NOBODY", " nobody", "nobody "] {
        assert_err!(
            world.issuer.log_in(&login(name, PASSWORD)).await,
            IssueError::PasswordRefused
        );
    }
    let begin = Instant::now();
    assert_err!(
        world.issuer.log_in(&login("nobody", PASSWORD)).await,
        IssueError::PasswordRefused
    );
    assert_eq!(begin.elapsed().as_millis() / 10, 25);
}

#[tokio::test(start_paused = true)]
async fn right_passwords_are_not_counted() {
    let world = World::with(|terms| terms.password.address_failures = 3, None).await;
    world.user("jane").await;
    let begin = Instant::now();
    for _ in 0..8 {
        assert!(
            world
                .issuer
                .log_in(&from("192.0.2.1", "jane", PASSWORD))
                .await
                .is_ok()
        );
    }
    assert_eq!(begin.elapsed().as_millis() / 10, 0);
}

#[tokio::test(start_paused = true)]
async fn guesses_that_are_sent_together_do_not_escape_the_delay() {
    let world = World::new().await;
    world.user("jane").await;
    let begin = Instant::now();
    let guess = || {
        let issuer = world.issuer.clone();
        tokio::spawn(async move {
            let outcome = issuer.log_in(&login("jane", "wrong horse")).await;
            (outcome.unwrap_err(), begin.elapsed())
        })
    };
    let guesses: Vec<_> = (0..50).map(|_| guess()).collect();
    let (mut at_once, mut later, mut refused) = (0, 0, 0);
    for outcome in guesses {
        match outcome.await.unwrap() {
            (IssueError::PasswordRefused, after) if after < Duration::from_millis(250) => {
                at_once += 1
            }
            (IssueError::PasswordRefused, _) => later += 1,
            (IssueError::TooManyAttempts(wait), _) => {
                assert!(wait >= Duration::from_secs(1));
                refused += 1;
            }
            (other, _) => panic!("{other:?}"),
        }
    }
    assert_eq!(
        (at_once, later, refused),
        (5, 4, 41),
        "free ones, waiting ones, and what finds no place to wait"
    );
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_guesses_does_not_lock_out_the_user_elsewhere() {
    let world = World::new().await;
    world.user("jane").await;
    let flood = |at: usize| {
        let issuer = world.issuer.clone();
        let guess = from(&format!("192.0.2.{}", at % 2), "jane", "wrong horse");
        tokio::spawn(async move { issuer.log_in(&guess).await.is_err() })
    };
    let flood: Vec<_> = (0..60).map(flood).collect();
    tokio::task::yield_now().await;
    let begin = Instant::now();
    assert!(
        world
            .issuer
            .log_in(&from("198.51.100.7", "jane", PASSWORD))
            .await
            .is_ok()
    );
    assert!(begin.elapsed() <= Duration::from_millis(5010));
    for guess in flood {
        assert!(guess.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_with_too_many_wrong_passwords_waits_for_the_window_to_end() {
    let world = World::with(|terms| terms.password.address_failures = 3, None).await;
    world.user("jane").await;
    for name in ["one", "two", "three"] {
        let refused = world
            .issuer
            .log_in(&from("192.0.2.1", name, PASSWORD))
            .await;
        assert_err!(refused, IssueError::PasswordRefused);
    }
    let window = world.issuer.terms.password.window;
    for _ in 0..9 {
        match world
            .issuer
            .log_in(&from("192.0.2.1", "jane", PASSWORD))
            .await
        {
            Err(IssueError::TooManyAttempts(wait)) => {
                assert!(wait > Duration::ZERO && wait <= window)
            }
            other => panic!("{other:?}"),
        }
    }
    let begin = Instant::now();
    assert!(
        world
            .issuer
            .log_in(&from("192.0.2.2", "jane", PASSWORD))
            .await
            .is_ok(),
        "another address"
    );
    assert!(
        world.issuer.log_in(&login("jane", PASSWORD)).await.is_ok(),
        "no address"
    );
    assert_eq!(
        begin.elapsed().as_millis() / 10,
        0,
        "what was refused unseen counts for no user"
    );
    world.pass(window);
    assert!(
        world
            .issuer
            .log_in(&from("192.0.2.1", "jane", PASSWORD))
            .await
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn attempts_that_an_address_is_refused_do_not_wipe_out_a_users_failures() {
    let world = World::with(|terms| terms.password.address_failures = 5, None).await;
    world.user("jane").await;
    for _ in 0..5 {
        world
            .issuer
            .log_in(&from("192.0.2.1", "jane", "wrong horse"))
            .await
            .unwrap_err();
    }
    for _ in 0..9 {
        let refused = world
            .issuer
            .log_in(&from("192.0.2.1", "jane", "wrong horse"))
            .await;
        assert_err!(refused, IssueError::TooManyAttempts(_));
    }
    let begin = Instant::now();
    world
        .issuer
        .log_in(&from("192.0.2.2", "jane", "wrong horse"))
        .await
        .unwrap_err();
    assert_eq!(begin.elapsed().as_millis() / 10, 25);
}

#[tokio::test(start_paused = true)]
async fn all_addresses_of_one_ipv6_network_are_one() {
    let world = World::with(|terms| terms.password.address_failures = 2, None).await;
    for address in ["2001:db8::1", "2001:db8::ffff:1"] {
        assert_err!(
            world.issuer.log_in(&from(address, address, PASSWORD)).await,
            IssueError::PasswordRefused
        );
    }
    let attempt = async |address| world.issuer.log_in(&from(address, "jane", PASSWORD)).await;
    assert_err!(attempt("2001:db8::2").await, IssueError::TooManyAttempts(_));
    assert_err!(
        attempt("2001:db8:0:1::2").await,
        IssueError::PasswordRefused
    );
    assert_err!(
        attempt("::ffff:192.0.2.1").await,
        IssueError::PasswordRefused
    );
    assert_err!(attempt("192.0.2.1").await, IssueError::PasswordRefused);
    assert_err!(
        attempt("::ffff:192.0.2.1").await,
        IssueError::TooManyAttempts(_)
    );
}

#[tokio::test(start_paused = true)]
async fn the_operators_directory_is_asked_under_the_same_limits_and_its_outage_counts_for_nobody() {
    let directory = Arc::new(Fickle::default());
    let world = World::with(|_| {}, Some(directory.clone())).await;
    for _ in 0..9 {
        assert_err!(
            world.issuer.log_in(&login("jane", "out")).await,
            IssueError::Directory(_)
        );
    }
    directory.is_up.store(true, Ordering::SeqCst);
    let begin = Instant::now();
    for _ in 0..5 {
        assert_err!(
            world.issuer.log_in(&login("jane", "wrong")).await,
            IssueError::PasswordRefused
        );
    }
    assert_eq!(begin.elapsed().as_millis() / 10, 0);
    assert_eq!(
        world
            .issuer
            .log_in(&login("jane", "right"))
            .await
            .unwrap()
            .id
            .as_str(),
        "7"
    );
    assert_eq!(begin.elapsed().as_millis() / 10, 25);
}

#[tokio::test(start_paused = true)]
async fn a_directory_user_who_is_disabled_here_cannot_log_in() {
    let directory = Arc::new(Fickle::default());
    directory.is_up.store(true, Ordering::SeqCst);
    let world = World::with(|_| {}, Some(directory)).await;
    world
        .issuer
        .revoke_tokens(crate::store::TokenHolder::User(&id("7")), &ADMIN)
        .await
        .unwrap();
    assert!(world.issuer.log_in(&login("jane", "right")).await.is_ok());
    world.issuer.disable_user(&id("7"), &ADMIN).await.unwrap();
    assert_err!(
        world.issuer.log_in(&login("jane", "right")).await,
        IssueError::UserDisabled
    );
}

#[tokio::test(start_paused = true)]
async fn a_directory_is_not_called_for_an_impossible_name() {
    let world = World::with(|_| {}, Some(Arc::new(Fickle::default()))).await;
    for (name, password) in [
        (String::new(), "right".to_owned()),
        ("n".repeat(256), "right".to_owned()),
        ("a\0b".to_owned(), "right".to_owned()),
        ("jane".to_owned(), String::new()),
        ("jane".to_owned(), "p".repeat(1025)),
    ] {
        assert_err!(
            world.issuer.log_in(&login(&name, &password)).await,
            IssueError::PasswordRefused
        );
    }
}

/// A directory of one user, 7, that is down at first.
#[derive(Debug, Default)]
struct Fickle {
    is_up: AtomicBool,
}

#[async_trait]
impl Directory for Fickle {
    async fn authenticate(&self, login: &Login) -> Result<Option<DirectoryUser>, DirectoryError> {
        if !self.is_up.load(Ordering::SeqCst) {
            return Err(DirectoryError::new("it is down"));
        }
        let user = DirectoryUser {
            id: id("7"),
            screen_name: login.username.clone(),
        };
        Ok(Some(user).filter(|_| login.password == secret("right")))
    }
}

fn login(username: &str, password: &str) -> Login {
    Login {
        username: username.to_owned(),
        password: secret(password),
        consumer_key: key(),
        client_address: None,
    }
}

fn from(address: &str, username: &str, password: &str) -> Login {
    let client_address: IpAddr = address.parse().unwrap();
    Login {
        client_address: Some(client_address),
        ..login(username, password)
    }
}
