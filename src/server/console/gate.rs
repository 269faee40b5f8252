//! Who is let in: whoever showed the admin token, for a while, with the browser that showed it.
//!
//! 1. A browser that shows the token gets a cookie of 256 random bits, which opens the console for [`SESSION_TTL`], until
//!    its owner logs out, or until this process ends: whoever starts it with another token ends all sessions.
//! 2. Only the hashes of cookies are kept, of [`SESSIONS`] at most: one more ends the oldest.
//! 3. After [`FAILURES`] wrong tokens within [`FAILURE_WINDOW`] of the first, no token is looked at until that is over.
//!    Sessions go on.
//!
//! # Security
//! Whoever reaches the listener can use up the attempts of everybody else, and so keep others from logging in. To let the
//! right token through all the same would be to let it be guessed at.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Entropy, UnixTime};
use crate::model::SessionId;
use crate::server::api::AdminToken;
use crate::server::pages::Cookie;

/// The gate of the console.
#[derive(Debug)]
pub(super) struct Gate {
    admin_token: AdminToken,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    state: Mutex<State>,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shut {
    /// That is not the token.
    Wrong,
    /// There were too many wrong tokens; when to come back.
    TooOften(Duration),
}

impl Shut {
    /// Its name in the log.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Wrong => "wrong token",
            Self::TooOften(_) => "too many wrong tokens",
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// The oldest first.
    sessions: VecDeque<Session>,
    failures: u32,
    /// When the first of them was.
    failing_since: UnixTime,
}

#[derive(Debug)]
struct Session {
    id: SessionId,
    expires_at: UnixTime,
}

impl Gate {
    /// Nobody is in yet.
    pub(super) fn new(
        admin_token: AdminToken,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            admin_token,
            clock,
            entropy,
            state: Mutex::default(),
        }
    }

    /// Lets in whoever shows the token.
    ///
    /// # Errors
    /// When it is not the token, or too many were not.
    pub(super) fn log_in(&self, token: &[u8]) -> Result<Cookie, Shut> {
        let now = self.clock.now();
        let mut state = self.state();
        if let Some(wait) = state.wait(now) {
            return Err(Shut::TooOften(wait));
        }
        if !self.admin_token.matches(token) {
            state.fail(now);
            return Err(Shut::Wrong);
        }
        let cookie = Cookie::draw(&*self.entropy);
        state.open(&cookie, now);
        Ok(cookie)
    }

    /// Whether that browser was let in.
    pub(super) fn is_open_to(&self, cookie: &Cookie) -> bool {
        let (id, now) = (SessionId::of_cookie(cookie.expose()), self.clock.now());
        self.state()
            .sessions
            .iter()
            .any(|session| session.id == id && now < session.expires_at)
    }

    /// Lets that browser in no more.
    pub(super) fn log_out(&self, cookie: &Cookie) {
        let id = SessionId::of_cookie(cookie.expose());
        self.state().sessions.retain(|session| session.id != id);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How long no token is looked at.
    fn wait(&mut self, now: UnixTime) -> Option<Duration> {
        let over = self.failing_since.plus(FAILURE_WINDOW);
        // A clock that was set back must not make anybody wait longer than that.
        if now >= over || now < self.failing_since {
            self.failures = 0;
        }
        (self.failures >= FAILURES).then(|| over.since(now))
    }

    fn fail(&mut self, now: UnixTime) {
        if self.failures == 0 {
            self.failing_since = now;
        }
        self.failures += 1;
    }

    fn open(&mut self, cookie: &Cookie, now: UnixTime) {
        self.sessions.retain(|session| now < session.expires_at);
        if self.sessions.len() == SESSIONS {
            self.sessions.pop_front();
        }
        let id = SessionId::of_cookie(cookie.expose());
        self.sessions.push_back(Session {
            id,
            expires_at: now.plus(SESSION_TTL),
        });
    }
}

/// A working day.
const SESSION_TTL: Duration = Duration::from_hours(8);

/// More than the people who look at one replica.
const SESSIONS: usize = 64;

/// More than anybody mistypes, and nothing to somebody who guesses.
const FAILURES: u32 = 10;

const FAILURE_WINDOW: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{CountingEntropy, ManualClock};

    const TOKEN: &str = "correct-horse-battery";

    fn gate() -> (Gate, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(UnixTime::from_secs(1_700_000_000)));
        let token = AdminToken::new(TOKEN).unwrap();
        (
            Gate::new(token, clock.clone(), Arc::new(CountingEntropy::default())),
            clock,
        )
    }

    #[test]
    fn only_a_browser_that_showed_the_token_is_let_in() {
        let (gate, _) = gate();
        let cookie = gate.log_in(TOKEN.as_bytes()).unwrap();
        let another = Cookie::draw(&CountingEntropy::default());
        assert!(gate.is_open_to(&cookie));
        gate.log_out(&cookie);
        assert!(!gate.is_open_to(&cookie));
        assert!(!gate.is_open_to(&another));
        for wrong in ["", "correct-horse-batterz", "correct-horse-battery2"] {
            assert_eq!(
                gate.log_in(wrong.as_bytes()).err(),
                Some(Shut::Wrong),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_session_ends_after_a_working_day() {
        let (gate, clock) = gate();
        let cookie = gate.log_in(TOKEN.as_bytes()).unwrap();
        clock.advance(SESSION_TTL - Duration::from_millis(1));
        assert!(gate.is_open_to(&cookie));
        clock.advance(Duration::from_millis(1));
        assert!(!gate.is_open_to(&cookie));
    }

    #[test]
    fn one_session_too_many_ends_the_oldest() {
        let (gate, clock) = gate();
        let cookies: Vec<_> = (0..=SESSIONS)
            .map(|_| gate.log_in(TOKEN.as_bytes()).unwrap())
            .collect();
        assert!(!gate.is_open_to(&cookies[0]));
        assert!(cookies[1..].iter().all(|cookie| gate.is_open_to(cookie)));
        clock.advance(SESSION_TTL);
        gate.log_in(TOKEN.as_bytes()).unwrap();
        assert_eq!(gate.state().sessions.len(), 1, "what is over is not kept");
    }

    #[test]
    fn after_ten_wrong_tokens_none_is_looked_at_for_the_rest_of_a_minute() {
        let (gate, clock) = gate();
        let inside = gate.log_in(TOKEN.as_bytes()).unwrap();
        for _ in 0..10 {
            assert_eq!(gate.log_in(b"wrong").err(), Some(Shut::Wrong));
            clock.advance(Duration::from_secs(1));
        }
        let too_often = Some(Shut::TooOften(Duration::from_secs(50)));
        assert_eq!(gate.log_in(b"wrong").err(), too_often);
        assert_eq!(
            gate.log_in(TOKEN.as_bytes()).err(),
            too_often,
            "a guess that is right is not told apart"
        );
        assert!(gate.is_open_to(&inside));
        clock.advance(Duration::from_secs(50));
        assert!(gate.log_in(TOKEN.as_bytes()).is_ok());
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_out() {
        let (gate, clock) = gate();
        for _ in 0..10 {
            assert!(gate.log_in(b"wrong").is_err());
        }
        clock.set(UnixTime::from_secs(1_600_000_000));
        assert!(gate.log_in(TOKEN.as_bytes()).is_ok());
    }
}
