"""The alerts are valid, use metrics that exist, and fire when they must and only then."""

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

from paths import CHART, PROJECT
from render import documents, named, rendered, template

ALERTS = CHART / "alerts.yaml"
# For each alert: series as promtool writes them, once faulty and once healthy, and the time of the evaluation.
REPLICA = 'namespace="countersign", job="countersign", instance="a"'
CASES = {
    "CountersignFailing": (
        [('countersign_decisions_total{result="error", reason="store"}', "0+2x60"), ('countersign_decisions_total{result="allow", reason="ok"}', "0+60x60")],
        [('countersign_decisions_total{result="error", reason="store"}', "0+0x60"), ('countersign_decisions_total{result="allow", reason="ok"}', "0+60x60")],
        "30m",
    ),
    "CountersignDown": ([("countersign_store_up", "1x5 0x20")], [("countersign_store_up", "1x30")], "15m"),
    "CountersignAbsent": ([('countersign_build_info{version="0.1.0"}', "1x20 stale")], [('countersign_build_info{version="0.1.0"}', "1x60")], "30m"),
    "CountersignSlow": (
        [('countersign_check_duration_seconds_bucket{result="allow", le="0.1"}', "0+50x60"), ('countersign_check_duration_seconds_bucket{result="allow", le="0.2"}', "0+60x60"), ('countersign_check_duration_seconds_bucket{result="allow", le="+Inf"}', "0+60x60")],
        [('countersign_check_duration_seconds_bucket{result="allow", le="0.1"}', "0+60x60"), ('countersign_check_duration_seconds_bucket{result="allow", le="0.2"}', "0+60x60"), ('countersign_check_duration_seconds_bucket{result="allow", le="+Inf"}', "0+60x60")],
        "30m",
    ),
    "CountersignOverloaded": (
        [('countersign_decisions_total{result="error", reason="overloaded"}', "0+5x60")],
        [('countersign_decisions_total{result="allow", reason="ok"}', "0+5x60")],
        "30m",
    ),
    "CountersignStoreErrors": (
        [('countersign_store_errors_total{kind="clock_skew"}', "0+1x60")],
        [('countersign_store_errors_total{kind="unavailable"}', "0+1x60")],
        "30m",
    ),
    "CountersignUnreadableRecords": ([("countersign_store_unreadable_records_total", "0x10 1x50")], [("countersign_store_unreadable_records_total", "1x60")], "30m"),
    "CountersignClockSkew": ([("countersign_store_clock_skew_seconds", "-12x60")], [("countersign_store_clock_skew_seconds", "-0.2x60")], "30m"),
    "CountersignNoncesLost": ([("countersign_store_restarts_seen_total", "0x25 1x30")], [("countersign_store_restarts_seen_total", "3x60")], "30m"),
    "CountersignDegraded": ([('countersign_checks_degraded_total{what="nonce"}', "0+5x60")], [('countersign_checks_degraded_total{what="nonce"}', "5x60")], "30m"),
    "CountersignRevocationsLate": ([("countersign_changes_heard", "1x5 0x30")], [("countersign_changes_heard", "1x60")], "30m"),
    "CountersignReloadRefused": ([("countersign_config_last_reload_successful", "0x60")], [("countersign_config_last_reload_successful", "1x60")], "30m"),
    "CountersignConfigurationsDiffer": (
        [("countersign_config_hash", "1x60"), ('countersign_config_hash{instance="b"}', "2x60")],
        [("countersign_config_hash", "1x60"), ('countersign_config_hash{instance="b"}', "1x60")],
        "30m",
    ),
    "CountersignCertificateExpires": (
        [('countersign_certificate_expiry_seconds{listener="check"}', "500000x120")],
        [('countersign_certificate_expiry_seconds{listener="check"}', "700000x120")],
        "90m",
    ),
    "CountersignOldMasterKeyInUse": ([("countersign_store_records_under_old_keys", "7x1600")], [("countersign_store_records_under_old_keys", "0x1600")], "25h"),
    "CountersignPasswordsGuessed": (
        [('countersign_token_requests_total{endpoint="access_token", result="deny", reason="too_many_attempts"}', "0+5x60")],
        [('countersign_token_requests_total{endpoint="access_token", result="issue", reason="ok"}', "0+5x60")],
        "30m",
    ),
    "CountersignFlooded": (
        [('countersign_connections_closed_total{listener="check", reason="resets"}', "0+1x60")],
        [('countersign_connections_closed_total{listener="check", reason="age"}', "0+1x60")],
        "30m",
    ),
}


