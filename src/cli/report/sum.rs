//! The sums of the reports of several replicas.

use std::collections::BTreeMap;

use countersign::v1;
use serde::Serialize;

use crate::cli::replicas::Located;

/// The report of a consumer over all replicas, and at each of them.
#[derive(Debug, Default, Serialize)]
pub(super) struct SummedReport {
    /// The sum.
    #[serde(flatten)]
    pub(super) total: v1::ConsumerReport,
    /// The report of each replica that the consumer called.
    pub(super) replicas: Vec<Located<v1::ConsumerReport>>,
}

/// Sums the reports of replicas by consumer key, in the order of keys.
pub(super) fn by_consumer<'a>(
    replicas: impl Iterator<Item = (&'a str, &'a [v1::ConsumerReport])>,
) -> Vec<SummedReport> {
    let mut sums = BTreeMap::<String, SummedReport>::new();
    for (replica, reports) in replicas {
        for report in reports {
            let sum = sums.entry(report.consumer_key.clone()).or_default();
            add(&mut sum.total, report);
            sum.replicas.push(Located {
                replica: replica.to_owned(),
                item: report.clone(),
            });
        }
    }
    sums.into_values().collect()
}

fn add(total: &mut v1::ConsumerReport, report: &v1::ConsumerReport) {
    let v1::ConsumerReport {
        consumer_key,
        seen,
        allowed,
        denied,
        would_deny,
        reasons,
        causes,
        signature_methods,
        last_seen_time,
    } = report;
    total.consumer_key.clone_from(consumer_key);
    total.seen += seen;
    total.allowed += allowed;
    total.denied += denied;
    total.would_deny += would_deny;
    add_words(&mut total.reasons, reasons);
    add_words(&mut total.causes, causes);
    add_methods(&mut total.signature_methods, signature_methods);
    let moment = |time: &prost_types::Timestamp| (time.seconds, time.nanos);
    let times = [total.last_seen_time, *last_seen_time];
    total.last_seen_time = times.into_iter().flatten().max_by_key(moment);
}

fn add_words(totals: &mut Vec<v1::DenialCount>, counts: &[v1::DenialCount]) {
    for count in counts {
        match totals.iter_mut().find(|total| total.name == count.name) {
            Some(total) => {
                total.denied += count.denied;
                total.would_deny += count.would_deny;
            }
            None => totals.push(count.clone()),
        }
    }
}

fn add_methods(totals: &mut Vec<v1::SignatureMethodCount>, counts: &[v1::SignatureMethodCount]) {
    for count in counts {
        let mut same = totals.iter_mut();
        match same.find(|total| total.signature_method == count.signature_method) {
            Some(total) => total.seen += count.seen,
            None => totals.push(count.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reports_of_a_consumer_are_summed_and_kept() {
        let report = |key: &str, seen, seconds| v1::ConsumerReport {
            consumer_key: key.to_owned(),
            seen,
            denied: 1,
            reasons: vec![v1::DenialCount {
                name: "nonce_used".to_owned(),
                denied: 1,
                would_deny: 0,
            }],
            signature_methods: vec![v1::SignatureMethodCount {
                signature_method: "HMAC-SHA1".to_owned(),
                seen,
            }],
            last_seen_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            ..v1::ConsumerReport::default()
        };
        let (here, there) = ([report("b", 2, 9), report("a", 1, 1)], [report("b", 3, 5)]);
        let sums = by_consumer([("here", &here[..]), ("there", &there[..])].into_iter());
        let [a, b] = &*sums else { panic!("{sums:?}") };
        assert_eq!((&*a.total.consumer_key, a.replicas.len()), ("a", 1));
        assert_eq!((b.total.seen, b.total.denied), (5, 2));
        assert_eq!(b.total.reasons[0].denied, 2);
        assert_eq!(b.total.signature_methods[0].seen, 5);
        assert_eq!(b.total.last_seen_time.unwrap().seconds, 9);
        let replicas = b.replicas.iter().map(|one| (&*one.replica, one.item.seen));
        assert_eq!(Vec::from_iter(replicas), [("here", 2), ("there", 3)]);
    }
}
