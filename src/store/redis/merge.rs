//! The merging of two versions of a record of which neither came from the other: Redis lost the one
//! that this process remembers, and another replica changed what was left.
//!
//! The stored version stays, except for what the lost one revoked: the more restrictive state, keys
//! that were removed, a password that was replaced, and tokens that were voided. Nothing that either
//! side revoked is valid afterwards. A version that is later than the remembered one looks the same,
//! so a revocation of the last minute may come back although another replica ended it.

use crate::model::{
    AccessToken, Consumer, ConsumerSecret, ConsumerStatus, Generation, RequestToken,
    RequestTokenState, TokenStatus, User, UserStatus,
};

/// Returns the merged consumer, or `None` if the stored one, `theirs`, stays as it is. `earlier` are
/// the known versions before `mine`.
pub(super) fn consumers(
    mine: &Consumer,
    theirs: &Consumer,
    earlier: &[Consumer],
    draw: impl FnOnce() -> Generation,
) -> Option<Consumer> {
    // The id is random, so a version of a consumer that this process created came from it.
    if earlier.is_empty() {
        return None;
    }
    let mut merged = theirs.clone();
    if mine.status == ConsumerStatus::Disabled {
        merged.status = mine.status;
    }
    merged.secrets = secrets(mine, theirs, earlier);
    merged.rsa_public_keys.retain(|key| {
        let was_removed = earlier.iter().any(|one| one.rsa_public_keys.contains(key));
        mine.rsa_public_keys.contains(key) || !was_removed
    });
    let generations = earlier.iter().map(|one| one.generation);
    merged.generation = generation(mine.generation, theirs.generation, generations, draw);
    (merged != *theirs).then(|| Consumer {
        revision: next_revision(mine.revision, theirs.revision),
        ..merged
    })
}

/// Returns the merged user, or `None` if the stored one, `theirs`, stays as it is. `earlier` are
/// the known versions before `mine`; without one, two replicas may have created the record.
pub(super) fn users(
    mine: &User,
    theirs: &User,
    earlier: &[User],
    draw: impl FnOnce() -> Generation,
) -> Option<User> {
    let mut merged = theirs.clone();
    let was_replaced = earlier.iter().any(|one| one.password == theirs.password);
    if was_replaced && theirs.password.is_some() {
        merged.password.clone_from(&mine.password);
    }
    match (mine.status, theirs.status) {
        (UserStatus::Deleted, UserStatus::Active | UserStatus::Disabled) => {
            merged.status = mine.status;
            (merged.username, merged.password) = (None, None);
        }
        (UserStatus::Disabled, UserStatus::Active) => merged.status = mine.status,
        _ => {}
    }
    let first = earlier.is_empty().then(Generation::default);
    let generations = first
        .into_iter()
        .chain(earlier.iter().map(|one| one.generation));
    merged.generation = generation(mine.generation, theirs.generation, generations, draw);
    (merged != *theirs).then(|| User {
        revision: next_revision(mine.revision, theirs.revision),
        ..merged
    })
}

/// Returns the merged token, or `None` if the stored one, `theirs`, stays as it is.
pub(super) fn tokens(mine: &AccessToken, theirs: &AccessToken) -> Option<AccessToken> {
    let is_missing = mine.status == TokenStatus::Revoked && theirs.status != mine.status;
    is_missing.then(|| AccessToken {
        status: mine.status,
        revision: next_revision(mine.revision, theirs.revision),
        ..theirs.clone()
    })
}

/// Returns the merged temporary credentials, or `None` if the stored ones, `theirs`, stay as they
/// are.
pub(super) fn request_tokens(mine: &RequestToken, theirs: &RequestToken) -> Option<RequestToken> {
    let is_final = |token: &RequestToken| {
        let state = &token.state;
        matches!(state, RequestTokenState::Refused | RequestTokenState::Used)
    };
    (is_final(mine) && !is_final(theirs)).then(|| RequestToken {
        state: mine.state.clone(),
        revision: next_revision(mine.revision, theirs.revision),
        ..theirs.clone()
    })
}

