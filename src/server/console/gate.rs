//! Sessions of the console.
//!
//! 1. A browser that sends the admin token gets a cookie of 256 random bits. It is valid for
//!    [`SESSION_TTL`], until its owner logs out, or until this process ends. Another token ends all
//!    sessions.
//! 2. Only hashes of cookies are stored, and at most [`MAX_SESSIONS`]: one more evicts the oldest.
//! 3. After [`MAX_FAILURES`] wrong tokens within [`FAILURE_WINDOW`] of the first, every token is
//!    refused until the window ends. Sessions stay valid.
//!
//! # Security
//! A client that reaches the listener can use up the attempts, and so prevent operators from
//! logging in. If the gate accepted the right token in the meantime, the token could be guessed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Entropy, UnixTime};
use crate::model::SessionId;
use crate::server::api::AdminToken;
use crate::server::pages::BrowserCookie;

/// The gate of the console.
#[derive(Debug)]
pub(in crate::server) struct ConsoleGate {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    state: Mutex<GateState>,
}

/// The reason why a login is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginRefusal {
    /// The token is wrong.
    WrongToken,
    /// There were too many wrong tokens; a retry is possible after this time.
    TooManyFailures(Duration),
}

impl LoginRefusal {
    /// Returns the name for the log.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::WrongToken => "wrong token",
            Self::TooManyFailures(_) => "too many wrong tokens",
        }
    }
}

#[derive(Debug)]
struct GateState {
    admin_token: AdminToken,
    /// Ordered by age, the oldest first.
    sessions: VecDeque<ConsoleSession>,
    failures: u32,
    /// The time of the first failure.
    first_failure: UnixTime,
}

#[derive(Debug)]
struct ConsoleSession {
    id: SessionId,
    expires_at: UnixTime,
}

impl ConsoleGate {
    /// Returns a gate without sessions.
    pub(in crate::server) fn new(
        admin_token: AdminToken,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let state = GateState {
            admin_token,
            sessions: VecDeque::new(),
            failures: 0,
            first_failure: UnixTime::default(),
        };
        Self {
            clock,
            entropy,
            state: Mutex::new(state),
        }
    }

    /// Replaces the admin token; another one ends all sessions. Failures still count.
    pub(in crate::server) fn set_admin_token(&self, token: AdminToken) {
        let mut state = self.state();
        if state.admin_token != token {
            state.admin_token = token;
            state.sessions.clear();
        }
    }

    /// Opens a session for the admin token.
    ///
    /// # Errors
    /// If the token is wrong, or there were too many wrong tokens.
    pub(super) fn log_in(&self, token: &[u8]) -> Result<BrowserCookie, LoginRefusal> {
        let now = self.clock.now();
        let mut state = self.state();
        if let Some(wait) = state.wait(now) {
            return Err(LoginRefusal::TooManyFailures(wait));
        }
        if !state.admin_token.matches(token) {
            state.fail(now);
            return Err(LoginRefusal::WrongToken);
        }
        let cookie = BrowserCookie::random(&*self.entropy);
        state.open(&cookie, now);
        Ok(cookie)
    }

    /// Returns whether a browser has a session.
    pub(super) fn has_session(&self, cookie: &BrowserCookie) -> bool {
        let (id, now) = (SessionId::of_cookie(cookie.expose()), self.clock.now());
        self.state()
            .sessions
            .iter()
            .any(|session| session.id == id && now < session.expires_at)
    }

    /// Ends the session of a browser.
    pub(super) fn log_out(&self, cookie: &BrowserCookie) {
        let id = SessionId::of_cookie(cookie.expose());
        self.state().sessions.retain(|session| session.id != id);
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GateState {
    /// Returns how long tokens are refused, if they are.
    fn wait(&mut self, now: UnixTime) -> Option<Duration> {
        let over = self.first_failure.plus(FAILURE_WINDOW);
        // A clock that was set back must not extend the wait.
        if now >= over || now < self.first_failure {
            self.failures = 0;
        }
        (self.failures >= MAX_FAILURES).then(|| over.since(now))
    }

    fn fail(&mut self, now: UnixTime) {
        if self.failures == 0 {
            self.first_failure = now;
        }
        self.failures += 1;
    }

    fn open(&mut self, cookie: &BrowserCookie, now: UnixTime) {
        self.sessions.retain(|session| now < session.expires_at);
        if self.sessions.len() == MAX_SESSIONS {
            self.sessions.pop_front();
        }
        let id = SessionId::of_cookie(cookie.expose());
        self.sessions.push_back(ConsoleSession {
            id,
            expires_at: now.plus(SESSION_TTL),
        });
    }
}

/// A working day.
const SESSION_TTL: Duration = Duration::from_hours(8);

/// More than the operators of one replica.
const MAX_SESSIONS: usize = 64;

/// More than an operator mistypes, and far too few to guess.
const MAX_FAILURES: u32 = 10;

/// The time for which failures count, and tokens are refused after too many.
const FAILURE_WINDOW: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{CountingEntropy, ManualClock};

    const TOKEN: &str = "correct-horse-battery";

    fn gate() -> (ConsoleGate, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(UnixTime::from_secs(1_700_000_000)));
        let token = AdminToken::new(TOKEN).unwrap();
        (
            ConsoleGate::new(token, clock.clone(), Arc::new(CountingEntropy::default())),
            clock,
        )
    }

