"""Builds the deb and the rpm: build.py PROGRAM DIRECTORY."""

import gzip
import os
import shutil
import string
import subprocess
import sys
import time
from pathlib import Path

import elf

sys.path.append("scripts/lib/release")
import notices

NFPM = "target/tools/packages/bin/nfpm"
CONFIG = Path("deploy/packages/nfpm.yaml")
STAGED = Path("target/packages/staged")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
COMPLETIONS = {
    "bash": "share/bash-completion/completions/countersign",
    "zsh": "share/zsh/vendor-completions/_countersign",
    "fish": "share/fish/vendor_completions.d/countersign.fish",
}
MAINTAINER = "Countersign maintainers <countersign@packages.invalid>"


def main(program, directory):
    os.umask(0o022)
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    stage(program, epoch)
    values = {
        "ARCH": ARCHITECTURES[os.uname().machine],
        "VERSION": package_version(),
        "MAINTAINER": os.environ.get("COUNTERSIGN_MAINTAINER", MAINTAINER),
        "STAGED": STAGED,
        "DATE": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
        "GLIBC": elf.glibc(program),
    }
    config = STAGED.with_name("nfpm.yaml")
    config.write_text(string.Template(CONFIG.read_text()).substitute(values))
    for packager in "deb", "rpm":
        subprocess.run([NFPM, "package", "--config", config, "--packager", packager, "--target", directory], check=True)


def stage(program, epoch):
    """Writes every file below /usr with its mode."""
    shutil.rmtree(STAGED, ignore_errors=True)
    usr = STAGED / "usr"
    put(usr / "bin/countersign", Path(program).read_bytes(), 0o755)
    put(usr / "lib/systemd/system/countersign.service", Path("deploy/systemd/countersign.service").read_bytes())
    put(usr / "lib/sysusers.d/countersign.conf", Path("deploy/systemd/sysusers.conf").read_bytes())
    pages = STAGED / "man"
    subprocess.run([program, "man", pages], check=True, stdout=subprocess.DEVNULL)
    for page in pages.iterdir():
        put(usr / f"share/man/man1/{page.name}.gz", compressed(page.read_bytes()))
    for shell, path in COMPLETIONS.items():
        put(usr / path, subprocess.run([program, "completion", shell], check=True, stdout=subprocess.PIPE).stdout)
    document(usr / "share/doc/countersign", epoch)
    # nfpm takes the times of these files from the file system.
    for path in STAGED.rglob("*"):
        os.utime(path, (epoch, epoch))


def document(directory, epoch):
    put(directory / "copyright", Path("deploy/packages/copyright").read_bytes())
    put(directory / "NOTICES.gz", compressed(notices.document(notices.compiled_in()).encode()))
    put(directory / "README.md", Path("README.md").read_bytes())
    put(directory / "examples/countersign.toml", Path("config.default.toml").read_bytes())
    for file in "envoy.yaml", "countersign.toml":
        put(directory / f"examples/envoy/{file}", (Path("deploy/envoy") / file).read_bytes())
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(epoch))
    log = f"countersign ({package_version()}) stable; urgency=medium\n\n  * See CHANGELOG.md in the source.\n\n -- {MAINTAINER}  {date}\n"
    put(directory / "changelog.gz", compressed(log.encode()))


def put(path, content, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def compressed(content):
    return gzip.compress(content, 9, mtime=0)


def package_version():
    lines = Path("Cargo.toml").read_text().splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("version = "))


if __name__ == "__main__":
    main(*sys.argv[1:])
