"""Tests of the check of commands: a renamed option and an unknown program are reported."""

import unittest

import commands

HELPS = {(): set(), ("token",): set(), ("token", "create"): {"--user-id"}}


class Commands(unittest.TestCase):
    def problems(self, page):
        found = (commands.check(words, HELPS) for line in commands.commands(page) for words in commands.parts(line))
        return [problem for problem in found if problem]

    def test_a_command_that_exists_is_accepted(self):
        page = "Run:\n\n    sudo countersign token create \\\n        --user-id=alice | sh > file   # comment --x\n"
        self.assertEqual(self.problems(page), [])
        self.assertEqual(len(list(commands.commands(page))), 1)

    def test_a_renamed_option_is_a_problem(self):
        self.assertEqual(self.problems("```sh\ncountersign token create --user alice\n```\n"), ["no option --user"])

    def test_a_missing_command_is_a_problem(self):
        self.assertEqual(self.problems("    A=1 target/debug/countersign tokens\n"), ["no command tokens"])
        self.assertEqual(self.problems("    countersign token\n    scripts/nosuch\n"), ["no such script"])

    def test_an_unknown_program_is_a_problem(self):
        self.assertEqual(self.problems("    countersign token\n    nosuch --x\n"), ["nosuch is not in KNOWN"])

    def test_other_blocks_are_not_commands(self):
        self.assertEqual(list(commands.commands("    [check]\n    realm = 1\n\n```toml\ncountersign = 1\n```\n")), [])


if __name__ == "__main__":
    unittest.main()
