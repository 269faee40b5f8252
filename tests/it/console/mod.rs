//! The console on the ops listener: log-in, sessions and headers (`sessions`), the pages (`shown`),
//! and the real program in a real Chromium (`browser`).

mod browser;
mod sessions;
mod shown;
mod site;
