#!/usr/bin/env bash
# Installs what a fresh Debian 12 lacks for building and testing Selvage. Asks dpkg first, so that it
# costs nothing when everything is there. Needs root or sudo only when something is missing.
set -euo pipefail

usage() {
    echo "usage: ./dev setup [--list]"
    echo
    echo "Installs the Debian packages that building and testing need; does nothing when all are there."
    echo "  --list   print the packages, one a line, and stop"
}

packages=(
    # compiler, linker, build
    clang-19 clang-tidy-19 clang-format-19 lld-19 llvm-19 libclang-rt-19-dev libstdc++-12-dev
    mold ccache ninja-build cmake make pkg-config git
    # libraries
    libboost1.81-dev libssl-dev libprotobuf-dev protobuf-compiler libtomlplusplus-dev libcli11-dev
    libspdlog-dev libfmt-dev libtelnet-dev libzstd-dev libcrypt-dev nlohmann-json3-dev
    libgtest-dev libgmock-dev libbenchmark-dev
    # tests in network namespaces
    python3 python3-venv iproute2 nftables iperf3 curl inetutils-telnet iputils-ping procps ethtool
    openssl util-linux ca-certificates
)

# Vectorised AES-GCM; only x86 has it.
[ "$(uname -m)" != x86_64 ] || packages+=(libipsec-mb-dev)

case "${1:-}" in
"") ;;
--list)
    printf '%s\n' "${packages[@]}"
    exit 0
    ;;
-h | --help)
    usage
    exit 0
    ;;
*)
    usage >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "setup: this is not a Debian system; install the equivalents of these packages:" >&2
    printf '  %s\n' "${packages[@]}" >&2
    exit 1
fi

installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null |
    sed -n 's/^installed //p' || true)
missing=()
for package in "${packages[@]}"; do
    grep -qxF -- "$package" <<<"$installed" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    echo "setup: everything is installed"
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: these packages are missing and installing them needs root (there is no sudo here):" >&2
        echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "setup: installing ${#missing[@]} packages: ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0)
"${apt[@]}" update </dev/null || {
    echo "setup: apt-get update failed; check the network and /etc/apt/sources.list, then run ./dev setup again" >&2
    exit 1
}
"${apt[@]}" install --no-install-recommends "${missing[@]}" </dev/null || {
    echo "setup: apt-get could not install the packages above; Selvage needs Debian 12 (bookworm) or newer" >&2
    exit 1
}
echo "setup: done"
