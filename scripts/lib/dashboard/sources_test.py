"""Mistakes in the dashboard and the runbooks are reported."""

import copy
import unittest

import sources

EXPOSED = 'countersign_build_info{version="1"} 1\ncountersign_decisions_total{result="allow",reason="ok"} 2\n'


class Names(unittest.TestCase):
    def problems(self, query, absent=frozenset()):
        return sources.name_problems(query, sources.exposed(EXPOSED), absent)

    def test_existing_names_are_accepted(self):
        query = 'sum by (reason) (rate(countersign_decisions_total{result!="error", job=~".*"}[5m]))'
        self.assertEqual(self.problems(query), [])

    def test_a_misspelt_metric_is_a_problem(self):
        self.assertEqual(self.problems("rate(countersign_decision_total[5m])"), ["no metric countersign_decision_total"])
        self.assertEqual(self.problems("countersign_x > 0", absent={"countersign_x"}), [])

    def test_a_misspelt_label_is_a_problem(self):
        problems = self.problems('countersign_decisions_total{cause="ok"}')
        self.assertEqual(problems, ["countersign_decisions_total has no label cause"])
        problems = self.problems("sum by (job, cause) (countersign_decisions_total)")
        self.assertEqual(problems, ["no metric has the label cause"])


class Structure(unittest.TestCase):
    def setUp(self):
        self.board = copy.deepcopy(sources.dashboard())
        self.panel = next(panel for panel in self.board["panels"] if panel["type"] != "row")

    def problems(self):
        return sources.structure_problems(self.board)

    def test_the_dashboard_is_accepted(self):
        self.assertEqual(self.problems(), [])

    def test_a_fixed_data_source_is_a_problem(self):
        self.panel["targets"][0]["datasource"]["uid"] = "P1809F7CD0C75ACF3"
        self.assertEqual(self.problems(), [f"{self.panel['title']}: the data source is not the variable"])

    def test_overlapping_panels_are_a_problem(self):
        self.panel["gridPos"]["w"] += 1
        self.assertEqual(self.problems(), ["panels overlap"])

    def test_ids_are_problems(self):
        self.board["uid"] = "abc"
        self.panel["id"] = self.board["panels"][-1]["id"]
        self.assertEqual(
            self.problems(), ["two panels have the same id", "the dashboard has an id of one Grafana"]
        )

    def test_variables_are_filled_in(self):
        queries = [query for _, query in sources.panel_queries(self.board)]
        self.assertEqual([query for query in queries if "$" in query], [])


class Runbooks(unittest.TestCase):
    def test_commands_under_confirm_are_found(self):
        text = "## CountersignX\n\n**Confirm.** See:\n\n```sh\na | b\nc\n```\n\n**Do.** Run:\n\n```sh\nd\n```\n"
        self.assertEqual(sources.confirming_commands(text), [("CountersignX", "a | b"), ("CountersignX", "c")])
        self.assertEqual(sources.confirming_commands("## CountersignX\n\n**Do.** d\n"), [("CountersignX", "")])


if __name__ == "__main__":
    unittest.main()