/// Returns the secrets that neither side took away. A rotation replaces them all if the other side
/// rotated nothing.
fn secrets(mine: &Consumer, theirs: &Consumer, earlier: &[Consumer]) -> Vec<ConsumerSecret> {
    let find = |consumer: &Consumer, wanted: &ConsumerSecret| {
        let mut secrets = consumer.secrets.iter();
        secrets.find(|one| one.secret == wanted.secret).cloned()
    };
    let is_untouched = earlier.iter().any(|one| one.secrets == theirs.secrets);
    if is_untouched && !theirs.secrets.is_empty() {
        return mine.secrets.clone();
    }
    let kept = theirs.secrets.iter().filter_map(|secret| {
        let Some(own) = find(mine, secret) else {
            let was_removed = earlier.iter().any(|one| find(one, secret).is_some());
            return (!was_removed).then(|| secret.clone());
        };
        let ends = [own.expires_at, secret.expires_at];
        Some(ConsumerSecret {
            expires_at: ends.into_iter().flatten().min(),
            ..own
        })
    });
    kept.collect()
}

/// Returns the generation under which no token is valid that either side voided.
fn generation(
    mine: Generation,
    theirs: Generation,
    mut earlier: impl Iterator<Item = Generation> + Clone,
    draw: impl FnOnce() -> Generation,
) -> Generation {
    let has_changed = earlier.clone().any(|one| one != mine);
    if mine == theirs || !has_changed {
        theirs
    } else if earlier.any(|one| one == theirs) {
        mine
    } else {
        draw()
    }
}