    #[test]
    fn only_the_admin_token_opens_a_session() {
        let (gate, _) = gate();
        let cookie = gate.log_in(TOKEN.as_bytes()).unwrap();
        let another = BrowserCookie::random(&CountingEntropy::default());
        assert!(gate.has_session(&cookie));
        gate.log_out(&cookie);
        assert!(!gate.has_session(&cookie));
        assert!(!gate.has_session(&another));
        for wrong in ["", "correct-horse-batterz", "correct-horse-battery2"] {
            assert_eq!(
                gate.log_in(wrong.as_bytes()).err(),
                Some(LoginRefusal::WrongToken),
                "{wrong}"
            );
        }
    }

    #[test]
    fn another_admin_token_ends_all_sessions_and_keeps_the_failures() {
        let (gate, _) = gate();
        let cookie = gate.log_in(TOKEN.as_bytes()).unwrap();
        gate.set_admin_token(AdminToken::new(TOKEN).unwrap());
        assert!(gate.has_session(&cookie), "the same token ends none");

        for _ in 1..MAX_FAILURES {
            assert!(gate.log_in(b"wrong").is_err());
        }
        gate.set_admin_token(AdminToken::new("another-horse-battery").unwrap());
        assert!(!gate.has_session(&cookie));
        let old = gate.log_in(TOKEN.as_bytes());
        assert_eq!(old.err(), Some(LoginRefusal::WrongToken));
        let new = gate.log_in(b"another-horse-battery");
        assert!(matches!(new, Err(LoginRefusal::TooManyFailures(_))));
    }

    #[test]
    fn a_session_ends_after_a_working_day() {
        let (gate, clock) = gate();
        let cookie = gate.log_in(TOKEN.as_bytes()).unwrap();
        clock.advance(SESSION_TTL - Duration::from_millis(1));
        assert!(gate.has_session(&cookie));
        clock.advance(Duration::from_millis(1));
        assert!(!gate.has_session(&cookie));
    }

    #[test]
    fn one_session_too_many_evicts_the_oldest() {
        let (gate, clock) = gate();
        let cookies: Vec<_> = (0..=MAX_SESSIONS)
            .map(|_| gate.log_in(TOKEN.as_bytes()).unwrap())
            .collect();
        assert!(!gate.has_session(&cookies[0]));
        assert!(cookies[1..].iter().all(|cookie| gate.has_session(cookie)));
        clock.advance(SESSION_TTL);
        gate.log_in(TOKEN.as_bytes()).unwrap();
        assert_eq!(
            gate.state().sessions.len(),
            1,
            "expired sessions are removed"
        );
    }

    #[test]
    fn after_ten_wrong_tokens_all_are_refused_for_the_rest_of_a_minute() {
        let (gate, clock) = gate();
        let inside = gate.log_in(TOKEN.as_bytes()).unwrap();
        for _ in 0..10 {
            assert_eq!(gate.log_in(b"wrong").err(), Some(LoginRefusal::WrongToken));
            clock.advance(Duration::from_secs(1));
        }
        let too_many = Some(LoginRefusal::TooManyFailures(Duration::from_secs(50)));
        assert_eq!(gate.log_in(b"wrong").err(), too_many);
        assert_eq!(
            gate.log_in(TOKEN.as_bytes()).err(),
            too_many,
            "a right guess gets the same answer"
        );
        assert!(gate.has_session(&inside));
        clock.advance(Duration::from_secs(50));
        assert!(gate.log_in(TOKEN.as_bytes()).is_ok());
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_extend_the_wait() {
        let (gate, clock) = gate();
        for _ in 0..10 {
            assert!(gate.log_in(b"wrong").is_err());
        }
        clock.set(UnixTime::from_secs(1_600_000_000));
        assert!(gate.log_in(TOKEN.as_bytes()).is_ok());
    }
}
