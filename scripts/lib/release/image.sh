# shellcheck shell=bash
# Functions that build the image without a container engine. Scripts source this file after build.sh.
#
#   need_image_tools               inside of a function for `provide`
#   build_image PROGRAM ARCHIVE    makes an OCI archive from Dockerfile and a program that is built
#
# The same program and commit give the same image, byte for byte.
#
#   COUNTERSIGN_SOURCE    the URL of the repository, for a label (default: the remote "origin", if it is a URL)

need_image_tools() {
    need buildah buildah
    need dpkg-query dpkg
}

# build_image PROGRAM ARCHIVE [DOCKERFILE]
build_image() {
    local program=$1 archive=$2 dockerfile=${3:-Dockerfile} work
    export_source_date
    mkdir -p target/image
    work=$(mktemp -d target/image/build.XXXXXX)
    # The first stage of Dockerfile builds the program; a directory with its result replaces the stage.
    scripts/lib/release/image_root "$work/stage/out" "$program"
    buildah_in "$work" build --quiet --isolation chroot --timestamp "$SOURCE_DATE_EPOCH" --identity-label=false \
        --build-context "build=$work/stage" --build-arg "VERSION=$(package_version)" \
        --build-arg "COUNTERSIGN_COMMIT=$(commit_id)" --build-arg "SOURCE=$(source_url)" \
        --build-arg "CREATED=$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" \
        --tag "countersign:$(package_version)" --file "$dockerfile" . >"$work/log" 2>&1 ||
        fail "cannot build the image: $(tail -n 5 "$work/log")"
    buildah_in "$work" push --quiet "countersign:$(package_version)" "oci:$work/layout:$(package_version)" >>"$work/log" 2>&1 ||
        fail "cannot write the image: $(tail -n 5 "$work/log")"
    tar --create --file "$archive" --directory "$work/layout" --sort=name "--mtime=@$SOURCE_DATE_EPOCH" \
        --owner=0 --group=0 --numeric-owner --mode=a+rX,u+w,go-w .
    rm -rf "$work"
}

# buildah_in DIRECTORY ARGUMENT…: runs buildah with a storage of its own.
buildah_in() {
    local directory=$PWD/$1
    shift
    buildah --root "$directory/storage" --runroot "$directory/run" --storage-driver vfs "$@"
}

package_version() {
    sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q}' Cargo.toml
}

commit_id() {
    if [[ -n ${COUNTERSIGN_COMMIT:-} ]]; then
        printf '%s\n' "$COUNTERSIGN_COMMIT"
    elif [[ -e .git ]]; then
        git rev-parse --short=12 HEAD
    else
        # `git archive` writes the commit there.
        sed -n 's/^commit \([0-9a-f]\{12\}\).*/\1/p' .archive
    fi
}

source_url() {
    local url=${COUNTERSIGN_SOURCE:-}
    [[ -n $url ]] || url=$(git remote get-url origin 2>/dev/null || true)
    case $url in
        https://*@*) printf 'https://%s\n' "${url#https://*@}" ;;
        https://*) printf '%s\n' "$url" ;;
    esac
}
