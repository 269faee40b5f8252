//! The addresses of the console.

/// The path of the page.
pub(super) const PATH: &str = "/console";

/// The path of the form with the admin token.
pub(super) const LOG_IN: &str = "/console/login";

/// The path of the form that ends a session.
pub(super) const LOG_OUT: &str = "/console/logout";
