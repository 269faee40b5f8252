"""Writes a software bill of materials (CycloneDX 1.6) of the program: the crates that are compiled into it.

    sbom.py PROGRAM FILE

Crates that only run while the program is compiled, procedural macros and their dependencies, have the scope
"excluded". The crates are those of `cargo tree`, because `cargo metadata` does not resolve features as a build does: it
also lists crates that only tests turn on. The same program, commit and SOURCE_DATE_EPOCH give the same file.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path

TARGET = "x86_64-unknown-linux-gnu"
LINE = re.compile(r"(?P<depth>\d+)(?P<name>\S+) v(?P<version>\S+)")


def main():
    program, file = map(Path, sys.argv[1:])
    everything, compiled_in = tree("normal"), tree("normal,no-proc-macro")
    document = bill(everything, compiled_in, packages(), checksums(), program)
    file.write_text(json.dumps(document, indent=2) + "\n")


def bill(edges, compiled_in, packages, checksums, program):
    """The document. `edges` has the dependencies of each crate, the program first."""
    root, *crates = edges
    content = [component(crate, packages[crate], checksums, crate in compiled_in) for crate in sorted(crates)]
    own = {
        **described(root, packages[root], "application"),
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(program.read_bytes()).hexdigest()}],
    }
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": None,
        "version": 1,
        "metadata": {"timestamp": timestamp(), "component": own, "properties": [{"name": "cargo:target", "value": TARGET}]},
        "components": content,
        "dependencies": [
            {"ref": purl(crate), "dependsOn": sorted(map(purl, edges[crate]))} for crate in [root, *sorted(crates)]
        ],
    }
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(document))}"
    return document


def component(crate, package, checksums, is_compiled_in):
    return {
        **described(crate, package, "library"),
        "scope": "required" if is_compiled_in else "excluded",
        "hashes": [{"alg": "SHA-256", "content": checksums[crate]}],
    }


def described(crate, package, kind):
    name, version = crate
    facts = {"type": kind, "bom-ref": purl(crate), "name": name, "version": version, "purl": purl(crate)}
    if package.get("description"):
        facts["description"] = " ".join(package["description"].split())
    if package.get("license"):
        # The form before SPDX expressions: "MIT/Apache-2.0".
        facts["licenses"] = [{"expression": re.sub(r"\s*/\s*", " OR ", package["license"])}]
    if package.get("repository"):
        facts["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return facts


def purl(crate):
    return "pkg:cargo/{}@{}".format(*crate)


def tree(edges):
    """The dependencies of each crate (name, version), the program first."""
    found, path = {}, []
    command = ["cargo", "tree", "--locked", "--target", TARGET, "--edges", edges, "--prefix", "depth"]
    for line in output(command).splitlines():
        match = LINE.match(line)
        crate, depth = (match["name"], match["version"]), int(match["depth"])
        found.setdefault(crate, set())
        del path[depth:]
        if path:
            found[path[-1]].add(crate)
        path.append(crate)
    return found


def packages():
    metadata = json.loads(output(["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]))
    return {(package["name"], package["version"]): package for package in metadata["packages"]}


def checksums():
    """The SHA-256 of each crate's archive, from Cargo.lock."""
    entry = re.compile(r'name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"')
    return {(name, version): checksum for name, version, checksum in entry.findall(Path("Cargo.lock").read_text())}


def output(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def timestamp():
    moment = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    main()
