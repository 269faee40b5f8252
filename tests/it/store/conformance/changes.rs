//! Changes are announced before the call that made them returns.

use std::sync::{Arc, Mutex, Weak};

use countersign::model::{Consumer, User};
use countersign::store::{ChangeObserver, RecordChange, Store};

use super::on_every_store;
use crate::store::bench::{authorized, consumer, key, name, request_token, token, user, user_id};

on_every_store! {
    every_change_of_a_consumer_is_announced
    every_change_of_a_token_is_announced
    every_change_of_a_user_is_announced
    a_refused_change_is_not_announced
}

async fn every_change_of_a_consumer_is_announced(store: Arc<dyn Store>) {
    let told = Told::of(&store);
    let change = RecordChange::Consumer(key("ck"));
    store.create_consumer(&consumer("ck")).await.unwrap();
    assert!(told.take().contains(&change));
    let changed = Consumer {
        revision: 2,
        ..consumer("ck")
    };
    store.update_consumer(&changed).await.unwrap();
    assert!(told.take().contains(&change));
    store.delete_consumer(&changed).await.unwrap();
    assert!(told.take().contains(&change));
}

async fn every_change_of_a_token_is_announced(store: Arc<dyn Store>) {
    let told = Told::of(&store);
    let change = RecordChange::Token(name("t"));
    store.create_token(&token("ck", "t")).await.unwrap();
    assert!(told.take().contains(&change));
    let mut changed = token("ck", "t");
    changed.revision = 2;
    store.update_token(&changed).await.unwrap();
    assert!(told.take().contains(&change));
    store.delete_token(&changed).await.unwrap();
    assert!(told.take().contains(&change));
    store
        .create_request_token(&request_token("ck", "r"))
        .await
        .unwrap();
    store
        .exchange_request_token(&authorized(request_token("ck", "r")), &token("ck", "t"))
        .await
        .unwrap();
    assert!(told.take().contains(&change));
}

async fn every_change_of_a_user_is_announced(store: Arc<dyn Store>) {
    let told = Told::of(&store);
    let change = RecordChange::User(user_id("u1"));
    store.create_user(&user("u1", "Jane")).await.unwrap();
    assert!(told.take().contains(&change));
    store
        .update_user(&User {
            revision: 2,
            ..user("u1", "Joan")
        })
        .await
        .unwrap();
    assert!(told.take().contains(&change));
}

async fn a_refused_change_is_not_announced(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    store.create_user(&user("u1", "Jane")).await.unwrap();
    let told = Told::of(&store);
    store
        .update_consumer(&consumer("absent"))
        .await
        .unwrap_err();
    store
        .update_token(&token("ck", "absent"))
        .await
        .unwrap_err();
    store.create_user(&user("u2", "Jane")).await.unwrap_err();
    let told = told.take();
    for refused in [
        RecordChange::Consumer(key("absent")),
        RecordChange::Token(name("absent")),
        RecordChange::User(user_id("u2")),
    ] {
        assert!(!told.contains(&refused), "{refused:?}");
    }
}

/// The announced changes.
#[derive(Default)]
pub(crate) struct Told(Mutex<Vec<RecordChange>>);

impl Told {
    pub(crate) fn of(store: &Arc<dyn Store>) -> Arc<Self> {
        let told = Arc::new(Self::default());
        let observer: Arc<dyn ChangeObserver> = told.clone();
        let observer: Weak<dyn ChangeObserver> = Arc::downgrade(&observer);
        store.changes().subscribe(observer);
        told
    }

    pub(crate) fn take(&self) -> Vec<RecordChange> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl ChangeObserver for Told {
    fn on_change(&self, change: &RecordChange) {
        self.0.lock().unwrap().push(change.clone());
    }
}
