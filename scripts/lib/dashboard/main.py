"""Checks the dashboard, the rules and the runbooks against a running program."""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import demo
import sources
import stack as running
from prometheus import Prometheus

# Metrics, and beginnings of selectors, without data in this run. A query without them must have data, and with them, none.
ABSENT = {
    "countersign_certificate_expiry_seconds": "no listener has TLS",
    "countersign_checks_degraded_total": "no check passes in an outage of the embedded store",
    "countersign_store_errors_total": "the embedded store does not fail",
    'countersign_decisions_total{result="error"': "Countersign does not fail",
}
# Commands of the runbooks that print nothing here, because the fault is absent.
QUIET = {*ABSENT, "--reason too_many_attempts"}
# A query that must be found to have no data.
MISSPELT = "countersign_decisons_total"
# Seconds until every query has data. The rules and scrapes run once a second.
DATA_TIMEOUT = 12
COMMAND_TIMEOUT = 20
# Connections end soon, so that the metric of ended connections has data.
SETTINGS = {"COUNTERSIGN_CHECK__MAX_CONNECTION_AGE": "1s"}


def main():
    board = sources.dashboard()
    running.SETTINGS.update(SETTINGS)
    with contextlib.ExitStack() as ending:
        stack = ending.enter_context(running.Stack())
        directory = ending.enter_context(tempfile.TemporaryDirectory(prefix="countersign-dashboard."))
        prometheus = ending.enter_context(Prometheus(stack.ops, directory))
        # A rate needs growth after the scrape that found the series.
        send_traffic(stack)
        wait_until_scraped(prometheus)
        send_traffic(stack)
        queries = sources.panel_queries(board)
        problems = sources.structure_problems(board)
        problems += unanswered(prometheus, queries) + variable_problems(prometheus, board)
        problems += rule_problems(prometheus) + existence_problems(stack, prometheus, queries)
        commands = sources.confirming_commands(sources.RUNBOOKS.read_text(encoding="utf-8"))
        problems += command_problems(stack, prometheus, directory, commands)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"{len(queries)} queries of panels and {len(commands)} commands of runbooks ran.")
    return 1 if problems else 0


def send_traffic(stack):
    """Sends the requests of the demo."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        unexpected = sum(not demo.show(stack, *row) for row in demo.rows(stack, demo.Credentials(stack)))
    if unexpected:
        sys.exit(f"{output.getvalue()}error: {unexpected} responses were not as expected")


def wait_until_scraped(prometheus):
    deadline = time.monotonic() + DATA_TIMEOUT
    while not prometheus.query("countersign_diagnoses_total"):
        if time.monotonic() > deadline:
            sys.exit("error: Prometheus did not scrape Countersign")
        time.sleep(0.1)


def unanswered(prometheus, queries):
    """Returns the queries without data, and those with data that are listed as absent."""
    missing = [*expected(queries), ("the query that must be empty", MISSPELT)]
    deadline = time.monotonic() + DATA_TIMEOUT
    # The misspelt one remains.
    while len(missing) > 1 and time.monotonic() < deadline:
        missing = [(title, query) for title, query in missing if not prometheus.query(query)]
        time.sleep(0.2)
    if not any(query == MISSPELT for _, query in missing):
        return ["a query of a metric that does not exist has data"]
    problems = [f"panel {title}: no data: {query}" for title, query in missing if query != MISSPELT]
    absent = [(title, query) for title, query in queries if reason(query)]
    return problems + [
        f"panel {title}: data, but ABSENT says that {reason(query)}: {query}"
        for title, query in absent
        if prometheus.query(query)
    ]


def expected(queries):
    return [(title, query) for title, query in queries if not reason(query)]


def reason(query):
    """Returns why a query has no data, if it is listed."""
    return next((why for part, why in ABSENT.items() if part in query), None)


def variable_problems(prometheus, board):
    """Returns the variables that offer no value."""
    return [
        f"variable {name}: no value of the label {label}"
        for name, series, label in sources.variable_queries(board)
        if not any(label in one["metric"] for one in prometheus.query(series))
    ]


def rule_problems(prometheus):
    """Returns the rules that cannot be evaluated, and the alerts that fire although nothing is wrong."""
    rules = prometheus.rules()
    problems = [f"rule {rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]
    problems += [f"{rule['name']} fires" for rule in rules if rule.get("state") == "firing"]
    return problems if rules else ["Prometheus has no rules"]


def existence_problems(stack, prometheus, queries):
    """Returns the metrics and labels of the panels and rules that /metrics does not have."""
    status, text = running.fetch(stack.ops, running.Request("GET", "/metrics"))
    labels, absent = sources.exposed(text), {part for part in ABSENT if "{" not in part}
    documented = Path("docs/operations.md").read_text(encoding="utf-8")
    problems = [f"/metrics: status {status}"] if status != 200 else []
    problems += [f"{name} is absent, and not in docs/operations.md" for name in absent if bare(name) not in documented]
    problems += [f"{name} exists, but ABSENT lists it" for name in sorted(absent & labels.keys())]
    if not sources.name_problems(MISSPELT, labels, absent):
        problems.append("a metric that does not exist is not noticed")
    used = [*queries, *((rule["name"], rule["query"]) for rule in prometheus.rules())]
    problems += [f"no query has {part}, which ABSENT lists" for part in ABSENT if not any(part in one for _, one in used)]
    return problems + [f"{at}: {one}" for at, query in used for one in sources.name_problems(query, labels, absent)]


def bare(name):
    return f"`{name.removeprefix('countersign_')}`"


def command_problems(stack, prometheus, directory, commands):
    """Runs the commands of the runbooks, and returns those that fail or print nothing."""
    program = Path(directory, "bin/countersign")
    program.parent.mkdir()
    program.symlink_to(Path(running.COUNTERSIGN).absolute())
    own = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "COUNTERSIGN_SERVER": f"http://{stack.api}",
        "COUNTERSIGN_DATA_DIR": stack.data,
    }
    places = {
        "http://prometheus:9090": prometheus.url,
        "http://127.0.0.1:9090": f"http://{stack.ops}",
        "127.0.0.1:50051": stack.check,
        "/etc/countersign/countersign.toml": running.CONFIG,
    }
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda one: command_problem(one[1], places, {**running.environment(), **own}), commands)
    return [f"runbook {alert}: {problem}: {command}" for (alert, command), problem in zip(commands, results) if problem]


def command_problem(command, places, environment):
    """Runs a command, and returns what is wrong with it, if anything."""
    if not command:
        return "no command under Confirm"
    is_quiet = any(part in command for part in QUIET)
    for address, real in places.items():
        command = command.replace(address, real)
    shell = ["bash", "-c", f"set -o pipefail; {command}"]
    done = subprocess.run(shell, env=environment, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False)
    if done.returncode and not is_quiet:
        return f"status {done.returncode} {done.stderr.strip()}"
    return None if is_quiet or done.stdout.strip() else "prints nothing"


if __name__ == "__main__":
    sys.exit(main())
