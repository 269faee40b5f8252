"""Tests the wheel in dist/, and that the platform tag follows what the program needs."""

import base64
import hashlib
import subprocess
import sys
import unittest
import zipfile
from pathlib import Path
from unittest import mock

from packaging.metadata import Metadata

sys.path.insert(0, "scripts/lib/release")
import wheel

WHEEL = next(Path("dist").glob("*.whl"))


class Wheel(unittest.TestCase):
    def test_auditwheel_finds_the_platform_of_the_name(self):
        command = [sys.executable, "-m", "auditwheel", "show", WHEEL]
        report = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        platform = WHEEL.stem.rpartition("-")[2]
        self.assertIn(f'consistent with the following platform tag: "{platform}"', " ".join(report.split()))

    def test_the_program_is_executable(self):
        programs = [entry for entry in self.entries() if "/scripts/" in entry.filename]
        self.assertEqual([entry.external_attr >> 16 for entry in programs], [0o100755])

    def test_the_record_has_the_digest_of_every_file(self):
        with zipfile.ZipFile(WHEEL) as archive:
            record = next(name for name in archive.namelist() if name.endswith("/RECORD"))
            rows = dict(line.split(",", 1) for line in archive.read(record).decode().splitlines())
            self.assertEqual(rows.pop(record), ",")
            expected = {name: archive.read(name) for name in archive.namelist() if name != record}
        self.assertEqual(rows, {name: f"sha256={digest(content)},{len(content)}" for name, content in expected.items()})

    def test_the_metadata_is_valid_and_its_licenses_exist(self):
        with zipfile.ZipFile(WHEEL) as archive:
            info = next(name for name in archive.namelist() if name.endswith("/METADATA")).rpartition("/")[0]
            metadata = Metadata.from_email(archive.read(f"{info}/METADATA"), validate=True)
            self.assertEqual(metadata.license_files, ["LICENSE", "NOTICES"])
            for name in metadata.license_files:
                self.assertIn(f"{info}/licenses/{name}", archive.namelist())

    def entries(self):
        with zipfile.ZipFile(WHEEL) as archive:
            return archive.infolist()


class Platform(unittest.TestCase):
    def platform(self, libraries):
        with mock.patch.object(wheel.elf, "libraries", return_value=libraries):
            with mock.patch.object(wheel.elf, "glibc", return_value="2.34"):
                return wheel.platform("program")

    def test_the_tag_names_the_version_of_glibc(self):
        self.assertEqual(self.platform({"libc.so.6"}), "manylinux_2_34_x86_64")

    def test_a_program_that_needs_another_library_is_refused(self):
        with self.assertRaisesRegex(SystemExit, "needs libssl.so.3, which"):
            self.platform({"libc.so.6", "libssl.so.3"})


def digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


if __name__ == "__main__":
    unittest.main()
