"""The JSON Schema of the configuration accepts every shipped file, and refuses what the program refuses.

Usage: schema_test.py PROGRAM. Needs jsonschema (tests/clients/python).
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import jsonschema

try:
    import tomllib
except ModuleNotFoundError:  # before Python 3.11
    import tomli as tomllib

PROGRAM = sys.argv.pop(1)
SCHEMA = json.loads(Path("deploy/countersign.schema.json").read_text())
# A wrong line and the key that both must name.
WRONG = {
    "workerz = 1": "workerz",
    "workers = '2'": "workers",
    "workers = 1025": "workers",
    "[check]\nmode = 'shadowy'": "mode",
    "[check]\ntimeout = 'soon'": "timeout",
    "[check]\nrealm_match = 'yes'": "realm_match",
    "[check]\ndeny_detail = 'all'": "deny_detail",
    "[check]\nmax_body_bytes = -1": "max_body_bytes",
    "[check.tls]\nkey = 'x'": "key",
    "[[route]]\npath = '/x'": "path",
    "[[route]]\nbody_hash = 'maybe'": "body_hash",
    "[stores]\nurl = 'memory:'": "stores",
}


class Schema(unittest.TestCase):
    def test_it_is_a_schema(self):
        jsonschema.Draft7Validator.check_schema(SCHEMA)

    def test_shipped_files_fit(self):
        files = [Path("config.default.toml"), *Path("deploy").rglob("countersign*.toml")]
        self.assertGreater(len(files), 1)
        for file in files:
            self.assertEqual(mistakes(file.read_text()), [], file)

    def test_what_the_program_refuses_is_refused(self):
        for text, key in WRONG.items():
            with self.subTest(text):
                self.assertTrue(any(key in mistake for mistake in mistakes(text)), mistakes(text))
                self.assertIn(key, self.refusal(text))

    def refusal(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(text)
            file.flush()
            check = [PROGRAM, "config", "check", "--no-files", file.name]
            checked = subprocess.run(check, capture_output=True, text=True)
        self.assertEqual(checked.returncode, 64, text)
        return checked.stdout + checked.stderr


def mistakes(text):
    """Every mistake with the path of its key."""
    found = jsonschema.Draft7Validator(SCHEMA).iter_errors(tomllib.loads(text))
    return [f"{'.'.join(map(str, mistake.path))}: {mistake.message}" for mistake in found]


if __name__ == "__main__":
    unittest.main()
