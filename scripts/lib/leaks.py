"""Searches the output of a test run for the secrets that the tests planted.

Usage: leaks.py DIRECTORY. The tests write to DIRECTORY (tests/it/support/leaks.rs): the file
`secrets` has one JSON string a line; the files below `output` have logs at every level, metrics,
refusals and errors. Exits with 1 if a secret is found, or if nothing was recorded. The report names
the place and the form of each secret, and never the secret.
"""

import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse


def main(directory: pathlib.Path) -> int:
    secrets = read_secrets(directory / "secrets")
    files = sorted(path for path in (directory / "output").rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    if not secrets or not size:
        say(f"leaks: {directory} has no secret or no output; run the tests with TEST_OUTPUT={directory}")
        return 1
    patterns = {}
    for number, secret in enumerate(secrets, 1):
        for form, text in forms(secret):
            patterns.setdefault(text, (number, form))
    found = [leak for path in files for leak in leaks(path, patterns)]
    for path, line, (number, form) in found[:MOST_SHOWN]:
        say(f"leak: {path.relative_to(directory)}:{line} has secret {number} of {directory / 'secrets'}, {form}")
    plural = "" if len(secrets) == 1 else "s"
    say(f"Searched {size / 1e6:.1f} MB of output for {len(secrets)} secret{plural}: {len(found)} leaks.")
    return 1 if found else 0


def read_secrets(path: pathlib.Path) -> list[str]:
    if not path.exists():
        return []
    return sorted({json.loads(line) for line in path.read_text().splitlines()})


def forms(secret: str):
    """Yields each way in which a log may show the secret."""
    raw = secret.encode()
    encoded = urllib.parse.quote(secret, safe="-._~")
    lower = urllib.parse.quote(secret, safe="-._~").replace("%", "\0")
    for digits in ("2F", "2B", "3D"):
        lower = lower.replace("\0" + digits, "%" + digits.lower())
    yield "as it is", secret
    yield "in JSON", json.dumps(secret)[1:-1]
    yield "percent-encoded", encoded
    yield "percent-encoded in lower case", lower.replace("\0", "%")
    yield "percent-encoded twice", urllib.parse.quote(encoded, safe="-._~")
    yield "in base64", base64.b64encode(raw).decode().rstrip("=")
    yield "in hexadecimal", raw.hex()
    yield "as a list of bytes", ", ".join(str(byte) for byte in raw)


def leaks(path: pathlib.Path, patterns):
    """Yields the place of each secret in a file. grep searches for all patterns in one pass."""
    with tempfile.NamedTemporaryFile("w", suffix=".patterns") as file:
        file.write("\n".join(patterns) + "\n")
        file.flush()
        grep = subprocess.run(
            ["grep", "--text", "--fixed-strings", "--only-matching", "--line-number", "--file", file.name, path],
            capture_output=True,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        )
    if grep.returncode > 1:
        sys.exit(f"leaks: grep failed on {path}: {grep.stderr.decode()}")
    for hit in grep.stdout.decode(errors="replace").splitlines():
        line, _, text = hit.partition(":")
        yield path, line, patterns[text]


def say(line: str) -> None:
    print(line, file=sys.stderr)


MOST_SHOWN = 50

if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
