//! A change that another one overtook is tried again; every other failure ends it.

use crate::issue::{replaced, written};
use crate::store::{StoreError, StoreErrorKind};

#[test]
fn a_lost_race_is_no_failure_and_a_failure_is_no_lost_race() {
    let failed = |kind| Err(StoreError::new(kind, "testing"));
    assert!(replaced(Ok(())).unwrap() && written(Ok(())).unwrap());
    assert!(!replaced(failed(StoreErrorKind::Conflict)).unwrap());
    assert!(!written(failed(StoreErrorKind::Conflict)).unwrap());
    assert!(!written(failed(StoreErrorKind::AlreadyExists)).unwrap());
    assert!(replaced(failed(StoreErrorKind::AlreadyExists)).is_err());
    assert!(replaced(failed(StoreErrorKind::Unavailable)).is_err());
    assert!(written(failed(StoreErrorKind::Unavailable)).is_err());
}
