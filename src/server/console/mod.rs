//! The console: one page on the ops listener that shows an operator the state of the service and
//! its denials.
//!
//! ```text
//!  GET /console ──▶ form for the admin token ──POST /console/login──▶ 303 ──▶ the page
//!       ▲                                                                        │
//!       └───────────────────────── POST /console/logout ─────────────────────────┘
//! ```
//!
//! It is read-only and has no script. A page that shows the newest denials reloads itself
//! (`Refresh`), unless `live=off` pauses it. Without a session it shows only the form.
//!
//! On a plaintext listener beyond loopback, the admin token could be intercepted. The console is
//! closed there, unless `ops.insecure_plaintext` states that something else encrypts the
//! connection.
//!
//! - `routes`: the handlers; `site`: their state; `gate`: sessions.
//! - `query`: the query of the page; `overview`: the page; `pages`: forms and notices; `paths`:
//!   addresses.
//! - `hour`, `chart`: the last hour and its charts; `denial`: an opened denial; `facts`: its
//!   circumstances.
//! - `difference`: the difference of two base strings; `display`: times and numbers for people.
//!
//! [`crate::diagnostics`] removes secrets from its data, and [`crate::server::pages`] protects
//! pages in the browser.

mod chart;
mod denial;
mod difference;
mod display;
mod facts;
mod gate;
mod hour;
mod overview;
mod pages;
mod paths;
mod query;
mod routes;
mod site;

pub(super) use gate::ConsoleGate;
pub(super) use routes::routes;
pub(super) use site::ConsoleSources;
