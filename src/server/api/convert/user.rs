//! Messages of users.

use super::{given, secret, timestamp};
use crate::issue::{UserDraft, Violations, etag};
use crate::model::{User, UserStatus};
use crate::v1;

/// Returns the draft in a CreateUser request.
pub(in super::super) fn user_draft(
    request: v1::CreateUserRequest,
) -> Result<UserDraft, Violations> {
    let v1::CreateUserRequest { user, password } = request;
    let v1::User {
        user_id,
        username,
        status: _,
        has_password: _,
        create_time: _,
        update_time: _,
        etag: _,
    } = user.ok_or_else(|| Violations::of("user", "is required"))?;
    Ok(UserDraft {
        user_id: given(user_id),
        username,
        password: secret(password),
    })
}

/// Returns the message of a user, without the password hash.
pub(in super::super) fn user_message(user: &User) -> v1::User {
    let User {
        id,
        username,
        password,
        status,
        generation,
        created_at,
        updated_at,
        revision,
    } = user;
    v1::User {
        user_id: id.to_string(),
        username: username
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        status: user_status(*status).into(),
        has_password: password.is_some(),
        create_time: Some(timestamp(*created_at)),
        update_time: Some(timestamp(*updated_at)),
        etag: etag(*generation, *revision),
    }
}

/// Returns the status of a user. No response contains a deleted user, whose tokens are refused like
/// those of a disabled one.
const fn user_status(status: UserStatus) -> v1::UserStatus {
    match status {
        UserStatus::Active => v1::UserStatus::Active,
        UserStatus::Disabled | UserStatus::Deleted => v1::UserStatus::Disabled,
    }
}
