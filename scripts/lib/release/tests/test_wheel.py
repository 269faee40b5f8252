"""Tests the wheel in dist/, and that the platform tag follows what the program needs."""

import subprocess
import sys
import unittest
import zipfile
from pathlib import Path
from unittest import mock

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
        with zipfile.ZipFile(WHEEL) as archive:
            programs = [entry for entry in archive.infolist() if "/scripts/" in entry.filename]
        self.assertEqual([entry.external_attr >> 16 for entry in programs], [0o100755])


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


if __name__ == "__main__":
    unittest.main()
