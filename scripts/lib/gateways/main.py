"""Checks the examples of gateways; see scripts/gateways."""

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import consistency
import manifests
import rows
import table
from examples import GATEWAYS, HOST, SERVICE_HOSTS, Example
from proxied import Proxied

NEWEST, OLDEST = (f"target/envoy/{version}/envoy" for version in ("1.40.0", "1.36.2"))


def main():
    arguments = parsed()
    # With an unknown field, the others cannot be compared.
    problems = manifests.problems(GATEWAYS) or consistency.problems(GATEWAYS)
    if problems:
        sys.exit("\n".join(f"error: {problem}" for problem in problems))
    count = sum(len(example.documents()) for example in GATEWAYS)
    say(f"{count} resources of {len(GATEWAYS)} gateways follow their schemas and agree with Countersign")
    if not arguments.manifests:
        through_envoy(arguments.write)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifests", action="store_true", help="check only the manifests")
    parser.add_argument("--write", action="store_true", help="update the table in docs/gateways/README.md")
    return parser.parse_args()


@dataclass(frozen=True)
class Run:
    """A gateway with a version of Envoy, with or without TLS to Countersign."""

    example: Example
    envoy: str
    is_tls: bool

    def results(self, certificate):
        with Proxied(self.example, self.envoy, certificate, self.is_tls) as gateway:
            results = rows.results(gateway)
        if "eprecated" in (gateway.log / "envoy.log").read_text():
            raise rows.Unexpected(f"{gateway.log}/envoy.log: the configuration has deprecated settings")
        return results


def through_envoy(write):
    started = time.monotonic()
    # The second run of a gateway must have the same results as the first.
    first = [Run(example, NEWEST, is_tls=False) for example in GATEWAYS]
    second = [Run(example, OLDEST, is_tls=True) for example in GATEWAYS if example.envoy_with_tls()]
    found = dict(zip(first + second, in_parallel(first + second), strict=True))
    for run in second:
        results, expected = found[run], found[Run(run.example, NEWEST, is_tls=False)]
        if results != expected:
            sys.exit(f"error: {run.example.title} with {run.envoy} and TLS: {results}, not {expected}")
    columns = {run.example.title: found[run] for run in first}
    table.compare(table.rendered([name for name, _ in rows.ROWS], columns), write)
    say(f"{len(found)} gateways gave the documented results in {time.monotonic() - started:.0f} s")


def in_parallel(runs):
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(len(runs)) as threads:
        certificate = new_certificate(directory)
        try:
            return list(threads.map(lambda run: run.results(certificate), runs))
        except rows.Unexpected as problem:
            sys.exit(f"error: {problem}")


def new_certificate(directory):
    """Returns the files of one certificate for all: of the gateway, as a server and as a client, and of Countersign."""
    certificate, key = (str(Path(directory, name)) for name in ("certificate.pem", "key.pem"))
    names = ",".join(f"DNS:{name}" for name in (HOST, *SERVICE_HOSTS.values()))
    extensions = ["-addext", f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:FALSE"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    options = [*curve, "-days", "2", "-subj", f"/CN={HOST}", *extensions]
    command = ["openssl", "req", "-x509", *options, "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return certificate, key


def say(message):
    print(message, file=sys.stderr)


if __name__ == "__main__":
    main()
