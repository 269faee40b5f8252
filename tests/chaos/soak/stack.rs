//! The programs of a soak: two replicas on one store, their administrator and their load balancer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::admin::Admin;
use crate::clock::FakeClock;
use crate::driver::Driver;
use crate::ledger::Ledger;
use crate::replica::{Replica, Settings};
use crate::run::direct;
use crate::soak::store::Store;

/// The programs of a soak. The first replica runs from the beginning to the end; the second one is
/// restarted, and has the clock.
pub(crate) struct Stack {
    pub(crate) store: Store,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) clock: FakeClock,
    pub(crate) admin: Admin,
    pub(crate) driver: Arc<Driver>,
    pub(crate) ledger: Arc<Ledger>,
    /// The ids of the processes of the replicas.
    pub(crate) processes: Arc<[AtomicU32; 2]>,
}

impl Stack {
    /// Starts everything, and creates the credentials.
    pub(crate) async fn start() -> Self {
        let store = Store::start().await;
        let clock = FakeClock::at(0);
        let first = Replica::start(Settings::of(&store.url(), CONFIG)).await;
        let mut settings = first.settings();
        settings.environment = clock.environment();
        let replicas = vec![first, Replica::start(settings).await];
        for replica in &replicas {
            let ready = replica.is_ready_within(READY).await;
            assert!(ready, "not ready: {:?}", replica.readiness().await);
        }
        let ledger = Arc::new(Ledger::default());
        let admin = Admin::of(&replicas, Arc::clone(&ledger));
        admin.prepare().await;
        let driver = Driver::new(direct(&replicas), admin.clone(), Arc::clone(&ledger));
        let processes = [replicas[0].id(), replicas[1].id()].map(AtomicU32::new);
        Self {
            store,
            replicas,
            clock,
            admin,
            driver: Arc::new(driver),
            ledger,
            processes: Arc::new(processes),
        }
    }

    /// Replaces the second replica as an orchestrator does: SIGTERM, no more requests from its load
    /// balancer within `shutdown.delay`, and requests again when it is ready.
    ///
    /// # Errors
    /// It did not end or did not get ready.
    pub(crate) async fn replace(&mut self) -> Result<(), String> {
        let replica = &mut self.replicas[1];
        replica.signal("TERM");
        sleep(NOTICED).await;
        self.driver.rest(LANES_OF_SECOND, true);
        let end = Instant::now() + READY;
        while replica.ended().is_none() {
            if Instant::now() > end {
                return Err("the replica did not end after SIGTERM".to_owned());
            }
            sleep(Duration::from_millis(20)).await;
        }
        let status = replica.ended().unwrap_or_default();
        replica.restart().await;
        self.processes[1].store(replica.id(), Ordering::Relaxed);
        let ready = replica.is_ready_within(READY).await;
        self.driver.rest(LANES_OF_SECOND, false);
        match (ready, status.as_str()) {
            (true, "exit status: 0") => Ok(()),
            (true, _) => Err(format!("SIGTERM ended the replica with {status}")),
            (false, _) => Err("the new replica did not get ready".to_owned()),
        }
    }

    /// Changes the configuration of both replicas.
    ///
    /// # Errors
    /// A replica did not read it.
    pub(crate) async fn reload(&self, turn: usize) -> Result<(), String> {
        for replica in &self.replicas {
            let timeout = 175 + turn % 5;
            let config = format!("{CONFIG}check.timeout = \"{timeout}ms\"\n");
            replica.reload(&config).await?;
        }
        Ok(())
    }
}

/// Few nonces to keep, a quiet log, a short drain, and connections that end often.
const CONFIG: &str = "\
verify.timestamp_window = \"30s\"
log.filter = \"warn,countersign::server::run=info\"
";

/// The connections of the driver to the second replica.
const LANES_OF_SECOND: std::ops::Range<usize> = 2..4;

/// The time after which a load balancer notices that a replica drains.
const NOTICED: Duration = Duration::from_millis(400);

/// The longest time to get ready, or to end.
const READY: Duration = Duration::from_secs(30);
