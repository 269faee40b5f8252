//! The administrator of a run: creates and revokes credentials over the api listener, and reads
//! back every acknowledged write at the end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::v1;
use countersign::v1::consumer_service_client::ConsumerServiceClient;
use countersign::v1::token_service_client::TokenServiceClient;
use tokio::time::{Instant, sleep};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::ledger::Ledger;
use crate::replica::{ADMIN_TOKEN, Replica};
use crate::support::caller::Caller;

/// The administrator of a run.
#[derive(Clone)]
pub(crate) struct Admin {
    replicas: Vec<Clients>,
    ledger: Arc<Ledger>,
    credentials: Arc<Mutex<Vec<Credential>>>,
    /// Credentials that no request is signed with any more.
    retired: Arc<Mutex<Vec<Credential>>>,
}

/// A credential that requests are signed with.
#[derive(Clone)]
pub(crate) struct Credential {
    /// The index in the ledger.
    pub(crate) index: usize,
    pub(crate) caller: Caller,
    pub(crate) role: Role,
}

/// The part of a credential in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Stays valid.
    Kept,
    /// Is revoked during the run.
    Doomed,
    /// Was revoked before the fault.
    Revoked,
}

/// The acknowledged writes that were not there at the end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadBack {
    /// Acknowledged writes.
    pub(crate) acknowledged: usize,
    /// Created credentials that do not exist.
    pub(crate) creations: usize,
    /// Revoked credentials that are active.
    pub(crate) revocations: usize,
    /// Writes that could not be read.
    pub(crate) unread: usize,
}

#[derive(Clone)]
struct Clients {
    consumers: ConsumerServiceClient<InterceptedService<Channel, Bearer>>,
    tokens: TokenServiceClient<InterceptedService<Channel, Bearer>>,
}

