//! The console on the ops listener: sessions and headers (`sessions`), content (`shown`), and the
//! real program in Chromium (`browser`).

mod browser;
mod sessions;
mod shown;
pub(crate) mod site;
