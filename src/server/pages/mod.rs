//! The parts that all pages for people share, on every listener.
//!
//! - `response`: a page with its security headers.
//! - `cookie`: the cookie of a browser; `origin`: the origin of a form.
//! - `fields`: the fields of a query or a form.
//!
//! The content of a page and access to it are up to its listener.

mod cookie;
mod fields;
mod origin;
mod response;

pub(super) use cookie::{BrowserCookie, CookieKind};
pub(super) use fields::{FormError, FormFields};
pub(super) use origin::is_same_origin;
pub(super) use response::{PageResponse, PageSources, whole_seconds};
