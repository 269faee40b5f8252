"""A shell that runs one command after the other, as a person does who follows a page."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# Seconds.
COMMAND_TIMEOUT = 60
STOP_TIMEOUT = 15


class Shell:
    """A running bash, whose jobs end with it."""

    END = "--- end of the command:"

    def __init__(self, directory, environment):
        self.directory = Path(directory)
        self.process = subprocess.Popen(
            ["bash", "--norc", "-s"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A group of its own, which is the jobs' too.
            start_new_session=True,
        )

    def __enter__(self):
        # Also if this process is killed, which closes the shell's input.
        self.run("trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT")
        return self

    def __exit__(self, *_exception):
        self.process.stdin.close()
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()

    def run(self, command):
        """Returns the exit status and the output of a command."""
        # `timeout` cannot run a shell's builtin, so an alarm interrupts a command that hangs.
        signal.signal(signal.SIGALRM, lambda *_: fail(f"`{command}` takes longer than {COMMAND_TIMEOUT} s"))
        signal.alarm(COMMAND_TIMEOUT)
        self.process.stdin.write(f"{command}\nprintf '\\n%s %s\\n' '{self.END}' $?\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith(self.END):
                signal.alarm(0)
                return int(line.split()[-1]), "".join(lines)
            lines.append(line)
        return fail(f"the shell ended at `{command}`")

    def wait_for_end_of_jobs(self):
        deadline = time.monotonic() + STOP_TIMEOUT
        while self.run("jobs -r")[1].strip():
            if time.monotonic() > deadline:
                fail("the programs did not stop; the exit of the shell ends them")
            time.sleep(0.05)

    def logs(self):
        """Returns the end of each log."""
        logs = sorted(self.directory.glob("target/run/*.log"))
        return "".join(f"--- {log.name}:\n" + "\n".join(log.read_text().splitlines()[-10:]) + "\n" for log in logs)


def fail(problem):
    sys.exit(f"error: {problem}")
