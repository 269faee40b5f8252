"""The alerts are valid, use metrics that exist, and fire when they must and only then."""

import json
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

from paths import PROJECT, RULES
from render import documents, named, rendered, template

RUNBOOKS = PROJECT / "docs/runbooks.md"
# What each section of the runbooks answers.
ANSWERS = ["For callers", "Confirm", "Do", "Over"]
REPLICA = "namespace='countersign', job='countersign', instance='a'"
# Five of six checks within 0.1 s, and the others within 0.2 s.
SLOW = [("0.1", 50), ("0.2", 60), ("+Inf", 60)]


def objective(bad):
    """Returns the series of 1000 checks a minute, of which so many take longer than 0.2 s."""
    good = "check_duration_seconds_bucket{result='allow', le='0.2'}"
    return [(good, f"0+{1000 - bad}x1000"), ("check_duration_seconds_count{result='allow'}", "0+1000x1000")]


# For each alert: series as promtool writes them, once faulty and once healthy, and the time of the evaluation.
CASES = {
    "CountersignFailing": (
        [("decisions_total{result='error', reason='store'}", "0+2x60"), ("decisions_total{result='allow'}", "0+60x60")],
        [("decisions_total{result='error', reason='store'}", "0+0x60"), ("decisions_total{result='allow'}", "0+60x60")],
        "30m",
    ),
    "CountersignDown": ([("store_up", "1x5 0x20")], [("store_up", "1x30")], "15m"),
    "CountersignAbsent": ([("build_info", "1x20 stale")], [("build_info", "1x60")], "30m"),
    "CountersignSlow": (
        [(f"check_duration_seconds_bucket{{le='{le}'}}", f"0+{rate}x60") for le, rate in SLOW],
        [(f"check_duration_seconds_bucket{{le='{le}'}}", "0+60x60") for le, _ in SLOW],
        "30m",
    ),
    "CountersignOverloaded": (
        [("decisions_total{result='error', reason='overloaded'}", "0+5x60")],
        [("decisions_total{result='allow', reason='ok'}", "0+5x60")],
        "30m",
    ),
    "CountersignStoreErrors": (
        [("store_errors_total{kind='clock_skew'}", "0+1x60")],
        [("store_errors_total{kind='unavailable'}", "0+1x60")],
        "30m",
    ),
    "CountersignUnreadableRecords": (
        [("store_unreadable_records_total", "0x10 1x50")],
        [("store_unreadable_records_total", "1x60")],
        "30m",
    ),
    "CountersignClockSkew": (
        [("store_clock_skew_seconds", "-12x60")],
        [("store_clock_skew_seconds", "-0.2x60")],
        "30m",
    ),
    "CountersignNoncesLost": (
        [("store_restarts_seen_total", "0x25 1x30")],
        [("store_restarts_seen_total", "3x60")],
        "30m",
    ),
    "CountersignDegraded": (
        [("checks_degraded_total{what='nonce'}", "0+5x60")],
        [("checks_degraded_total{what='nonce'}", "5x60")],
        "30m",
    ),
    "CountersignRevocationsLate": ([("changes_heard", "1x5 0x30")], [("changes_heard", "1x60")], "30m"),
    "CountersignReloadRefused": (
        [("config_last_reload_successful", "0x60")],
        [("config_last_reload_successful", "1x60")],
        "30m",
    ),
    "CountersignConfigurationsDiffer": (
        [("config_hash", "1x60"), ("config_hash{instance='b'}", "2x60")],
        [("config_hash", "1x60"), ("config_hash{instance='b'}", "1x60")],
        "30m",
    ),
    "CountersignCertificateExpires": (
        [("certificate_expiry_seconds{listener='check'}", "500000x120")],
        [("certificate_expiry_seconds{listener='check'}", "700000x120")],
        "90m",
    ),
    "CountersignOldMasterKeyInUse": (
        [("store_records_under_old_keys", "7x1600")],
        [("store_records_under_old_keys", "0x1600")],
        "25h",
    ),
    "CountersignPasswordsGuessed": (
        [("token_requests_total{result='deny', reason='too_many_attempts'}", "0+5x60")],
        [("token_requests_total{result='issue', reason='ok'}", "0+5x60")],
        "30m",
    ),
    "CountersignFlooded": (
        [("connections_closed_total{listener='check', reason='resets'}", "0+1x60")],
        [("connections_closed_total{listener='check', reason='age'}", "0+1x60")],
        "30m",
    ),
    # The budget is one of 1000 checks; the first alert is for 14 of them in the last hour, or 6 in the last six hours.
    "CountersignBudgetBurnsFast": (objective(15), objective(5), "1h"),
    "CountersignBudgetBurnsSlowly": (objective(2), objective(0.5), "1h"),
}


