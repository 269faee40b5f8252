//! Tests of the metrics, as Prometheus reads them.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

#[test]
fn decisions_are_counted_by_result_and_reason() {
    let metrics = Metrics::default();
    metrics.decision("deny", "nonce_used", Duration::from_micros(300));
    metrics.decision("deny", "nonce_used", Duration::from_micros(300));
    let series = series(&metrics);
    assert_eq!(
        series[r#"countersign_decisions_total{result="deny",reason="nonce_used"}"#],
        "2"
    );
    assert_eq!(
        series[r#"countersign_check_duration_seconds_count{result="deny"}"#],
        "2"
    );
    assert_eq!(
        series[r#"countersign_check_duration_seconds_bucket{le="0.00025",result="deny"}"#],
        "0"
    );
    assert_eq!(
        series[r#"countersign_check_duration_seconds_bucket{le="0.0005",result="deny"}"#],
        "2"
    );
}

#[test]
fn the_state_of_the_store_is_reported() {
    let metrics = Metrics::default();
    metrics.store_error("unavailable");
    metrics.store_up(true);
    metrics.store_status(2, 7);
    let series = series(&metrics);
    assert_eq!(
        series[r#"countersign_store_errors_total{kind="unavailable"}"#],
        "1"
    );
    assert_eq!(series["countersign_store_up"], "1");
    assert_eq!(series["countersign_store_restarts_seen_total"], "2");
    assert_eq!(series["countersign_store_nonces"], "7");
}

#[test]
fn the_state_of_the_cache_is_reported() {
    let metrics = Metrics::default();
    metrics.cache_lookup(true);
    metrics.cache_lookup(true);
    metrics.cache_lookup(false);
    metrics.cache_invalidation("token");
    metrics.cache_size(3, 2000);
    metrics.changes(true, 4);
    metrics.changes_remade(5);
    let series = series(&metrics);
    assert_eq!(
        series[r#"countersign_cache_lookups_total{outcome="hit"}"#],
        "2"
    );
    assert_eq!(
        series[r#"countersign_cache_lookups_total{outcome="miss"}"#],
        "1"
    );
    assert_eq!(
        series[r#"countersign_cache_invalidations_total{changed="token"}"#],
        "1"
    );
    assert_eq!(
        (
            &*series["countersign_cache_entries"],
            &*series["countersign_cache_bytes"]
        ),
        ("3", "2000")
    );
    assert_eq!(
        (
            &*series["countersign_changes_heard"],
            &*series["countersign_changes_untold_total"]
        ),
        ("1", "4")
    );
    assert_eq!(series["countersign_changes_remade_total"], "5");
}

#[test]
fn reloads_are_counted_from_zero_and_the_last_one_is_shown() {
    let metrics = Metrics::default();
    let reloads = |result: &str| {
        let name = format!("countersign_config_reloads_total{{result=\"{result}\"}}");
        series(&metrics)[&name].clone()
    };
    assert_eq!((&*reloads("success"), &*reloads("failure")), ("0", "0"));
    metrics.config_reload(true);
    metrics.config_reload(false);
    metrics.config_in_use(7, 1_700_000_000);
    metrics.certificate_expiry("api", 1_800_000_000);
    assert_eq!((&*reloads("success"), &*reloads("failure")), ("1", "1"));
    let series = series(&metrics);
    for (name, value) in [
        ("config_last_reload_successful", "0"),
        ("config_last_reload_success_timestamp_seconds", "1700000000"),
        ("config_hash", "7"),
        (
            r#"certificate_expiry_seconds{listener="api"}"#,
            "1800000000",
        ),
    ] {
        assert_eq!(series[&format!("countersign_{name}")], value, "{name}");
    }
}

#[test]
fn a_connection_is_open_until_it_is_dropped() {
    let metrics = Metrics::default();
    let (first, second) = (metrics.connection("check"), metrics.connection("check"));
    drop(first);
    assert_eq!(
        series(&metrics)[r#"countersign_connections{listener="check"}"#],
        "1"
    );
    drop(second);
    assert_eq!(
        series(&metrics)[r#"countersign_connections{listener="check"}"#],
        "0"
    );
}

#[test]
fn an_unknown_number_of_records_has_no_sample() {
    let (metrics, name) = (
        Metrics::default(),
        "countersign_store_records_under_old_keys",
    );
    assert_eq!(series(&metrics).get(name), None);
    metrics.records_under_old_keys(Some(7));
    assert_eq!(series(&metrics)[name], "7");
    metrics.records_under_old_keys(None);
    assert_eq!(series(&metrics).get(name), None);
}

#[test]
fn every_series_has_help_and_a_type() {
    let metrics = Metrics::default();
    metrics.decision("allow", "ok", Duration::ZERO);
    metrics.token_request("access_token", "issue", "ok");
    metrics.diagnosis("none");
    metrics.store_error("unavailable");
    metrics.connection_closed("check", "silent");
    metrics.cache_invalidation("token");
    drop(metrics.connection("check"));
    metrics.certificate_expiry("check", 1_700_000_000);
    let text = metrics.render();
    assert!(text.ends_with("# EOF\n"));
    for kind in ["# HELP", "# TYPE"] {
        let described: BTreeSet<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix(kind)?.split_whitespace().next())
            .collect();
        assert_eq!(described.len(), 26, "{kind}");
        for name in series(&metrics).keys() {
            assert!(
                described.iter().any(|known| name.starts_with(known)),
                "{kind} of {name}"
            );
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        text.contains(&format!(
            "countersign_build_info{{version=\"{version}\"}} 1\n"
        )),
        "{text}"
    );
}

/// Returns every series with its value.
fn series(metrics: &Metrics) -> BTreeMap<String, String> {
    let text = metrics.render();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
