//! Signed requests through the whole check service, as signed and changed on their way: each is
//! allowed once as signed, and a changed one only if the second implementation proves it too.
#![no_main]

use std::cell::RefCell;

use arbitrary::Arbitrary;
use countersign_fuzz::check::{CheckBench, Setup, Verdict};
use countersign_fuzz::rfc5849::{Hash, body_hash};
use countersign_fuzz::sketch::{Change, Sketch};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    changes: Vec<Change>,
    sketch: Sketch,
}

struct Benches {
    default: CheckBench,
    behind_proxy: CheckBench,
    count: u64,
}

thread_local! {
    static BENCHES: RefCell<Benches> = RefCell::new(Benches {
        default: CheckBench::new(Setup::Default),
        behind_proxy: CheckBench::new(Setup::BehindProxy),
        count: 0,
    });
}

fuzz_target!(|input: Input| BENCHES.with_borrow_mut(|benches| {
    benches.count += 1;
    // Hashed, so that a changed byte of one nonce does not make the next one.
    let nonce = body_hash(Hash::Sha256, &benches.count.to_be_bytes());
    let signed = input.sketch.sign(&nonce);
    let mut changed = signed.clone();
    for change in input.changes.iter().take(MOST_CHANGES) {
        changed.change(change);
    }
    let bench = match input.sketch.setup {
        Setup::Default => &mut benches.default,
        Setup::BehindProxy => &mut benches.behind_proxy,
    };
    bench.renew();
    let first = bench.check(&changed.message());
    let second = bench.check(&signed.message());
    if !signed.is_valid {
        assert_ne!(second, Verdict::Allowed, "the route forbids this request");
        return;
    }
    match (first, signed.is_plaintext) {
        // The change may be another nonce.
        (Verdict::Allowed, true) => {}
        (Verdict::Allowed, false) => assert_eq!(second, Verdict::Denied(401), "a replay passes"),
        // Nobody can spend the nonce by a change that is refused.
        _ => assert_eq!(second, Verdict::Allowed, "after {first:?}: {signed:?}"),
    }
    assert_eq!(
        bench.check(&signed.message()),
        Verdict::Denied(401),
        "a replay passes"
    );
}));

const MOST_CHANGES: usize = 4;