class AlertsTest(unittest.TestCase):
    def test_promtool_accepts_the_rules(self):
        checked = promtool("check", "rules", "--lint-fatal", RULES)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_every_alert_fires_when_it_must_and_only_then(self):
        self.assertEqual(CASES.keys(), {alert["alert"] for alert in alerts()})
        tested = self.run_cases(RULES)
        self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)

    def test_failures_alone_use_up_the_budget(self):
        # No check was good since the start, so the series of good checks does not exist.
        series = [("check_duration_seconds_count{result='error'}", "0+60x120")]
        self.assertEqual(self.run_tests(RULES, [case("CountersignBudgetBurnsFast", series, "1h", True)]).returncode, 0)

    def test_the_fast_alert_ends_soon_after_the_fault(self):
        series = [
            ("check_duration_seconds_bucket{result='allow', le='0.2'}", "0+500x60 31000+1000x60"),
            ("check_duration_seconds_count{result='allow'}", "0+1000x60 61000+1000x60"),
        ]
        for time, fires in (("60m", True), ("100m", False)):
            tested = self.run_tests(RULES, [case("CountersignBudgetBurnsFast", series, time, fires)])
            self.assertEqual(tested.returncode, 0, tested.stdout)

    def test_an_alert_that_never_fires_is_noticed(self):
        with tempfile.TemporaryDirectory() as directory:
            broken = Path(directory, "rules.yaml")
            text = RULES.read_text(encoding="utf-8")
            broken.write_text(text.replace("countersign_store_up == 0", "countersign_store_up == 2"), encoding="utf-8")
            self.assertEqual(self.run_cases(RULES, "CountersignDown").returncode, 0)
            self.assertNotEqual(self.run_cases(broken, "CountersignDown").returncode, 0)

    def test_the_metrics_exist(self):
        documented = metrics_of_operations()
        for alert in rules():
            for metric in re.findall(r"countersign_\w+", alert["expr"]):
                with self.subTest(alert, metric=metric):
                    self.assertIn(re.sub("_(bucket|count)$", "", metric), documented)

    def test_every_alert_names_its_section_of_the_runbooks(self):
        for alert in alerts():
            section = f"docs/runbooks.md#{alert['alert'].lower()}"
            self.assertEqual(alert["annotations"]["runbook"], section)

    def test_the_runbooks_have_a_section_for_every_alert_and_no_other(self):
        names = [alert["alert"] for alert in alerts()]
        sections = re.findall(r"^## (Countersign\w+)$", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(sections, names)

    def test_every_section_has_the_same_answers(self):
        _, *sections = re.split(r"^## (?=Countersign)", RUNBOOKS.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for section in sections:
            with self.subTest(section.partition("\n")[0]):
                self.assertEqual(re.findall(r"^\*\*([\w ]+)\.\*\*", section, re.MULTILINE), ANSWERS)

    def test_rendered_rules_are_those_of_the_file(self):
        spec = named(rendered()["production"], "PrometheusRule")["spec"]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.dump(spec, file)
            file.flush()
            checked = promtool("check", "rules", "--lint-fatal", file.name)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        found = [rule for group in spec["groups"] for rule in group["rules"]]
        # The example leaves one out.
        expected = [(name(one), one["expr"]) for one in rules() if name(one) != "CountersignNoncesLost"]
        self.assertEqual([(name(rule), rule["expr"]) for rule in found], expected)
        self.assertTrue(all(rule["labels"].keys() == {"severity", "team"} for rule in found if "alert" in rule))

    def test_values_decide_labels_and_runbooks(self):
        values = {"enabled": True, "alertLabels": {"severity": "page"}, "runbookUrl": "https://docs/r.md"}
        option = f"prometheusRule={json.dumps(values)}"
        found = documents(template("--set", "secrets.existingSecret=x", "--set-json", option))
        rule, *_ = named(found, "PrometheusRule")["spec"]["groups"][0]["rules"]
        self.assertEqual(rule["labels"], {"severity": "page"})
        self.assertEqual(rule["annotations"]["runbook_url"], "https://docs/r.md#countersignfailing")
        self.assertIn("{{ $labels.namespace }}", rule["annotations"]["description"])

    def run_cases(self, file, *names):
        """Tests a file of rules with the cases of these alerts, or of all."""
        return self.run_tests(file, [one for alert in names or CASES for one in cases(alert)])

    def run_tests(self, path, tests):
        """Tests a file of rules."""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.dump({"rule_files": [str(path)], "evaluation_interval": "1m", "tests": tests}, file)
            file.flush()
            return promtool("test", "rules", file.name)


def rules():
    """Returns all rules."""
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def alerts():
    """Returns the rules that raise an alert."""
    return [rule for rule in rules() if "alert" in rule]


def name(rule):
    """Returns the name of a rule."""
    return rule.get("alert") or rule["record"]


def cases(alert):
    """Returns the unit tests of an alert."""
    faulty, healthy, time = CASES[alert]
    return [case(alert, faulty, time, True), case(alert, healthy, time, False)]


def case(alert, series, time, fires):
    """Returns a unit test of promtool: a metric `ALERTS` exists for an alert that fires."""
    expression = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) > bool 0 or vector(0)'
    return {
        "name": alert,
        "interval": "1m",
        "input_series": [{"series": of_replica(one), "values": values} for one, values in series],
        "promql_expr_test": [{"expr": expression, "eval_time": time, "exp_samples": [{"value": int(fires)}]}],
    }


def of_replica(series):
    """Returns the series with the labels of a scraped replica."""
    metric, _, labels = series.partition("{")
    labels = labels.rstrip("}")
    scraped = REPLICA.rpartition(", ")[0] if "instance=" in labels else REPLICA
    return f"countersign_{metric}{{{', '.join(filter(None, (scraped, labels)))}}}"


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
