"""Lists what is wrong with an image: its configuration, its size and the files in it.

    image_faults.py ARCHIVE    ends with 1 if there is a fault
"""

import io
import json
import sys
import tarfile

# Bytes of all files, uncompressed.
MAX_SIZE = 25_000_000
USER = "65532:65532"
LABELS = ("title", "description", "version", "revision", "created", "source", "licenses")
PORTS = {"50051/tcp", "50052/tcp", "8080/tcp", "9090/tcp"}
# The only files and directories that the user owns.
OWNED = {"data"}
NEEDED = {
    "etc/group",
    "etc/nsswitch.conf",
    "etc/passwd",
    "etc/ssl/certs/ca-certificates.crt",
    "usr/bin/countersign",
    "usr/share/doc/countersign/copyright",
}


def main():
    found = faults(sys.argv[1])
    for fault in found:
        print(f"error: the image: {fault}", file=sys.stderr)
    sys.exit(1 if found else 0)


def faults(archive):
    with tarfile.open(archive) as layout:
        index = json.load(layout.extractfile("./index.json"))
        manifest = json.loads(blob(layout, index["manifests"][0]))
        config = json.loads(blob(layout, manifest["config"]))["config"]
        layers = [blob(layout, layer) for layer in manifest["layers"]]
    files = [member for layer in layers for member in tarfile.open(fileobj=io.BytesIO(layer))]
    return [*faults_of_config(config), *faults_of_files(files)]


def blob(layout, descriptor):
    return layout.extractfile("./blobs/" + descriptor["digest"].replace(":", "/")).read()


def faults_of_config(config):
    if config.get("User") != USER:
        yield f"its user is {config.get('User')!r}, not {USER!r}"
    if config.get("Entrypoint") != ["/usr/bin/countersign"]:
        yield f"its entry point is {config.get('Entrypoint')}"
    if config.get("Cmd", [None])[0] != "serve":
        yield f"its command is {config.get('Cmd')}, not `serve`"
    if set(config.get("ExposedPorts", ())) != PORTS:
        yield f"its ports are {sorted(config.get('ExposedPorts', ()))}, not {sorted(PORTS)}"
    if "Healthcheck" in config:
        yield "it has a health check, and probes are the orchestrator's"
    for label in LABELS:
        if not config.get("Labels", {}).get(f"org.opencontainers.image.{label}"):
            yield f"its label {label} is missing"


def faults_of_files(files):
    size = sum(member.size for member in files)
    if size >= MAX_SIZE:
        yield f"its files have {size} bytes, not less than {MAX_SIZE}"
    for missing in NEEDED - {member.name for member in files}:
        yield f"it has no {missing}"
    for member in files:
        if member.uid and member.name not in OWNED:
            yield f"{member.name} belongs to the user {member.uid}"
        if member.mode & 0o7002 and not member.issym():
            yield f"{member.name} has the mode {member.mode:o}"


if __name__ == "__main__":
    main()
