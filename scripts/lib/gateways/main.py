"""Checks the examples of gateways; see scripts/gateways."""

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import consistency
import manifests
import rows
import table
from examples import GATEWAYS, HOST
from proxied import Proxied

NEWEST, OLDEST = (f"target/envoy/{version}/envoy" for version in ("1.40.0", "1.36.2"))


def main():
    arguments = parsed()
    problems = [*manifests.problems(GATEWAYS), *consistency.problems(GATEWAYS)]
    if problems:
        sys.exit("\n".join(f"error: {problem}" for problem in problems))
    count = sum(len(example.documents()) for example in GATEWAYS)
    print(f"{count} resources of {len(GATEWAYS)} gateways follow their schemas and agree with Countersign", file=sys.stderr)
    if not arguments.manifests:
        through_envoy(arguments.write)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifests", action="store_true", help="check only the manifests")
    parser.add_argument("--write", action="store_true", help="update the table in docs/gateways/README.md")
    return parser.parse_args()


def through_envoy(write):
    started = time.monotonic()
    # One gateway also with the oldest Envoy, which must give the same results.
    runs = [*((example, NEWEST) for example in GATEWAYS), (GATEWAYS[-3], OLDEST)]
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(len(runs)) as threads:
        certificate = new_certificate(directory)
        try:
            found = list(threads.map(lambda one: run(*one, certificate), runs))
        except rows.Unexpected as problem:
            sys.exit(f"error: {problem}")
    *columns, oldest = found
    example, _ = runs[-1]
    if oldest != columns[GATEWAYS.index(example)]:
        sys.exit(f"error: {example.title} with the oldest Envoy: {oldest}, not {columns[GATEWAYS.index(example)]}")
    text = table.rendered([name for name, _ in rows.ROWS], [one.title for one in GATEWAYS], columns)
    table.compare(text, write)
    print(f"{len(runs)} gateways gave the documented results in {time.monotonic() - started:.0f} s", file=sys.stderr)


def run(example, envoy, certificate):
    with Proxied(example, envoy, certificate) as gateway:
        return rows.results(gateway)


def new_certificate(directory):
    certificate, key = (str(Path(directory, name)) for name in ("certificate.pem", "key.pem"))
    names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command = ["openssl", "req", "-x509", *curve, "-days", "2", *names, "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return certificate, key


if __name__ == "__main__":
    main()
