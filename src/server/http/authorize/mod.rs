//! The authorize page (RFC 5849 section 2.2): a user logs in, sees the request of a consumer, and
//! allows or refuses it.
//!
//! ```text
//!  GET ?oauth_token=… ──▶ login form ──POST log-in──▶ 303 ──▶ question ──POST allow, refuse──▶
//!        │                    ▲                                  │        303 to the callback,
//!        └─ logged in ────────│──────────────────────────────────┤        or a page with the PIN
//!                             └─────────── POST log-out ─────────┘
//! ```
//!
//! Every form posts to the page itself, and its `action` field names its purpose. There is no
//! script and no automatic approval: each decision takes one click of a logged-in user, and ends
//! the session. Without `oauth_token` the page asks for it. Other parameters, such as the
//! `oauth_callback` of OAuth 1.0 before 1.0a, are ignored.
//!
//! - `routes`: the handlers; `page`: their state.
//! - `browser`: cookies, and tokens against forged forms; `submission`: the effects of a form.
//! - `pages`, `notices`: the texts for users; `response`: a page and its form targets.
//! - `brand`, `logo`: the name, the logo and the color of the service.
//!
//! [`crate::issue`] identifies users, slows down guesses, and carries out decisions.

mod brand;
mod browser;
mod logo;
mod notices;
mod page;
mod pages;
mod response;
mod routes;
mod submission;
#[cfg(test)]
mod tests;

pub use logo::{LogoError, ServiceLogo};
pub(super) use routes::routes;