class AlertsTest(unittest.TestCase):
    def test_promtool_accepts_the_rules(self):
        checked = promtool("check", "rules", "--lint-fatal", ALERTS)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_every_alert_fires_when_it_must_and_only_then(self):
        self.assertEqual(CASES.keys(), {alert["alert"] for alert in alerts()})
        tested = self.run_cases(ALERTS)
        self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)

    def test_an_alert_that_never_fires_is_noticed(self):
        with tempfile.TemporaryDirectory() as directory:
            broken = Path(directory, "alerts.yaml")
            text = ALERTS.read_text(encoding="utf-8")
            broken.write_text(text.replace("countersign_store_up == 0", "countersign_store_up == 2"), encoding="utf-8")
            self.assertNotEqual(self.run_cases(broken).returncode, 0)

    def test_the_metrics_exist(self):
        documented = metrics_of_operations()
        for alert in alerts():
            for metric in re.findall(r"countersign_\w+", alert["expr"]):
                with self.subTest(alert["alert"], metric=metric):
                    self.assertIn(metric.removesuffix("_bucket"), documented)

    def test_the_sections_exist(self):
        text = PROJECT.joinpath("docs/operations.md").read_text(encoding="utf-8")
        sections = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
        for alert in alerts():
            self.assertIn(alert["annotations"]["section"], sections)

    def test_rendered_rules_are_those_of_the_file(self):
        rules = named(rendered()["production"], "PrometheusRule")["spec"]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.dump(rules, file)
            file.flush()
            checked = promtool("check", "rules", "--lint-fatal", file.name)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        (group,) = rules["groups"]
        self.assertEqual([rule["alert"] for rule in group["rules"]], [alert["alert"] for alert in alerts() if alert["alert"] != "CountersignNoncesLost"])
        self.assertEqual([rule["expr"] for rule in group["rules"]], [alert["expr"] for alert in alerts() if alert["alert"] != "CountersignNoncesLost"])
        self.assertTrue(all(rule["labels"].keys() == {"severity", "team"} for rule in group["rules"]))

    def test_values_decide_labels_and_runbooks(self):
        values = ["secrets.existingSecret=x", "prometheusRule.enabled=true", "prometheusRule.alertLabels.severity=page", "prometheusRule.runbookUrl=https://docs/o.md"]
        found = documents(template(*[part for value in values for part in ("--set", value)]))
        (rule, *_) = named(found, "PrometheusRule")["spec"]["groups"][0]["rules"]
        self.assertEqual(rule["labels"], {"severity": "page"})
        self.assertEqual(rule["annotations"]["runbook_url"], "https://docs/o.md#metrics")
        self.assertIn("{{ $labels.namespace }}", rule["annotations"]["description"])

    def run_cases(self, rules):
        tests = [case(alert, series, time, fires) for alert, (*both, time) in CASES.items() for series, fires in zip(both, (True, False))]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}, file)
            file.flush()
            return promtool("test", "rules", file.name)


def alerts():
    """Returns the alerts of the chart."""
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return group["rules"]


def case(alert, series, time, fires):
    """Returns a unit test of promtool: a metric `ALERTS` exists for an alert that fires."""
    expression = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) > bool 0 or vector(0)'
    return {
        "name": alert,
        "interval": "1m",
        "input_series": [{"series": of_replica(name), "values": values} for name, values in series],
        "promql_expr_test": [{"expr": expression, "eval_time": time, "exp_samples": [{"value": int(fires)}]}],
    }


def of_replica(series):
    """Returns the series with the labels of a scraped replica."""
    name, _, labels = series.partition("{")
    labels = labels.rstrip("}")
    scraped = REPLICA if "instance=" not in labels else 'namespace="countersign", job="countersign"'
    return f"{name}{{{', '.join(filter(None, (scraped, labels)))}}}"


def metrics_of_operations():
    """Returns the names in the table of metrics."""
    text = PROJECT.joinpath("docs/operations.md").read_text(encoding="utf-8")
    table = text.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {f"countersign_{name}" for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def promtool(*arguments):
    """Runs promtool."""
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False)


if __name__ == "__main__":
    unittest.main()
