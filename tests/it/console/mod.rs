//! The console on the ops listener: sessions and headers (`sessions`), content (`shown`), the
//! last hour (`hour`), and the
//! real program in Chromium (`browser`).

mod browser;
mod hour;
mod sessions;
mod shown;
pub(crate) mod site;
