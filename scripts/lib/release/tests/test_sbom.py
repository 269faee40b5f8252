"""Tests the bill of materials in dist/: a validator accepts it, and it lists what cargo compiles into the program."""

import copy
import hashlib
import json
import re
import subprocess
import tarfile
import unittest
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

BILL = next(Path("dist").glob("*.cdx.json"))
TREE = ["cargo", "tree", "--locked", "--target", "x86_64-unknown-linux-gnu", "--prefix", "none", "--format", "{p}"]


class Bill(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = BILL.read_text()
        cls.document = json.loads(cls.text)

    def test_a_validator_accepts_it(self):
        self.assertIsNone(problem(self.text))

    def test_the_validator_refuses_a_broken_one(self):
        broken = copy.deepcopy(self.document)
        broken["components"][0]["scope"] = "compiled"
        self.assertIsNotNone(problem(json.dumps(broken)))

    def test_the_components_are_the_normal_dependencies(self):
        self.assertEqual(components(self.document), tree("normal"))

    def test_the_required_components_are_those_compiled_in(self):
        self.assertEqual(components(self.document, "required"), tree("normal,no-proc-macro"))

    def test_tools_of_the_build_and_of_tests_are_absent(self):
        names = {component["name"] for component in self.document["components"]}
        self.assertEqual(names & {"protox", "proptest", "divan", "rcgen"}, set())

    def test_every_component_has_its_checksum_and_license(self):
        for component in self.document["components"]:
            self.assertRegex(component["hashes"][0]["content"], "^[0-9a-f]{64}$", component["name"])
            self.assertIn("licenses", component, component["name"])

    def test_the_program_is_the_one_in_the_tarball(self):
        digest = hashlib.sha256(in_tarball("countersign")).hexdigest()
        self.assertEqual(self.document["metadata"]["component"]["hashes"][0]["content"], digest)

    def test_the_tarball_has_the_license_of_each_crate_that_is_compiled_in(self):
        named = set(re.findall(r"(\S+) v?(\d+\.[^\s,:]+)", in_tarball("NOTICES").decode()))
        crates = {(one["name"], one["version"]) for one in self.document["components"] if one["scope"] == "required"}
        self.assertEqual(crates - named, set())


def in_tarball(name):
    with tarfile.open(next(Path("dist").glob("*-linux-gnu.tar.gz"))) as archive:
        path = next(path for path in archive.getnames() if path.split("/")[1:] == [name])
        return archive.extractfile(path).read()


def problem(text):
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)


def components(document, *scopes):
    wanted = scopes or ("required", "excluded")
    return {f"{one['name']} v{one['version']}" for one in document["components"] if one["scope"] in wanted}


def tree(edges):
    """The crates of `cargo tree`, without the program."""
    lines = subprocess.run([*TREE, "--edges", edges], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    # After the version comes a path, "(proc-macro)" or "(*)".
    return {" ".join(line.split()[:2]) for line in lines[1:] if line}


if __name__ == "__main__":
    unittest.main()
