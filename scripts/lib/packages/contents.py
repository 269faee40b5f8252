"""Checks that the deb and the rpm have the same files, modes and scripts, and name what the program needs: contents.py DIRECTORY."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import elf

# The package of Debian and of rpm-based distributions that has each library.
PACKAGES = {
    "libc.so.6": ("libc6", "glibc"),
    "libm.so.6": ("libc6", "glibc"),
    "ld-linux-x86-64.so.2": ("libc6", "glibc"),
    "ld-linux-aarch64.so.1": ("libc6", "glibc"),
    "libgcc_s.so.1": ("libgcc-s1", "libgcc"),
}
EXPECTED = {
    "/usr/bin/countersign": "-rwxr-xr-x",
    "/usr/lib/systemd/system/countersign.service": "-rw-r--r--",
    "/usr/lib/sysusers.d/countersign.conf": "-rw-r--r--",
    "/usr/share/man/man1/countersign.1.gz": "-rw-r--r--",
    "/usr/share/bash-completion/completions/countersign": "-rw-r--r--",
    "/etc/countersign/countersign.toml": "-rw-r--r--",
}


def main(directory):
    deb = one(directory, "countersign_*.deb")
    rpm = one(directory, "countersign-*.rpm")
    check_configuration_directory(deb)
    files = {path: mode for path, mode in deb_files(deb).items() if mode[0] != "d"}
    in_rpm = {path: mode for path, mode in rpm_files(rpm).items() if mode[0] != "d"}
    expect(files == in_rpm, f"the packages differ in {sorted(set(files.items()) ^ set(in_rpm.items()))}")
    for path, mode in EXPECTED.items():
        expect(files.get(path) == mode, f"{path} has the mode {files.get(path)}, not {mode}")
    scripts = output("rpm", "--query", "--package", "--scripts", rpm)
    for script in "after-install", "before-remove", "after-remove":
        lines = Path(f"deploy/packages/{script}.sh").read_text().splitlines()
        expect(lines[-1] in scripts, f"the rpm lacks {script}.sh")
    check_dependencies(deb, rpm)


def check_configuration_directory(deb):
    unit = Path("deploy/systemd/countersign.service").read_text()
    wanted = int(re.search(r"(?m)^ConfigurationDirectoryMode=(\d+)$", unit)[1], 8)
    mode = deb_files(deb)["/etc/countersign"]
    expect(mode == stat.filemode(stat.S_IFDIR | wanted), f"/etc/countersign has the mode {mode}, but the unit says {wanted:04o}")


def check_dependencies(deb, rpm):
    program = "target/packages/staged/usr/bin/countersign"
    of_deb = output("dpkg-deb", "--field", deb, "Depends")
    of_rpm = output("rpm", "--query", "--package", "--requires", rpm)
    for library in elf.libraries(program):
        expect(library in PACKAGES, f"no package is known for {library}")
        for package, named in zip(PACKAGES[library], (of_deb, of_rpm)):
            expect(re.search(rf"(?m)(^|\s){re.escape(package)}\b", named), f"no dependency on {package} for {library}")
    for named in of_deb, of_rpm:
        expect(f">= {elf.glibc(program)}" in named, f"glibc {elf.glibc(program)} is not in {named}")


def deb_files(deb):
    """From each path to its mode, such as -rw-r--r--."""
    rows = (line.split(maxsplit=5) for line in output("dpkg-deb", "--contents", deb).splitlines())
    return {row[5].removeprefix(".").rstrip("/"): row[0] for row in rows}


def rpm_files(rpm):
    rows = output("rpm", "--query", "--package", "--queryformat", "[%{FILEMODES:perms} %{FILENAMES}\\n]", rpm)
    return {path: mode for mode, path in (line.split(maxsplit=1) for line in rows.splitlines())}


def one(directory, pattern):
    found = list(Path(directory).glob(pattern))
    expect(len(found) == 1, f"{directory} has {len(found)} files {pattern}")
    return found[0]


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def expect(condition, problem):
    if not condition:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main(sys.argv[1])