fn next_revision(mine: u64, theirs: u64) -> u64 {
    mine.max(theirs) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;
    use crate::model::{ConsumerName, PasswordHash, Secret, UserId, Username};

    #[test]
    fn a_disabled_consumer_stays_disabled_at_any_revision() {
        let first = Consumer::example();
        let disabled = at(2, |it| it.status = ConsumerStatus::Disabled);
        let renamed = at(5, |it| it.name = ConsumerName::new("Renamed").unwrap());
        let merged = merge(&disabled, &renamed, std::slice::from_ref(&first)).unwrap();
        assert_eq!(
            (merged.status, merged.revision),
            (ConsumerStatus::Disabled, 6)
        );
        assert_eq!(merged.name, renamed.name);
        // Seen from the other side, and of a consumer that this process created.
        assert_eq!(merge(&renamed, &disabled, &[first]), None);
        assert_eq!(merge(&disabled, &renamed, &[]), None);
    }

    #[test]
    fn a_voided_generation_does_not_come_back() {
        let first = at(1, |it| it.generation = Generation::from_number(1));
        let voided = |number| at(2, |it| it.generation = Generation::from_number(number));
        let earlier = [first.clone()];
        let merged = |mine: &Consumer, theirs: &Consumer| {
            merge(mine, theirs, &earlier).map(|merged| merged.generation.number())
        };
        assert_eq!(merged(&voided(2), &first), Some(2));
        assert_eq!(merged(&first, &voided(2)), None);
        assert_eq!(merged(&voided(2), &voided(2)), None);
        assert_eq!(merged(&voided(2), &voided(3)), Some(DRAWN));
    }

    #[test]
    fn a_secret_that_either_side_took_away_does_not_come_back() {
        let with =
            |revision, secrets: &[ConsumerSecret]| at(revision, |it| it.secrets = secrets.into());
        let first = with(1, &[secret("one", None)]);
        let rotated = with(2, &[secret("two", None), secret("one", Some(9))]);
        let replaced = with(3, &[secret("two", None)]);
        let other = with(2, &[secret("three", None), secret("one", Some(5))]);
        let merged = |mine: &Consumer, theirs: &Consumer, earlier: &[Consumer]| {
            merge(mine, theirs, earlier).map(|merged| merged.secrets)
        };
        let earlier = [first.clone()];
        // The other side rotated nothing.
        assert_eq!(
            merged(&rotated, &first, &earlier),
            Some(rotated.secrets.clone())
        );
        let all = [first.clone(), rotated.clone()];
        assert_eq!(
            merged(&replaced, &rotated, &all),
            Some(replaced.secrets.clone())
        );
        // Both sides rotated.
        assert_eq!(merged(&rotated, &other, &earlier), None);
        assert_eq!(
            merged(&replaced, &other, &all),
            Some(vec![secret("three", None)])
        );
        let later = with(4, &[secret("three", None), secret("one", Some(50))]);
        assert_eq!(
            merged(&rotated, &later, &earlier),
            Some(vec![secret("three", None), secret("one", Some(9))])
        );
        // The other side took the secret away.
        assert_eq!(merged(&rotated, &with(3, &[]), &earlier), None);
        assert_eq!(merged(&first, &with(3, &[]), &all), None);
    }

    #[test]
    fn a_user_keeps_the_stricter_state_and_no_old_password() {
        let first = user(1, |_| {});
        let deleted = user(2, |it| {
            it.status = UserStatus::Deleted;
            (it.username, it.password) = (None, None);
            it.generation = Generation::from_number(2);
        });
        let disabled = user(2, |it| it.status = UserStatus::Disabled);
        let guarded = user(2, |it| it.password = Some(PasswordHash::new("new")));
        let earlier = [first];
        let merged = |mine: &User, theirs: &User| {
            users(mine, theirs, &earlier, || Generation::from_number(DRAWN))
        };
        let is = merged(&deleted, &disabled).unwrap();
        assert_eq!(
            is,
            User {
                revision: 3,
                ..deleted.clone()
            }
        );
        assert_eq!(merged(&disabled, &deleted), None);
        assert_eq!(
            merged(&disabled, &guarded).unwrap().status,
            UserStatus::Disabled
        );
        let renamed = user(4, |it| it.username = Some(Username::new("janet").unwrap()));
        let is = merged(&guarded, &renamed).unwrap();
        assert_eq!((is.password, is.revision), (guarded.password.clone(), 5));
        assert_eq!(is.username, renamed.username);
        let without = user(4, |it| it.password = None);
        assert_eq!(merged(&guarded, &without), None);
    }

    #[test]
    fn of_two_records_of_a_user_that_both_void_tokens_neither_generation_stays() {
        let created = |number| user(1, |it| it.generation = Generation::from_number(number));
        let merged = |mine: &User, theirs: &User| {
            let merged = users(mine, theirs, &[], || Generation::from_number(DRAWN));
            merged.map(|merged| merged.generation.number())
        };
        assert_eq!(merged(&created(1), &created(2)), Some(DRAWN));
        assert_eq!(merged(&created(1), &created(0)), Some(1));
        assert_eq!(merged(&created(0), &created(1)), None);
    }

    /// The generation that the tests draw.
    const DRAWN: u64 = 77;

    fn merge(mine: &Consumer, theirs: &Consumer, earlier: &[Consumer]) -> Option<Consumer> {
        consumers(mine, theirs, earlier, || Generation::from_number(DRAWN))
    }

    fn at(revision: u64, change: impl FnOnce(&mut Consumer)) -> Consumer {
        let mut consumer = Consumer {
            revision,
            ..Consumer::example()
        };
        change(&mut consumer);
        consumer
    }

    fn secret(text: &str, expires_at: Option<u64>) -> ConsumerSecret {
        ConsumerSecret {
            secret: Secret::new(text.as_bytes()),
            expires_at: expires_at.map(UnixTime::from_secs),
        }
    }

    fn user(revision: u64, change: impl FnOnce(&mut User)) -> User {
        let mut user = User {
            id: UserId::new("jane").unwrap(),
            username: Some(Username::new("jane").unwrap()),
            password: Some(PasswordHash::new("old")),
            status: UserStatus::Active,
            generation: Generation::from_number(1),
            created_at: UnixTime::default(),
            updated_at: UnixTime::default(),
            revision,
        };
        change(&mut user);
        user
    }
}
