//! How guessing passwords is slowed down, whoever knows the users.
//!
//! 1. From one client address (IPv6: one /64), after `address_failures` wrong passwords within `window` none is looked at
//!    until the window is over.
//! 2. For one user, whether or not there is one of that name, each attempt after `free_failures` wrong ones within `window`
//!    is looked at later: after a quarter of a second, then twice as long each time, up to `max_delay`. Nobody is locked
//!    out: after the delay a right password gets in.
//! 3. Every attempt counts as a failure from its beginning, in the store, and is taken back when it was none. So guesses that
//!    are sent together, to whichever replica, are told apart by number and can not all be the first one.
//! 4. Of the attempts that wait for their delay, only a few may be for one user from one address, and only so many in all:
//!    each holds a connection. One more is told to try again, and is neither looked at nor counted. So somebody who
//!    guesses can not keep out a user who comes from elsewhere. Who asks without an address shares one place per user.
//!
//! The delay comes before the password is looked at, so that it says nothing about it. Neither names nor passwords are
//! logged: people type one into the field of the other.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::hash::MAX_PASSWORD_LEN;
use super::{DirectoryUser, IssueError, Issuer, Login, audit};
use crate::config::PasswordConfig;
use crate::model::{MAX_VALUE_LEN, UserStatus};
use crate::store::AttemptCounter;

impl Issuer {
    /// Whose name and password these are, after as many wrong ones as `[password]` allows; asks the directory.
    ///
    /// May take its time: a user with many wrong passwords is answered later.
    ///
    /// # Errors
    /// [`IssueError::PasswordRefused`], [`IssueError::TooManyAttempts`], [`IssueError::UserDisabled`],
    /// [`IssueError::Directory`], [`IssueError::Store`].
    pub async fn log_in(&self, login: &Login) -> Result<DirectoryUser, IssueError> {
        let attempt = Attempt::of(login);
        let mut counted = Vec::new();
        let outcome = match self.admit(&attempt, &mut counted).await {
            Ok(()) => self.look_at(login).await,
            Err(refused) => Err(refused),
        };
        if !matches!(outcome, Err(IssueError::PasswordRefused)) {
            self.take_back(&counted).await;
        }
        match &outcome {
            Ok(user) => audit::logged_in(login, user),
            Err(IssueError::PasswordRefused | IssueError::TooManyAttempts(_)) => {
                audit::refused_log_in(login)
            }
            Err(_) => {}
        }
        outcome
    }

    /// Counts an attempt and lets its delay pass; `counted` is what it was counted under.
    async fn admit(
        &self,
        attempt: &Attempt,
        counted: &mut Vec<AttemptCounter>,
    ) -> Result<(), IssueError> {
        let rules = &self.terms.password;
        if let Some(address) = attempt.address {
            let number = self.store.count_attempt(&address, rules.window).await?;
            counted.push(address);
            if number > rules.address_failures.into() {
                return Err(IssueError::TooManyAttempts(rules.window));
            }
        }
        let number = self
            .store
            .count_attempt(&attempt.user, rules.window)
            .await?;
        counted.push(attempt.user);
        let delay = delay(number, rules);
        if delay.is_zero() {
            return Ok(());
        }
        let place = self.waiting.place(attempt.lane);
        let place =
            place.ok_or_else(|| IssueError::TooManyAttempts(delay.max(Duration::from_secs(1))))?;
        tokio::time::sleep(delay).await;
        drop(place);
        Ok(())
    }

    async fn look_at(&self, login: &Login) -> Result<DirectoryUser, IssueError> {
        if !is_plausible(login) {
            return Err(IssueError::PasswordRefused);
        }
        let user = self
            .directory
            .authenticate(login)
            .await?
            .ok_or(IssueError::PasswordRefused)?;
        if self.standing(&user.id).await?.status == UserStatus::Active {
            Ok(user)
        } else {
            Err(IssueError::UserDisabled)
        }
    }

    /// That it stays counted when the store is not there slows the user down and does nothing worse.
    async fn take_back(&self, counted: &[AttemptCounter]) {
        for counter in counted {
            if let Err(error) = self.store.uncount_attempts(counter, 1).await {
                tracing::debug!(%error, "an attempt to log in stays counted");
            }
        }
    }
}

/// What an attempt is counted under.
struct Attempt {
    user: AttemptCounter,
    address: Option<AttemptCounter>,
    /// Among whom it waits.
    lane: AttemptCounter,
}

impl Attempt {
    fn of(login: &Login) -> Self {
        // Directories differ in which names they take for the same; names that nearly are share a counter.
        let name = login.username.trim().to_lowercase();
        let network = login.client_address.map(network);
        let lane = [
            name.as_bytes(),
            b"\0",
            network.as_deref().unwrap_or_default(),
        ]
        .concat();
        Self {
            user: AttemptCounter::new("password-user", name.as_bytes()),
            address: network.map(|network| AttemptCounter::new("password-address", &network)),
            lane: AttemptCounter::new("password-lane", &lane),
        }
    }
}

/// The attempts that wait for their delay, in this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Arc<Mutex<HashMap<AttemptCounter, usize>>>);

impl Waiting {
    /// A place to wait in, unless all are taken.
    fn place(&self, lane: AttemptCounter) -> Option<Place> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = lanes.values().sum::<usize>() >= MAX_WAITING;
        let waiting = lanes.get(&lane).copied().unwrap_or_default();
        if is_full || waiting >= MAX_WAITING_TOGETHER {
            return None;
        }
        lanes.insert(lane, waiting + 1);
        Some(Place {
            waiting: self.clone(),
            lane,
        })
    }
}

/// One that is taken, until it is dropped.
struct Place {
    waiting: Waiting,
    lane: AttemptCounter,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lanes = self
            .waiting
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let left = lanes
            .get(&self.lane)
            .map_or(0, |waiting| waiting.saturating_sub(1));
        if left == 0 {
            lanes.remove(&self.lane);
        } else {
            lanes.insert(self.lane, left);
        }
    }
}

/// How long the attempt of that number waits.
fn delay(number: u64, rules: &PasswordConfig) -> Duration {
    let Some(beyond) = number.checked_sub(u64::from(rules.free_failures) + 1) else {
        return Duration::ZERO;
    };
    let doublings = u32::try_from(beyond).unwrap_or(u32::MAX).min(MAX_DOUBLINGS);
    (FIRST_DELAY * 2_u32.pow(doublings)).min(rules.max_delay)
}

/// Whether it can be anybody's, and a directory need be asked.
fn is_plausible(login: &Login) -> bool {
    let Login {
        username, password, ..
    } = login;
    (1..=MAX_VALUE_LEN).contains(&username.len())
        && !username.contains(char::is_control)
        && (1..=MAX_PASSWORD_LEN).contains(&password.expose().len())
}

/// What one client can not change of its address.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

const FIRST_DELAY: Duration = Duration::from_millis(250);

/// Beyond the longest `max_delay`.
const MAX_DOUBLINGS: u32 = 10;

/// A user who is impatient sends two or three.
const MAX_WAITING_TOGETHER: usize = 4;

/// A few megabytes, with their connections.
const MAX_WAITING: usize = 1024;
