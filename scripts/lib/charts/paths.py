"""Where the chart, its examples and the tools are."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
CHART = PROJECT / "deploy/helm/countersign"
EXAMPLES = PROJECT / "deploy/helm/examples"
RULES = PROJECT / "deploy/prometheus/countersign.rules.yaml"
TOOLS = PROJECT / "target/charts"
HELM = TOOLS / "bin/helm"
KUBECTL = TOOLS / "bin/kubectl"
PROGRAM = Path(os.environ.get("COUNTERSIGN", PROJECT / "target/debug/countersign"))
