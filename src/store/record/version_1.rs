//! A consumer and a token as version 1 of the records was written, for tests.

/// The key that their secrets are sealed with.
pub(in crate::store) const MASTER_KEY: &str = "old:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// The consumer `ck`.
pub(in crate::store) const CONSUMER: &str = r#"{"version":1,"id":"c-1","key":"ck","name":"Printer Example","description":"","platform":"","app_url":"","disabled":false,"secrets":[{"sealed":"old:AAAAAAAAAAAAAAAAAAAAAQAAAAAAAAACXXHPPzmn1It5XBQEX2v0MvHWzyOLWB3BsD+P5vWBxWg=","expires_at_ms":null}],"rsa_public_keys":[],"signature_methods":[],"flows":["two-legged"],"callbacks":[],"scopes":"read","compat":[],"created_at_ms":1,"updated_at_ms":1,"revision":1}"#;

/// Its token `t`, of the user `jane doe`.
pub(in crate::store) const TOKEN: &str = r#"{"version":1,"token":"t","secret":"old:AAAAAAAAAAMAAAAAAAAABAAAAAAAAAAF9vdSrwgEo0qp7jT9JTmxRJraxgE8ScnF2YpzuEv8aIQ=","consumer_key":"ck","user_id":"jane doe","scopes":"read","revoked":false,"expires_at_ms":null,"created_at_ms":1,"revision":1}"#;