#[derive(Clone)]
struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Admin {
    /// Connects to the api listeners.
    pub(crate) fn of(replicas: &[Replica], ledger: Arc<Ledger>) -> Self {
        Self {
            replicas: replicas.iter().map(Clients::of).collect(),
            ledger,
            credentials: Arc::default(),
            retired: Arc::default(),
        }
    }

    /// Creates the credentials of a run, some of them revoked.
    pub(crate) async fn prepare(&self) {
        let mut consumers = Vec::new();
        for _ in 0..CONSUMERS {
            consumers.push(self.consumer(Role::Kept).await);
        }
        for n in 0..KEPT {
            let of = &consumers[n % consumers.len()];
            persist(|| self.token(0, of, Role::Kept)).await;
        }
        for n in 0..DOOMED {
            let of = &consumers[n % consumers.len()];
            persist(|| self.token(0, of, Role::Doomed)).await;
        }
        for _ in 0..DOOMED_CONSUMERS {
            self.consumer(Role::Doomed).await;
        }
        for _ in 0..REVOKED {
            persist(|| self.token(0, &consumers[0], Role::Revoked)).await;
        }
        self.consumer(Role::Revoked).await;
        for credential in self.all(Role::Revoked) {
            persist(|| self.revoke(0, &credential)).await;
        }
    }

    /// Returns the credentials with a role.
    pub(crate) fn all(&self, role: Role) -> Vec<Credential> {
        let credentials = self.credentials.lock().unwrap();
        let of_it = credentials.iter().filter(|it| it.role == role);
        of_it.cloned().collect()
    }

    /// Returns a credential with a role, by a number that may be too large.
    pub(crate) fn pick(&self, role: Role, number: usize) -> Credential {
        let credentials = self.credentials.lock().unwrap();
        let of_it = || credentials.iter().filter(|it| it.role == role);
        let count = of_it().count();
        of_it().nth(number % count).unwrap().clone()
    }

    /// Writes until it is aborted: revokes the doomed credentials in turn, and creates new ones.
    pub(crate) async fn write(self, pause: Duration) {
        let mut doomed = self.all(Role::Doomed);
        // Spreads the few consumers over the run.
        doomed.sort_by_key(|credential| credential.index * 7 % 31);
        let mut doomed = doomed.into_iter();
        let parent = self.pick(Role::Kept, 0).caller;
        for turn in 0.. {
            let (admin, parent) = (self.clone(), parent.clone());
            let at = turn % self.replicas.len();
            match doomed.next() {
                Some(credential) if turn % 3 != 2 => {
                    tokio::spawn(async move { admin.revoke(at, &credential).await });
                }
                next => {
                    doomed = next
                        .into_iter()
                        .chain(doomed)
                        .collect::<Vec<_>>()
                        .into_iter();
                    tokio::spawn(async move { admin.token(at, &parent, Role::Kept).await });
                }
            }
            sleep(pause).await;
        }
    }

    /// Writes until it is aborted, for as long as wanted: creates credentials and revokes them some
    /// time later. Requests are signed with the last ones only.
    pub(crate) async fn churn(self, pause: Duration) {
        let parent = self.pick(Role::Kept, 0).caller;
        for turn in 0.. {
            let (admin, parent) = (self.clone(), parent.clone());
            let at = turn / 2 % self.replicas.len();
            let mut doomed = self.all(Role::Doomed);
            doomed.retain(|it| self.ledger.fate(it.index).revoking.is_none());
            match doomed.into_iter().next() {
                Some(credential) if turn % 2 == 0 => {
                    tokio::spawn(async move { admin.revoke(at, &credential).await });
                }
                _ => {
                    tokio::spawn(async move { admin.token(at, &parent, Role::Doomed).await });
                }
            }
            self.retire();
            sleep(pause).await;
        }
    }

    /// Retires the oldest revoked credentials beyond the last ones.
    fn retire(&self) {
        let mut credentials = self.credentials.lock().unwrap();
        let is_revoked = |it: &Credential| {
            it.role == Role::Doomed && self.ledger.fate(it.index).revoking.is_some()
        };
        let revoked = credentials.iter().filter(|it| is_revoked(it)).count();
        if revoked > LAST_REVOKED {
            let oldest = credentials.iter().position(is_revoked);
            let retired = oldest.map(|oldest| credentials.remove(oldest));
            self.retired.lock().unwrap().extend(retired);
        }
    }

    /// Reads every acknowledged write, and retries for some seconds while the store does not
    /// answer.
    pub(crate) async fn read_back(&self) -> ReadBack {
        let mut read_back = ReadBack::default();
        let end = Instant::now() + READ_BACK;
        let mut credentials = self.credentials.lock().unwrap().clone();
        credentials.extend(self.retired.lock().unwrap().iter().cloned());
        for credential in credentials {
            let fate = self.ledger.fate(credential.index);
            if fate.revoking.is_some() && fate.revoked.is_none() {
                continue;
            }
            read_back.acknowledged += 1 + usize::from(fate.revoked.is_some());
            match self.is_active(&credential, end).await {
                None => read_back.unread += 1,
                Some(true) => read_back.revocations += usize::from(fate.revoked.is_some()),
                Some(false) => read_back.creations += usize::from(fate.revoked.is_none()),
            }
        }
        read_back
    }

    async fn is_active(&self, credential: &Credential, end: Instant) -> Option<bool> {
        for at in (0..self.replicas.len()).cycle() {
            match self.replicas[at]
                .clone()
                .is_active(&credential.caller)
                .await
            {
                Ok(active) => return Some(active),
                Err(_) if Instant::now() > end => return None,
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
        None
    }

    async fn consumer(&self, role: Role) -> Caller {
        let create = async || self.replicas[0].clone().create_consumer().await;
        let caller = persist(create).await;
        self.keep(&caller, role);
        caller
    }

    async fn token(&self, at: usize, parent: &Caller, role: Role) -> Result<(), Status> {
        let caller = self.replicas[at].clone().create_token(parent).await?;
        self.keep(&caller, role);
        Ok(())
    }

    async fn revoke(&self, at: usize, credential: &Credential) -> Result<(), Status> {
        self.ledger.revoking(credential.index);
        self.replicas[at].clone().revoke(&credential.caller).await?;
        self.ledger.revoked(credential.index);
        Ok(())
    }

    fn keep(&self, caller: &Caller, role: Role) {
        let index = self.ledger.add_credential(Some(Instant::now()));
        self.credentials.lock().unwrap().push(Credential {
            index,
            caller: caller.clone(),
            role,
        });
    }
}

impl Clients {
    fn of(replica: &Replica) -> Self {
        let bearer = Bearer(format!("Bearer {ADMIN_TOKEN}").parse().unwrap());
        let channel = Endpoint::from_shared(format!("http://{}", replica.api))
            .unwrap()
            .connect_timeout(Duration::from_secs(1))
            .timeout(CALL)
            .connect_lazy();
        Self {
            consumers: ConsumerServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            tokens: TokenServiceClient::with_interceptor(channel, bearer),
        }
    }

    async fn create_consumer(&mut self) -> Result<Caller, Status> {
        let consumer = v1::Consumer {
            name: "Printer".to_owned(),
            ..v1::Consumer::default()
        };
        let request = v1::CreateConsumerRequest {
            consumer: Some(consumer),
            ..v1::CreateConsumerRequest::default()
        };
        let created = self.consumers.create_consumer(request).await?.into_inner();
        Ok(Caller {
            consumer_key: created.consumer.unwrap_or_default().consumer_key,
            consumer_secret: created.consumer_secret,
            token: None,
        })
    }

    async fn create_token(&mut self, parent: &Caller) -> Result<Caller, Status> {
        let token = v1::Token {
            consumer_key: parent.consumer_key.clone(),
            ..v1::Token::default()
        };
        let request = v1::CreateTokenRequest {
            token: Some(token),
            ..v1::CreateTokenRequest::default()
        };
        let created = self.tokens.create_token(request).await?.into_inner();
        let token = created.token.unwrap_or_default().token;
        Ok(Caller {
            token: Some((token, created.token_secret)),
            ..parent.clone()
        })
    }

    /// Revokes a token, or disables a consumer.
    async fn revoke(&mut self, caller: &Caller) -> Result<(), Status> {
        if let Some((token, _)) = &caller.token {
            let request = v1::RevokeTokenRequest {
                token: token.clone(),
                ..v1::RevokeTokenRequest::default()
            };
            self.tokens.revoke_token(request).await?;
        } else {
            let request = v1::DisableConsumerRequest {
                consumer_key: caller.consumer_key.clone(),
            };
            self.consumers.disable_consumer(request).await?;
        }
        Ok(())
    }

    async fn is_active(&mut self, caller: &Caller) -> Result<bool, Status> {
        if let Some((token, _)) = &caller.token {
            let request = v1::GetTokenRequest {
                token: token.clone(),
            };
            let read = self.tokens.get_token(request).await;
            found(read, |token| token.status() == v1::TokenStatus::Active)
        } else {
            let request = v1::GetConsumerRequest {
                name: Some(v1::get_consumer_request::Name::ConsumerKey(
                    caller.consumer_key.clone(),
                )),
            };
            let read = self.consumers.get_consumer(request).await;
            found(read, |consumer| {
                consumer.status() == v1::ConsumerStatus::Active
            })
        }
    }
}

/// Repeats a write before the fault until a busy machine has done it.
async fn persist<T, F: Future<Output = Result<T, Status>>>(write: impl Fn() -> F) -> T {
    let end = Instant::now() + READ_BACK;
    loop {
        match write().await {
            Ok(done) => return done,
            Err(status) => assert!(Instant::now() < end, "{}", status.message()),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Returns a property of a record, and false for a record that does not exist.
fn found<T>(
    read: Result<tonic::Response<T>, Status>,
    property: impl Fn(&T) -> bool,
) -> Result<bool, Status> {
    match read {
        Ok(response) => Ok(property(response.get_ref())),
        Err(status) if status.code() == Code::NotFound => Ok(false),
        Err(status) => Err(status),
    }
}

/// The credentials of a run.
const CONSUMERS: usize = 3;
const KEPT: usize = 12;
const DOOMED: usize = 60;
const DOOMED_CONSUMERS: usize = 3;
const REVOKED: usize = 4;

/// The revoked credentials that requests are still signed with.
const LAST_REVOKED: usize = 30;

/// The longest time for a call.
const CALL: Duration = Duration::from_secs(3);

/// The time in which the store must answer again at the end.
const READ_BACK: Duration = Duration::from_secs(10);
