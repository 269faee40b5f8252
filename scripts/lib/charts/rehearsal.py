"""Starts Countersign as the rendered container would start: with its arguments, variables, configuration and files.

There is no kubelet, so the files of the pod are in a temporary directory, and the listeners are on free ports of loopback.
"""

import base64
import contextlib
import json
import os
import re
import subprocess
import time
from pathlib import Path

from consistency import container, secret_items
from paths import PROGRAM
from render import configuration, workload

# As `defaultMode` of the volumes.
MODE = 0o440
# Free ports, and no delay when the test ends.
ELSEWHERE = {f"COUNTERSIGN_{name}__LISTEN": "127.0.0.1:0" for name in ("CHECK", "API", "HTTP", "OPS")}
ELSEWHERE["COUNTERSIGN_SHUTDOWN__DELAY"] = "0s"


class Replica:
    """A running replica, with the addresses of its listeners."""

    def __init__(self, process, addresses, variables, place):
        self.process = process
        self.addresses = addresses
        self.variables = variables
        self.place = place

    def run(self, *arguments):
        """Runs a command as `kubectl exec` would, in the same pod."""
        command = [PROGRAM, *[here(argument, self.place) for argument in arguments]]
        return subprocess.run(command, env=self.variables, capture_output=True, text=True, timeout=30, check=False)


@contextlib.contextmanager
def replica(documents, secrets, place):
    """Starts a replica with these Secrets, as maps from names to maps of their keys, and stops it at the end."""
    volumes(documents, secrets, place)
    file = place / "countersign.toml"
    file.write_text(here(configuration(documents), place), encoding="utf-8")
    command = [PROGRAM, "serve", "--config", file]
    variables = environment(documents, secrets, place)
    with subprocess.Popen(command, env=variables | ELSEWHERE, stderr=subprocess.PIPE, text=True) as process:
        try:
            addresses = listening(process)
            if "COUNTERSIGN_SERVER" in variables:
                variables["COUNTERSIGN_SERVER"] = f"https://localhost:{addresses['api'].rpartition(':')[2]}"
            yield Replica(process, addresses, variables, place)
        finally:
            process.terminate()


def here(text, place):
    """Returns the text with the directories of the pod below the place."""
    return re.sub(r"/(secrets|data)/", rf"{place}/\1/", text)


def volumes(documents, secrets, place):
    """Writes the Secrets where the container mounts them, with the permissions that Kubernetes gives them."""
    place.joinpath("data").mkdir()
    mounts = {one["name"]: one["mountPath"] for one in container(documents)["volumeMounts"]}
    for volume in workload(documents)["spec"]["template"]["spec"]["volumes"]:
        for name, listed in secret_items(volume):
            for item in listed:
                write(Path(here(f"{mounts[volume['name']]}/", place)), item["path"], secrets[name][item["key"]])


def write(directory, name, content):
    """Writes a file as Kubernetes does: the name is a link."""
    versions = directory / "..data"
    versions.mkdir(parents=True, exist_ok=True)
    versions.joinpath(name).write_text(content, encoding="utf-8")
    versions.joinpath(name).chmod(MODE)
    directory.joinpath(name).symlink_to(f"..data/{name}")


def environment(documents, secrets, place):
    """Returns the variables of the container."""
    variables = {"PATH": os.environ["PATH"]}
    for variable in container(documents)["env"]:
        if "value" in variable:
            variables[variable["name"]] = here(variable["value"], place)
        else:
            reference = variable["valueFrom"]["secretKeyRef"]
            variables[variable["name"]] = secrets[reference["name"]][reference["key"]]
    return variables


def listening(process):
    """Reads the log until every listener has an address."""
    addresses, seen = {}, []
    deadline = time.monotonic() + 30
    while len(addresses) < 4 and time.monotonic() < deadline and (line := process.stderr.readline()):
        seen.append(line)
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("message") == "listening":
            addresses[event["listener"]] = event["address"]
    if len(addresses) < 4:
        raise AssertionError(f"countersign does not start: {''.join(seen)}")
    return addresses


def generated(certificate):
    """Returns the content of a Secret of type kubernetes.io/tls with these files in a directory."""
    names = {"tls.crt": "tls.pem", "tls.key": "key.pem", "ca.crt": "ca.pem"}
    return {key: certificate.joinpath(file).read_text(encoding="utf-8") for key, file in names.items()}


def admin_token():
    """Returns a random admin token."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()
