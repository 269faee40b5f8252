//! Limits on guessing passwords, for every user directory.
//!
//! 1. After `address_failures` wrong passwords within `window` from one client address (IPv6: one
//!    /64), further attempts from it are refused until the window is over.
//! 2. After `free_failures` wrong passwords within `window` for one username, known or unknown,
//!    each further attempt waits: a quarter of a second at first, then twice as long each time, up
//!    to `max_delay`. No user is locked out: the right password succeeds after the delay.
//! 3. The store counts every attempt as a failure from its start, and takes the count back if the
//!    attempt did not fail. So concurrent guesses, on any replica, get different numbers, and
//!    cannot all be the first one.
//! 4. A few attempts for one user from one address may wait at the same time, and a limited number
//!    in all, because each holds a connection. A further attempt is refused at once, neither
//!    checked nor counted. So guesses cannot keep out a user who comes from elsewhere. Attempts
//!    without an address share one queue per user.
//!
//! The delay comes before the check, so that it says nothing about the password. The log contains
//! neither names nor passwords, because people type passwords into the field for the name.

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
    /// Authenticates a user with the directory, within the limits of `[password]`.
    ///
    /// The response takes longer after many wrong passwords for the user.
    ///
    /// # Errors
    /// [`IssueError::PasswordRefused`], [`IssueError::TooManyAttempts`],
    /// [`IssueError::UserDisabled`], [`IssueError::Directory`], [`IssueError::Store`].
    pub async fn log_in(&self, login: &Login) -> Result<DirectoryUser, IssueError> {
        let attempt = LoginAttempt::of(login);
        let mut counted = Vec::new();
        let outcome = match self.admit(&attempt, &mut counted).await {
            Ok(()) => self.authenticate(login).await,
            Err(refused) => Err(refused),
        };
        if !matches!(outcome, Err(IssueError::PasswordRefused)) {
            self.take_back(&counted).await;
        }
        match &outcome {
            Ok(user) => audit::log_in_succeeded(login, user),
            Err(IssueError::PasswordRefused | IssueError::TooManyAttempts(_)) => {
                audit::log_in_refused(login)
            }
            Err(_) => {}
        }
        outcome
    }

    /// Counts an attempt and waits for its delay. `counted` receives the counters, even of an
    /// attempt that is refused.
    async fn admit(
        &self,
        attempt: &LoginAttempt,
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
        let place = self.delayed.place(attempt.lane);
        let place =
            place.ok_or_else(|| IssueError::TooManyAttempts(delay.max(Duration::from_secs(1))))?;
        tokio::time::sleep(delay).await;
        drop(place);
        Ok(())
    }

    async fn authenticate(&self, login: &Login) -> Result<DirectoryUser, IssueError> {
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

    /// Takes back the count of an attempt that was no failure. If the store is unavailable, the
    /// count stays and only slows the user down.
    async fn take_back(&self, counted: &[AttemptCounter]) {
        for counter in counted {
            if let Err(error) = self.store.uncount_attempts(counter, 1).await {
                tracing::debug!(%error, "cannot take back the count of a log-in attempt; the next one may be delayed");
            }
        }
    }
}

/// The counters of an attempt to log in.
struct LoginAttempt {
    user: AttemptCounter,
    address: Option<AttemptCounter>,
    /// The queue in which the attempt waits.
    lane: AttemptCounter,
}

impl LoginAttempt {
    fn of(login: &Login) -> Self {
        // Directories differ in the names that they consider equal, so similar names share a
        // counter.
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

/// The attempts of this process that wait for their delay.
#[derive(Clone, Debug, Default)]
pub(super) struct DelayedAttempts(Arc<Mutex<HashMap<AttemptCounter, usize>>>);

impl DelayedAttempts {
    /// Reserves a place to wait, unless all are taken.
    fn place(&self, lane: AttemptCounter) -> Option<DelayPlace> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = lanes.values().sum::<usize>() >= MAX_WAITING;
        let waiting = lanes.get(&lane).copied().unwrap_or_default();
        if is_full || waiting >= MAX_WAITING_TOGETHER {
            return None;
        }
        lanes.insert(lane, waiting + 1);
        Some(DelayPlace {
            attempts: self.clone(),
            lane,
        })
    }
}

/// A reserved place to wait, until it is dropped.
struct DelayPlace {
    attempts: DelayedAttempts,
    lane: AttemptCounter,
}

impl Drop for DelayPlace {
    fn drop(&mut self) {
        let mut lanes = self
            .attempts
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

/// Returns the delay of the attempt with that number.
fn delay(number: u64, rules: &PasswordConfig) -> Duration {
    let Some(beyond) = number.checked_sub(u64::from(rules.free_failures) + 1) else {
        return Duration::ZERO;
    };
    let doublings = u32::try_from(beyond).unwrap_or(u32::MAX).min(MAX_DOUBLINGS);
    (FIRST_DELAY * 2_u32.pow(doublings)).min(rules.max_delay)
}

/// Returns false if no directory can have such a user, so that no query is needed.
fn is_plausible(login: &Login) -> bool {
    let Login {
        username, password, ..
    } = login;
    (1..=MAX_VALUE_LEN).contains(&username.len())
        && !username.contains(char::is_control)
        && (1..=MAX_PASSWORD_LEN).contains(&password.expose().len())
}

/// Returns the part of an address that one client cannot change.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

const FIRST_DELAY: Duration = Duration::from_millis(250);

/// Exceeds the longest `max_delay`.
const MAX_DOUBLINGS: u32 = 10;

/// Above the two or three attempts of an impatient user.
const MAX_WAITING_TOGETHER: usize = 4;

/// A few megabytes of memory, connections included.
const MAX_WAITING: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_wait_is_free_again_after_its_attempt() {
        let attempts = DelayedAttempts::default();
        let lane = AttemptCounter::new("password-lane", b"jane");
        let mut waiting: Vec<_> = (0..MAX_WAITING_TOGETHER)
            .map(|_| attempts.place(lane).expect("a free place"))
            .collect();
        assert!(attempts.place(lane).is_none());
        waiting.pop();
        waiting.push(attempts.place(lane).expect("a free place"));
        assert!(attempts.place(lane).is_none());
        waiting.clear();
        assert!(attempts.0.lock().expect("not poisoned").is_empty());
    }
}
