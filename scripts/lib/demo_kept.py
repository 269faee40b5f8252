"""Checks `scripts/demo --keep`: every command that it prints works, and Ctrl-C ends it and removes its data."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

from shell import Shell, fail

# The commands, in order, each with its exit status and words of its output.
EXPECTED = [
    ("cd ", 0, ()),
    *[("export ", 0, ())] * 5,
    ("countersign sign GET 'http://", 0, ("HTTP/1.1 200", "Printer", "alice")),
    ("countersign sign GET 'https://", 0, ()),
    ("sh ", 0, ("HTTP/1.1 401", "signature_invalid")),
    ("countersign denials", 0, ("signature_mismatch", "scheme")),
    ("countersign denials ", 0, ("remedy", "scheme")),
    ("countersign explain ", 1, ("refused", "scheme")),
]
ANSWER_TIMEOUT = 10


def main():
    # A job in the background ignores SIGINT, and so would the demo.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    demo = subprocess.Popen(
        [sys.executable, "scripts/lib/demo.py", "--keep"], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        hints = read_hints(demo)
        follow(hints)
        demo.send_signal(signal.SIGINT)
        if demo.wait(30) != 0:
            fail(f"scripts/demo --keep ended with exit status {demo.returncode}")
    finally:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGTERM)
            demo.wait(30)
    data = re.search(r"^  data +(\S+)", hints, re.MULTILINE).group(1)
    if Path(data).exists():
        fail(f"scripts/demo --keep left {data} behind")
    print("The commands that scripts/demo --keep prints work.")


def read_hints(demo):
    """Returns what the demo prints until it waits."""
    lines = []
    for line in demo.stdout:
        lines.append(line)
        if line.startswith("  countersign explain "):
            return "".join(lines)
    return fail("scripts/demo --keep ended without a hint about `countersign explain`:\n" + "".join(lines))


def follow(hints):
    commands = re.findall(r"^  ((?:cd|export|countersign|sh) .*)$", hints, re.MULTILINE)
    if len(commands) != len(EXPECTED):
        fail(f"scripts/demo --keep prints {len(commands)} commands, not {len(EXPECTED)}: {commands}")
    console = re.search(r"^  console +(\S+) .* content of (\S+)$", hints, re.MULTILINE)
    with urlopen(console.group(1), timeout=10) as response:
        if response.status != 200 or not Path(console.group(2)).read_text():
            fail("the console or its token is not where the hint says")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")}
    printed = ""
    with Shell("/", environment) as shell:
        for command, (begins, status, words) in zip(commands, EXPECTED):
            if not command.startswith(begins):
                fail(f"scripts/demo --keep prints `{command}` instead of `{begins}`")
            if "DECISION_ID" in command:
                command = command.replace("DECISION_ID", re.findall(r'"decision_id":"(\w+)"', printed)[-1])
            printed += answered(shell, command, status, words)


def answered(shell, command, status, words):
    """Returns the output of a command. The cause of a denial is known a moment after it."""
    deadline = time.monotonic() + ANSWER_TIMEOUT
    while True:
        got, output = shell.run(command)
        if got == status and all(word in output for word in words):
            return output
        if not command.startswith("countersign denials") or time.monotonic() > deadline:
            fail(f"`{command}` printed the following with exit status {got}, not {words} with {status}:\n{output}")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
