#!/usr/bin/env python3
"""Runs checkov over what every example renders. A finding without a reason below is a failure, and so is a reason
without a finding."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from paths import TOOLS
from render import rendered, write_documents

ACCEPTED = {
    "CKV_K8S_8": "the pod of `helm test` ends after one call, so it needs no liveness probe; see ONLY_TEST",
    "CKV_K8S_9": "the same for the readiness probe",
    "CKV_K8S_11": "no CPU limit by default: a throttled check is a late check, and the request reserves a share",
    "CKV_K8S_15": "IfNotPresent starts a replica while the registry is down; image.digest pins the content",
    "CKV_K8S_35": "the admin token as a file in the data directory would be one for each replica, and a URL of Redis with "
    "credentials is only read from a variable; redis.credentials uses files",
    "CKV_K8S_40": "in the example openshift, the cluster chooses the user",
    "CKV_K8S_43": "image.digest pins the image, as in the example production; a tag is easier to read in the others",
    "CKV2_K8S_6": "in examples without networkPolicy.enabled, and for the pod of `helm test`, which listens on no port",
}
# The check concerns this pod alone.
ONLY_TEST = {"CKV_K8S_8", "CKV_K8S_9"}


def main():
    failed = [failure for report in reports() for failure in report["results"]["failed_checks"]]
    unexplained = [one for one in failed if not is_accepted(one)]
    for one in unexplained:
        print(f"{one['check_id']} {one['check_name']}: {one['resource']} in {one['file_path']}")
    unused = ACCEPTED.keys() - {one["check_id"] for one in failed}
    for check in unused:
        print(f"{check} is accepted, but nothing fails it: remove it from ACCEPTED")
    passed = sum(report["summary"]["passed"] for report in reports())
    print(f"checkov: {passed} passed, {len(failed) - len(unexplained)} accepted, {len(unexplained)} failed")
    sys.exit(bool(unexplained or unused or not passed))


def is_accepted(failure):
    """Returns true if there is a reason for a finding."""
    check = failure["check_id"]
    return check in ACCEPTED and (check not in ONLY_TEST or "countersign-test" in failure["resource"])


@functools.cache
def reports():
    """Returns the reports of checkov, one for each framework."""
    with tempfile.TemporaryDirectory() as directory:
        for name, documents in rendered().items():
            write_documents(Path(directory), name, documents)
        # --skip-download keeps checkov from calling its vendor.
        options = ["--framework", "kubernetes", "--skip-download", "--quiet", "--compact", "--output", "json"]
        command = [sys.executable, TOOLS / "python/bin/checkov", *options, "--directory", directory]
        done = subprocess.run(command, env=os.environ | {"HOME": directory}, capture_output=True, text=True, timeout=120, check=False)
    try:
        found = json.loads(done.stdout)
    except json.JSONDecodeError:
        sys.exit(f"checkov failed: {done.stderr}")
    return found if isinstance(found, list) else [found]


if __name__ == "__main__":
    main()
