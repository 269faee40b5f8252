"""Tests which commits may become a release, in a small repository of its own."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

# What common.sh gives, without its change of the directory.
PRELUDE = 'set -euo pipefail; fail() { echo "error: $*" >&2; exit 1; };'
SOURCE = "for name in build image source; do source scripts/lib/release/$name.sh; done;"
CHECK = PRELUDE + SOURCE + 'check_source; commit_id'
CHART = "deploy/helm/countersign/Chart.yaml"
CHANGES = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-12-01\n\n### Fixed\n\n- A fault.\n"


class Source(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.git("init", "--quiet")
        self.write(CHART, "version: 1.2.3\nappVersion: 1.2.3\n")
        (self.root / "scripts/lib").mkdir(parents=True)
        (self.root / "scripts/lib/release").symlink_to(Path("scripts/lib/release").absolute())
        self.write("Cargo.toml", '[package]\nname = "x"\nversion = "1.2.3"\n')
        self.write(".archive", Path(".archive").read_text())
        self.write(".gitattributes", Path(".gitattributes").read_text())
        self.commit(CHANGES)
        self.git("tag", "v1.2.3")

    def write(self, name, text):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def commit(self, changelog):
        self.write("CHANGELOG.md", changelog)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "change")

    def git(self, *arguments):
        who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        status, output = run(["git", *arguments], self.root, who)
        self.assertEqual(status, 0, output)
        return output.strip()

    def assert_refused(self, words):
        status, output = run(["bash", "-c", CHECK], self.root)
        self.assertEqual(status, 1)
        self.assertIn(words, output)

    def test_a_tag_of_the_version_is_accepted(self):
        commit = self.git("rev-parse", "--short=12", "HEAD")
        self.assertEqual(run(["bash", "-c", CHECK], self.root), (0, commit + "\n"))

    def test_another_commit_is_refused(self):
        self.commit(CHANGES + "- Another.\n")
        self.assert_refused("has not the tag v1.2.3, the version in Cargo.toml, but: no tag")

    def test_another_version_is_refused(self):
        self.git("tag", "--delete", "v1.2.3")
        self.git("tag", "v1.2.4")
        self.assert_refused("but: v1.2.4")

    def test_a_change_that_is_not_committed_is_refused(self):
        self.write("new", "")
        self.assert_refused("the working tree has changes")

    def test_a_chart_of_another_version_is_refused(self):
        self.write(CHART, "version: 1.2.3\nappVersion: 1.2.2\n")
        self.commit(CHANGES)
        self.git("tag", "--force", "v1.2.3")
        self.assert_refused("appVersion in deploy/helm/countersign/Chart.yaml is not 1.2.3")

    def test_a_changelog_without_the_version_is_refused(self):
        self.commit(CHANGES.replace("1.2.3", "1.2.2"))
        self.git("tag", "--force", "v1.2.3")
        self.assert_refused("CHANGELOG.md has no section for 1.2.3")

    def test_a_section_without_a_date_or_a_change_is_refused(self):
        for wrong, words in (
            (CHANGES.replace(" - 2026-12-01", ""), "has no date"),
            (CHANGES.replace("2026-12-01", "soon"), "has no date"),
            (CHANGES.replace("- A fault.\n", ""), "lists no change"),
        ):
            self.commit(wrong)
            self.git("tag", "--force", "v1.2.3")
            self.assert_refused(words)

    def test_an_archive_names_its_commit_and_time(self):
        self.git("archive", "--output", "archive.tar", "HEAD")
        commit, time = self.git("log", "-1", "--format=%H %ct").split()
        with tempfile.TemporaryDirectory() as unpacked:
            run(["tar", "--extract", "--file", self.root / "archive.tar", "--directory", unpacked], self.root)
            self.assertEqual(Path(unpacked, ".archive").read_text(), f"commit {commit}\n")
            script = PRELUDE + SOURCE + 'export_source_date; echo "$(commit_id) $SOURCE_DATE_EPOCH"'
            self.assertEqual(run(["bash", "-c", script], unpacked), (0, f"{commit[:12]} {time}\n"))

    def test_a_program_of_another_commit_is_refused(self):
        commit, date = self.git("log", "-1", "--format=%h %cs", "--abbrev=12").split()
        for number, status in (commit, 0), ("0" * 12, 1):
            self.write("program", f"#!/bin/sh\necho 'countersign 1.2.3 (commit {number}, built {date})'\n")
            (self.root / "program").chmod(0o755)
            script = PRELUDE + SOURCE + "export_source_date; check_program ./program"
            self.assertEqual(run(["bash", "-c", script], self.root)[0], status)


def run(command, directory, variables=None):
    environment = {**os.environ, **(variables or {}), "GIT_CONFIG_GLOBAL": "/dev/null", "TZ": "UTC"}
    for name in ("SOURCE_DATE_EPOCH", "COUNTERSIGN_COMMIT"):
        environment.pop(name, None)
    done = subprocess.run(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.returncode, done.stdout


if __name__ == "__main__":
    unittest.main()
