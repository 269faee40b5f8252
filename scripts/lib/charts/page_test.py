"""The commands of docs/kubernetes.md and the chart's README run as far as they can without a cluster."""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from paths import CHART, EXAMPLES, PROJECT

PAGE = PROJECT / "docs/kubernetes.md"


class PageTest(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        self.place.joinpath("deploy").symlink_to(PROJECT / "deploy")
        self.place.joinpath("bin").mkdir()
        for name in ("helm", "kubectl", "countersign"):
            self.place.joinpath("bin", name).symlink_to(PROJECT / "scripts/lib/charts/shim.py")

    def test_every_command_of_the_page_exists(self):
        commands = blocks(PAGE, "sh")
        self.assertGreater(len(commands), 10)
        for command in commands:
            self.succeeds(command)
        self.assertIn("[check]", self.place.joinpath("countersign.toml").read_text(encoding="utf-8"))

    def test_every_command_of_the_readme_exists(self):
        for command in blocks(CHART / "README.md", "sh"):
            self.succeeds(command)

    def test_a_command_with_a_mistake_is_found(self):
        for command in (
            "helm upgrade countersign deploy/helm/countersign --set replicaCont=2",
            "helm tset countersign",
            "kubectl aply --filename deploy/kubernetes/redis.yaml",
            "helm test countersign --namespac countersign",
            "kubectl rollout restrt deployment/countersign",
            "kubectl exec deployment/countersign -- countersign denails",
            "kubectl apply --filename deploy/kubernetes/missing.yaml",
        ):
            self.assertNotEqual(self.run_command(command).returncode, 0, command)

    def test_refusals_are_as_shown(self):
        for block in blocks(PAGE, "console"):
            command, _, output = block.removeprefix("$ ").partition("\n")
            self.assertIn(output.strip(), self.run_command(command).stderr)

    def test_values_of_the_page_render(self):
        for index, block in enumerate(blocks(PAGE, "yaml")):
            values = self.place / f"{index}.yaml"
            values.write_text(block, encoding="utf-8")
            self.succeeds(f"helm template x deploy/helm/countersign --set secrets.existingSecret=x --values {values}")

    def test_the_page_names_every_example(self):
        text = PAGE.read_text(encoding="utf-8")
        for example in EXAMPLES.glob("*.yaml"):
            self.assertIn(f"deploy/helm/examples/{example.name})", text)

    def succeeds(self, command):
        with self.subTest(command):
            done = self.run_command(command)
            self.assertEqual(done.returncode, 0, done.stderr)

    def run_command(self, command):
        variables = {
            "HOME": str(self.place),
            "PATH": f"{self.place}/bin:{os.environ['PATH']}",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SHIM_STATE": str(self.place),
            "COUNTERSIGN": os.environ.get("COUNTERSIGN", str(PROJECT / "target/debug/countersign")),
        }
        script = ["bash", "-euo", "pipefail", "-c", command]
        return subprocess.run(script, cwd=self.place, env=variables, capture_output=True, text=True, timeout=120, check=False)


def blocks(page, language):
    """Returns the blocks of code in that language, without their indentation."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^( *)```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{block[1]}", "", block[2], flags=re.MULTILINE) for block in found]


if __name__ == "__main__":
    unittest.main()
