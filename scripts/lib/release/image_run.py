"""Runs an image's program in its root file system, as a container engine would, and sends requests through Envoy to it.

    image_run.py ROOT    ROOT is the unpacked root file system. Needs root, for mounts and chroot.

The root is mounted read-only. The program runs as the user of the image, with no environment of this machine.
"""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import stack  # noqa: E402

USER = 65532
# On the loopback interface; the port 53 is the only one that resolv.conf can name.
NAME_SERVER = "127.77.77.77"
NAME = "countersign.test"
# Mounts the root, the devices, the data directory and the settings, and becomes the program.
IN_CONTAINER = """
mount --rbind "$1" "$1" && mount --rbind /dev "$1/dev" && mount --bind "$2" "$1/data" && mount --bind "$3" "$1/etc/countersign" &&
mount -o remount,bind,ro "$1" && mount -o remount,bind,ro "$1/etc/countersign" &&
cd "$1" && shift 3 && exec chroot --userspec=65532:65532 --groups= . "$@"
"""


def main():
    root = Path(sys.argv[1]).resolve()
    # The commands run outside of the root.
    stack.COUNTERSIGN = str(root / "usr/bin/countersign")
    prepare(root)
    with name_server(), ImageStack(root) as running:
        test(running)
    print("The image's program verified requests of a real Envoy, as its user and with a read-only root.")


def prepare(root):
    """Makes what an engine makes: mount points, and the files that name hosts."""
    (root / "dev").mkdir(exist_ok=True)
    (root / "etc/countersign").mkdir(exist_ok=True)
    (root / "etc/resolv.conf").write_text(f"nameserver {NAME_SERVER}\n")


class ImageStack(stack.Stack):
    """A stack whose Countersign is the program in the image."""

    def __init__(self, root):
        super().__init__()
        self.root = root

    def _start(self, command, log, settings=None):
        if command[0] != stack.COUNTERSIGN:
            super()._start(command, log, settings)
            return
        shutil.chown(self.data, USER, USER)
        renamed = {stack.CONFIG: f"/etc/countersign/{Path(stack.CONFIG).name}", self.data: "/data"}
        arguments = [renamed.get(argument, argument) for argument in command[1:]]
        super()._start(self.in_container(arguments, settings), log)

    def in_container(self, arguments, settings=None):
        """Returns the command that runs the program with these arguments."""
        variables = [f"{name}={value}" for name, value in (settings or {}).items()]
        mounts = [self.root, self.data, Path(stack.CONFIG).parent.resolve()]
        program = ["/usr/bin/countersign", *arguments]
        clean = ["env", "--ignore-environment", f"PATH={os.environ['PATH']}", *variables]
        return [*clean, "unshare", "--mount", "--", "sh", "-c", IN_CONTAINER, "sh", *map(str, mounts), *program]


def test(running):
    expect("the owner of the process", owner_of(running.processes[0]), {str(USER)})
    credentials = running.admin("consumer", "create", "--name", "Printer")
    options = ["--consumer-key", credentials["consumer_key"], "--consumer-secret", credentials["consumer_secret"]]
    status, _, received = running.send(running.sign("GET", "/photos?size=original", *options))
    expect("a signed request", (status, received and received["HTTP_X_CONSUMER_USERNAME"]), (200, "Printer"))
    tampered = running.sign("GET", "/photos?size=original", *options).changed(target="/photos?size=small")
    expect("a tampered request", running.send(tampered)[0::2], (401, None))
    expect("a write to the root", run(running, ["man", "/man"]), 64)
    expect("a write to the data directory", run(running, ["man", "/data/man"]), 0)
    # A host name, which the C library resolves.
    port = running.check.rpartition(":")[2]
    expect("a host name", run(running, ["healthcheck", "--server", f"{NAME}:{port}"]), 0)
    expect("an unknown host name", run(running, ["healthcheck", "--server", f"unknown.test:{port}"]), 1)
    service = running.processes[0]
    service.terminate()
    expect("the exit status after SIGTERM", service.wait(stack.STOP_TIMEOUT), 0)


def owner_of(process):
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {word for line in lines if line.startswith(("Uid:", "Gid:")) for word in line.split()[1:]}


def run(running, arguments):
    """Returns the exit status of the program with these arguments."""
    command = running.in_container(arguments)
    return subprocess.run(command, capture_output=True, timeout=stack.REQUEST_TIMEOUT, check=False).returncode


def expect(subject, actual, expected):
    if actual != expected:
        sys.exit(f"error: {subject}: {actual!r}, not {expected!r}; see {stack.LOGS}")


@contextlib.contextmanager
def name_server():
    """Answers queries for the name with 127.0.0.1, and all others with NXDOMAIN."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((NAME_SERVER, 53))
        threading.Thread(target=answer, args=[listener], daemon=True).start()
        yield


def answer(listener):
    # Closing the socket ends the loop.
    with contextlib.suppress(OSError):
        while True:
            query, client = listener.recvfrom(512)
            listener.sendto(response(query), client)


def response(query):
    """Returns a response of RFC 1035 to a query with one question."""
    end = query.index(b"\0", 12) + 5
    labels = b"".join(bytes([len(label)]) + label.encode() for label in NAME.split("."))
    known = query[12:end].lower().startswith(labels + b"\0")
    is_address = query[end - 4 : end - 2] == b"\0\1"
    records = b"\xc0\x0c\0\1\0\1" + struct.pack("!IH", 60, 4) + socket.inet_aton("127.0.0.1") if known and is_address else b""
    flags = 0x8180 if known else 0x8183
    return query[:2] + struct.pack("!5H", flags, 1, bool(records), 0, 0) + query[12:end] + records


if __name__ == "__main__":
    main()
