//! Crashes: a process that claims nonces and creates records is killed with `kill -9` again and
//! again, and nothing that the store acknowledged may be lost.
//!
//! The process is this test binary itself, which an environment variable directs to run the one
//! test that does the work.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use countersign::clock::UnixTime;
use countersign::model::Token;
use countersign::store::{ClaimOutcome, NonceClaim, Store};

use super::bench::{Bench, KEPT, NOW, claim, consumer, key, token};

#[tokio::test]
async fn nothing_acknowledged_is_lost_or_replayed_after_kill_9() {
    let mut bench = Bench::embedded();
    let mut acknowledged = Vec::new();
    for round in 0..6_u64 {
        let now = NOW + 10 * round;
        let said = kill_in_the_middle(bench.data_dir(), now, 40 + 15 * round);
        assert!(
            said.iter().any(
                |word| matches!(word, Said::Claimed { timestamp, .. } if *timestamp > now + 50)
            )
        );
        assert!(
            said.iter().any(
                |word| matches!(word, Said::Claimed { timestamp, .. } if *timestamp <= now + 5)
            )
        );
        assert!(said.iter().any(|word| matches!(word, Said::Kept(_))));
        acknowledged.extend(said);
        // The clock may have been set back in the meantime, or be in the second of the crash.
        let at = [now, now - 30, now + 1][usize::try_from(round).unwrap() % 3];
        bench.clock = Arc::new(countersign::clock::ManualClock::at(UnixTime::from_secs(at)));
        let store = bench.open().await;
        for word in &acknowledged {
            word.check(&*store, at).await;
        }
        if round % 2 == 0 {
            store.close().await.unwrap();
        }
        drop(store);
    }
}

/// The work of the killed process; in any other process this test does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn killed_process() {
    let (Ok(directory), Ok(now)) = (std::env::var(DIRECTORY), std::env::var(CLOCK)) else {
        return;
    };
    let now: u64 = now.parse().unwrap();
    let mut bench = Bench::embedded();
    bench.clock = Arc::new(countersign::clock::ManualClock::at(UnixTime::from_secs(
        now,
    )));
    let clock = Arc::clone(&bench.clock);
    let entropy = Arc::new(countersign::clock::SystemEntropy);
    let store = countersign::store::open(&bench.config, Path::new(&directory), clock, entropy)
        .await
        .unwrap();
    let workers: Vec<_> = (0..4)
        .map(|worker| tokio::spawn(work(Arc::clone(&store), now, worker)))
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

async fn work(store: Arc<dyn Store>, now: u64, worker: u64) {
    let ck = key("ck");
    for turn in 0..u64::MAX {
        let ahead = [0, 1, 100, 3, 250][usize::try_from(turn).unwrap() % 5];
        let nonce = format!("{now}-{worker}-{turn}");
        let fresh = NonceClaim {
            now: UnixTime::from_secs(now),
            ..claim(&ck, now + ahead, nonce.as_bytes())
        };
        if store.claim_nonce(&fresh).await.unwrap() == ClaimOutcome::Fresh {
            say(&format!("claimed {} {nonce}", now + ahead));
        }
        if turn % 10 == 0 {
            store.create_token(&token("ck", &nonce)).await.unwrap();
            say(&format!("kept {nonce}"));
            store.create_consumer(&consumer(&nonce)).await.unwrap();
        }
    }
}

/// An acknowledgement that the killed process printed.
enum Said {
    Claimed { timestamp: u64, nonce: String },
    Kept(Token),
}

impl Said {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        match (words.next()?, words.next()?, words.next()) {
            ("claimed", timestamp, Some(nonce)) => Some(Self::Claimed {
                timestamp: timestamp.parse().ok()?,
                nonce: nonce.to_owned(),
            }),
            ("kept", name, None) => Token::new(name).ok().map(Self::Kept),
            _ => None,
        }
    }

    async fn check(&self, store: &dyn Store, now: u64) {
        match self {
            Self::Claimed { timestamp, nonce } => {
                let ck = key("ck");
                let now = UnixTime::from_secs(now);
                let expires_at = UnixTime::from_secs(*timestamp).plus(KEPT);
                let replay = NonceClaim {
                    now,
                    expires_at,
                    ..claim(&ck, *timestamp, nonce.as_bytes())
                };
                let outcome = store.claim_nonce(&replay).await.unwrap();
                assert_ne!(
                    outcome,
                    ClaimOutcome::Fresh,
                    "a replay of {nonce}, dated {timestamp}, passed at {now:?}"
                );
            }
            Self::Kept(name) => {
                assert_eq!(
                    store.token(name).await.unwrap(),
                    Some(token("ck", name.as_str()))
                );
            }
        }
    }
}

/// Starts the process, kills it after `answers` lines, and returns all that it printed.
fn kill_in_the_middle(directory: &Path, now: u64, answers: u64) -> Vec<Said> {
    let mut child = start(directory, now);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    for line in lines.by_ref().map(Result::unwrap) {
        said.extend(Said::parse(&line));
        if said.len() as u64 >= answers {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Lines that it had printed before it died were acknowledged too; the last one may be
    // incomplete.
    said.extend(
        lines
            .map_while(Result::ok)
            .filter_map(|line| Said::parse(&line)),
    );
    assert!(
        said.len() as u64 >= answers,
        "the process ended early, after {} results",
        said.len()
    );
    said
}

fn start(directory: &Path, now: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::crash::killed_process", "--nocapture"])
        .env(DIRECTORY, directory)
        // A killed process cannot clean up; its files go with the directory.
        .env("TMPDIR", directory)
        .env(CLOCK, now.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Writes a line at once, so that a kill truncates at most the last one.
fn say(line: &str) {
    std::io::stdout()
        .lock()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

const DIRECTORY: &str = "COUNTERSIGN_TEST_CRASH_DIRECTORY";
const CLOCK: &str = "COUNTERSIGN_TEST_CRASH_NOW";
