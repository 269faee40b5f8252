//! The listeners and what they serve.

pub mod api;
