//! What every page for people has, whichever listener shows it.
//!
//! - `answer`: the headers that keep a page to itself.
//! - `cookie`: what a browser is known by; `origin`: whether a form comes from the site that it is posted to.
//! - `fields`: how a query or a form is read.
//!
//! What stands on a page, and who may see it, is left to whoever shows it.

mod answer;
mod cookie;
mod fields;
mod origin;

pub(super) use answer::{Answer, style_source, whole_seconds};
pub(super) use cookie::{Cookie, CookieKind};
pub(super) use fields::{BadFields, Fields};
pub(super) use origin::comes_from_here;
