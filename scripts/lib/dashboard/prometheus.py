"""Runs Prometheus with the rules, and queries it."""

import contextlib
import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import sources
from stack import end

LOG = Path("target/dashboard/prometheus.log")
CONFIG = """\
global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: [{rules}]
scrape_configs:
- job_name: countersign
  static_configs:
  - targets: ["{target}"]
    labels: {{ namespace: countersign }}
"""
# Seconds.
START_TIMEOUT = 15
REQUEST_TIMEOUT = 10


class Prometheus:
    """A running Prometheus that scrapes one replica. It stops when the context ends."""

    def __init__(self, target, directory):
        self._target, self._directory = target, Path(directory)

    def __enter__(self):
        LOG.parent.mkdir(parents=True, exist_ok=True)
        config = self._directory / "prometheus.yml"
        config.write_text(CONFIG.format(rules=sources.RULES.absolute(), target=self._target), encoding="utf-8")
        options = [f"--config.file={config}", f"--storage.tsdb.path={self._directory / 'data'}"]
        with LOG.open("w", encoding="utf-8") as log:
            command = ["prometheus", *options, "--web.listen-address=127.0.0.1:0"]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            self.url = self._wait_for_url()
        except BaseException:
            end(self._process)
            raise
        return self

    def __exit__(self, *_exception):
        end(self._process)

    def query(self, expression):
        """Returns the series of an instant query whose value is a number."""
        found = self._get("query", query=expression)["result"]
        return [one for one in found if one["value"][1] != "NaN"]

    def rules(self):
        """Returns all rules, with the state of each."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, path, **parameters):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=REQUEST_TIMEOUT) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from error

    def _wait_for_url(self):
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            found = re.search(r'msg="Listening on" address=([\d.:]+)', LOG.read_text(encoding="utf-8"))
            if found:
                url = f"http://{found[1]}"
                with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=REQUEST_TIMEOUT):
                    return url
            time.sleep(0.05)
        raise SystemExit(f"error: Prometheus did not start; see {LOG}")
