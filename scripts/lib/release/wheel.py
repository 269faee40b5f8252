"""Makes a Python wheel that carries the program, so that `pip install` puts `countersign` on the PATH.

    wheel.py PROGRAM VERSION DIRECTORY SBOM LICENSE…    prints the path of the wheel

The same program and SOURCE_DATE_EPOCH give the same wheel, byte for byte. The platform tag (PEP 600) names the newest
glibc whose symbols the program uses: pip refuses the wheel on a system with an older one.
"""

import base64
import hashlib
import os
import sys
import time
import zipfile
from pathlib import Path

sys.path.append("scripts/lib/packages")
import elf

SUMMARY = "OAuth 1.0a (RFC 5849) verification for Envoy and Istio: a gRPC ext_authz service"
# The libraries that every manylinux system has (PEP 513), as far as the program may use them.
LIBRARIES = {"ld-linux-x86-64.so.2", "libc.so.6", "libgcc_s.so.1", "libm.so.6"}
# The first time that a ZIP file can hold.
EARLIEST = 315532800


def main():
    program, version, directory, *others = sys.argv[1:]
    bill, *licenses = map(Path, others)
    print(make(Path(program), version, Path(directory), bill, licenses))


def make(program, version, directory, bill, licenses):
    """Writes the wheel and returns its path."""
    tag = f"py3-none-{platform(program)}"
    info = f"countersign-{version}.dist-info"
    files = {f"countersign-{version}.data/scripts/countersign": program.read_bytes()}
    files |= {f"{info}/licenses/{license.name}": license.read_bytes() for license in licenses}
    # Scanners look there (PEP 770).
    files[f"{info}/sboms/{bill.name}"] = bill.read_bytes()
    files[f"{info}/METADATA"] = metadata(version, licenses).encode()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: countersign\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    files[f"{info}/RECORD"] = record(files, f"{info}/RECORD").encode()
    path = directory / f"countersign-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            wheel.writestr(entry(name), content)
    return path


def platform(program):
    """The platform tag of an x86-64 program. Fails if a manylinux system may lack a library of it."""
    others = elf.libraries(program) - LIBRARIES
    if others:
        sys.exit(f"error: {program} needs {', '.join(sorted(others))}, which not every Linux system has")
    return f"manylinux_{elf.glibc(program).replace('.', '_')}_x86_64"


def metadata(version, licenses):
    """The core metadata, in the first version that has license expressions (PEP 639)."""
    lines = [
        "Metadata-Version: 2.4",
        "Name: countersign",
        f"Version: {version}",
        f"Summary: {SUMMARY}",
        "License-Expression: Apache-2.0",
        *(f"License-File: {license.name}" for license in licenses),
        "Requires-Python: >=3.8",
        "Description-Content-Type: text/markdown",
    ]
    text = "This package installs the program `countersign`, and no Python module. Run `countersign --help`."
    return "\n".join(lines) + f"\n\n{text}\n"


def record(files, own):
    rows = [f"{name},sha256={digest(content)},{len(content)}" for name, content in files.items()]
    return "\n".join([*rows, f"{own},,"]) + "\n"


def digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def entry(name):
    moment = max(int(os.environ["SOURCE_DATE_EPOCH"]), EARLIEST)
    item = zipfile.ZipInfo(name, time.gmtime(moment)[:6])
    item.compress_type = zipfile.ZIP_DEFLATED
    # pip takes the permissions from the upper 16 bits.
    item.external_attr = (0o100755 if "/scripts/" in name else 0o100644) << 16
    # The ID of Unix, whatever the system of the build is.
    item.create_system = 3
    return item


if __name__ == "__main__":
    main()
