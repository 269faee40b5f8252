# shellcheck shell=bash
# Functions about the commit that is released. Scripts source this file after image.sh.
#
#   check_source      fails unless this commit may become a release
#   check_program     fails unless a program was built from it

# A release is what everybody can check out: a tag of the version, without changes that only exist here.
check_source() {
    local version tag
    version=$(package_version)
    tag=v$version
    git rev-parse --git-dir >/dev/null 2>&1 || fail "a release is made in a clone of the repository; use --dry-run elsewhere"
    [[ -z $(git status --porcelain) ]] ||
        fail "the working tree has changes; commit them or remove them, or use --dry-run: $(git status --short | head -n 5)"
    git tag --points-at HEAD | grep --quiet --line-regexp --fixed-strings "$tag" ||
        fail "this commit has not the tag $tag, the version in Cargo.toml, but: $(tags_here); check out $tag, or use --dry-run"
    check_chart "$version"
    python3 scripts/lib/release/changelog.py "$version" >/dev/null
}

check_chart() {
    local key
    for key in version appVersion; do
        grep --quiet --line-regexp --fixed-strings "$key: $1" deploy/helm/countersign/Chart.yaml ||
            fail "$key in deploy/helm/countersign/Chart.yaml is not $1, the version in Cargo.toml"
    done
}

tags_here() {
    git tag --points-at HEAD | paste --serial --delimiters=' ' | grep . || echo "no tag"
}

# check_program PROGRAM: fails unless the program says that it was built from this commit.
check_program() {
    local is expected
    is=$("$1" --version)
    expected="countersign $(package_version) (commit $(commit_id), built $(date --utc --date="@$SOURCE_DATE_EPOCH" +%F))"
    [[ $is == "$expected" ]] || fail "$1 is '$is', not '$expected'; build it from this commit, or use --dry-run"
}
