"""Tests the signature of a release with a key that is thrown away: changed files and wrong keys are refused."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SIGN = "scripts/lib/release/sign"


class Signature(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.home = Path(directory.name)
        self.dist = self.home / "dist"
        self.dist.mkdir()
        name = "countersign-1.2.3-x86_64-unknown-linux-gnu.tar.gz"
        (self.dist / name).write_text("program\n")
        sums = subprocess.run(["sha256sum", name], cwd=self.dist, check=True, stdout=subprocess.PIPE).stdout
        (self.dist / "SHA256SUMS").write_bytes(sums)
        self.key = self.new_key("key")

    def new_key(self, name):
        secret, public = self.home / name, self.home / f"{name}.pub"
        done("minisign", "-G", "-W", "-s", secret, "-p", public)
        return secret

    def sign(self, key=None):
        return done(SIGN, key or self.key, self.dist)

    def verify(self, key="key"):
        return done("minisign", "-V", "-p", self.home / f"{key}.pub", "-m", self.dist / "SHA256SUMS")

    def test_a_signature_names_the_version_and_verifies(self):
        self.assertEqual(self.sign()[0], 0)
        status, output = self.verify()
        self.assertEqual(status, 0, output)
        self.assertIn("Trusted comment: countersign 1.2.3\n", output)

    def test_changed_checksums_are_refused(self):
        self.sign()
        with (self.dist / "SHA256SUMS").open("a") as sums:
            sums.write("0" * 64 + "  other\n")
        self.assertNotEqual(self.verify()[0], 0)

    def test_a_changed_version_is_refused(self):
        self.sign()
        signature = self.dist / "SHA256SUMS.minisig"
        signature.write_text(signature.read_text().replace("countersign 1.2.3", "countersign 1.2.4"))
        self.assertNotEqual(self.verify()[0], 0)

    def test_another_key_is_refused(self):
        self.sign()
        self.new_key("other")
        self.assertNotEqual(self.verify("other")[0], 0)

    def test_a_changed_file_is_not_signed(self):
        next(self.dist.glob("*.tar.gz")).write_text("changed\n")
        status, output = self.sign()
        self.assertEqual(status, 1)
        self.assertIn("does not match SHA256SUMS", output)
        self.assertFalse((self.dist / "SHA256SUMS.minisig").exists())

    def test_a_key_in_the_repository_is_refused(self):
        inside = Path("target/test-key")
        shutil.copy(self.key, inside)
        self.addCleanup(inside.unlink)
        status, output = self.sign(inside)
        self.assertEqual(status, 1)
        self.assertIn("is in the repository", output)


def done(*command):
    """Returns the exit status and the output."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return result.returncode, result.stdout


if __name__ == "__main__":
    unittest.main()
