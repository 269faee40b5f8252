"""Tests of the site's source: a link that leads nowhere and a page that nobody finds are reported."""

import tempfile
import unittest
from pathlib import Path

import reference
import stage


class Stage(unittest.TestCase):
    def setUp(self):
        self._directory = tempfile.TemporaryDirectory()
        self.root = Path(self._directory.name) / "project"
        self.addCleanup(self._directory.cleanup)
        self.write("docs/SUMMARY.md", "[Start](../README.md)\n- [A](a.md)\n- [Settings](../config.default.toml)\n")
        self.write("README.md", "See [a](docs/a.md#part) and [all](config.default.toml).\n")
        self.write("docs/a.md", "[file](../deploy/x.toml) [web](https://example.com) [two\nlines](../README.md)\n\n    [code](none.md)\n")
        self.write("deploy/x.toml", "")
        self.write("config.default.toml", "")

    def write(self, path, text):
        stage.write(self.root / path, text)

    def problems(self):
        return stage.stage(self.root, self.staged.parent)[1]

    @property
    def staged(self):
        return Path(self._directory.name) / "staged/src"

    def test_pages_and_linked_files_are_copied_with_their_links(self):
        self.assertEqual(self.problems(), [])
        self.assertEqual((self.staged / "index.md").read_text(), "See [a](docs/a.md#part) and [all](reference/settings.md).\n")
        self.assertIn("[Start](index.md)", (self.staged / "SUMMARY.md").read_text())
        page = (self.staged / "docs/a.md").read_text()
        self.assertIn("[two\nlines](../index.md)\n\n    [code](none.md)", page)
        self.assertTrue((self.staged / "deploy/x.toml").exists())

    def test_a_page_that_the_summary_lacks_is_a_problem(self):
        self.write("docs/gateways/b.md", "")
        self.assertEqual(self.problems(), ["docs/gateways/b.md is not in docs/SUMMARY.md"])

    def test_a_link_that_leads_nowhere_is_a_problem(self):
        self.write("docs/a.md", "[x](gone.md)")
        self.assertEqual(self.problems(), ["docs/a.md links to gone.md, which does not exist"])

    def test_a_directory_gets_a_list_of_its_files(self):
        self.write("docs/a.md", "[y](../deploy)")
        self.assertEqual(self.problems(), [])
        self.assertEqual((self.staged / "docs/a.md").read_text(), "[y](../deploy/index.html)")
        self.assertIn('<a href="x.toml">', (self.staged / "deploy/index.html").read_text())


class Commands(unittest.TestCase):
    def test_commands_are_found_in_a_help(self):
        text = "Usage: x <COMMAND>\n\nCommands:\n  create  Create\n          more\n  show    Show\n  help    Print\n\nOptions:\n  -h\n"
        self.assertEqual(reference.subcommands(text), ["create", "show"])


if __name__ == "__main__":
    unittest.main()
