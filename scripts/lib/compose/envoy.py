"""Makes deploy/compose/envoy.yaml from deploy/envoy/envoy.yaml.

    envoy.py            writes the file
    envoy.py --check    fails if the file differs
"""

import sys
from pathlib import Path

SOURCE = Path("deploy/envoy/envoy.yaml")
RESULT = Path("deploy/compose/envoy.yaml")
HEADER = """\
# Envoy in compose.yaml. Made by scripts/lib/compose/envoy.py from ../envoy/envoy.yaml, with the addresses of
# the containers; change that file instead.
"""
# Each text appears once.
ONCE = {
    "address: 127.0.0.1, port_value: 10000 ": "address: 0.0.0.0, port_value: 10000 ",
    "address: 127.0.0.1, port_value: 50051 ": "address: countersign, port_value: 50051 ",
    "address: 127.0.0.1, port_value: 8080 ": "address: countersign, port_value: 8080 ",
    "address: 127.0.0.1, port_value: 8000 ": "address: upstream, port_value: 8000 ",
    "# To serve other machines, listen on 0.0.0.0 and add": "# To serve other machines, publish the port to them and add",
}


def main():
    text = made()
    if sys.argv[1:] == ["--check"]:
        if RESULT.read_text() != text:
            sys.exit(f"error: {RESULT} differs from what {SOURCE} gives; run `python3 {sys.argv[0]}`")
    else:
        RESULT.write_text(text)


def made():
    text = SOURCE.read_text()
    for old, new in ONCE.items():
        if text.count(old) != 1:
            sys.exit(f"error: {SOURCE} has {old!r} {text.count(old)} times, not once")
        text = text.replace(old, new)
    # The names of containers.
    text = text.replace("    type: STATIC\n", "    type: STRICT_DNS\n")
    return HEADER + text[text.index("\nadmin:") :]


if __name__ == "__main__":
    main()
