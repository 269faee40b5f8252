"""Tests that scripts/lib/repository/check finds mistakes, and that the forms ask for what a report needs."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import ruamel.yaml

GITHUB = Path(".github")
CHECK = "scripts/lib/repository/check"
# The tests describe the behavior of these versions.
KEPT = {"/tests/clients/field", "/tests/clients/form_parsers"}
# A file, a change of it, and words of the error: first those that actionlint finds, then zizmor, then a schema.
MISTAKES = (
    ("workflows/ci.yml", "github.ref }}", "github.reff }}", 'property "reff" is not defined'),
    ("workflows/release.yml", "needs: make", "needs: made", 'needs job "made"'),
    ("workflows/ci.yml", "@08c6903cd8c0fde910a37f88322edcfb5dd907a8", "@v5", "unpinned-uses"),
    ("workflows/ci.yml", "permissions:\n      contents: read", "permissions: write-all", "excessive-permissions"),
    ("workflows/release.yml", "${GITHUB_REF_NAME#v}", "${{ github.ref_name }}", "template-injection"),
    ("dependabot.yml", "interval: weekly", "interval: often", "dependabot.yml: $.updates[0].schedule"),
    ("ISSUE_TEMPLATE/config.yml", "false", "perhaps", "config.yml: $.blank_issues_enabled"),
    ("ISSUE_TEMPLATE/denied.yml", "type: textarea", "type: text", "denied.yml: $.body["),
    ("ISSUE_TEMPLATE/bug.yml", "label: Version", "labels: Version", "bug.yml: $.body["),
)


class Check(unittest.TestCase):
    def test_mistakes_are_found(self):
        with tempfile.TemporaryDirectory() as directory:
            # zizmor knows the kind of a file by this name.
            copy = Path(directory) / ".github"
            shutil.copytree(GITHUB, copy)
            for file, right, wrong, _ in MISTAKES:
                change(copy / file, right, wrong)
            done = subprocess.run([CHECK, copy], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 1)
        for *_, words in MISTAKES:
            self.assertIn(words, done.stdout)


class Updates(unittest.TestCase):
    def test_every_lock_file_of_npm_is_updated_or_kept(self):
        names = subprocess.run(["git", "ls-files", "*package-lock.json"], check=True, stdout=subprocess.PIPE, text=True).stdout
        found = {f"/{Path(name).parent}" for name in names.split()} - KEPT
        updates = ruamel.yaml.YAML(typ="safe", pure=True).load(GITHUB / "dependabot.yml")["updates"]
        npm = next(update for update in updates if update["package-ecosystem"] == "npm")
        self.assertEqual(set(npm["directories"]), found)


class Forms(unittest.TestCase):
    def test_reports_have_what_finds_the_cause(self):
        for form in "denied", "bug":
            text = (GITHUB / f"ISSUE_TEMPLATE/{form}.yml").read_text()
            for words in "countersign --version", "decision_id", "countersign explain", "Remove secrets", "Report a vulnerability":
                self.assertIn(words, text, form)


def change(file, right, wrong):
    text = file.read_text()
    if right not in text:
        raise AssertionError(f"{file} has no {right!r}")
    file.write_text(text.replace(right, wrong))


if __name__ == "__main__":
    unittest.main()
