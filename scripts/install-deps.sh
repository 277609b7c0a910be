#!/usr/bin/env bash
# Installs what haloreel is built with, on Debian and Ubuntu; does nothing when it is all there.
# Further packages can be named: install-deps.sh python3-venv
set -euo pipefail

packages=(
    build-essential cmake ninja-build pkg-config
    libyaml-dev libcjson-dev libxxhash-dev libdnnl-dev libutf8proc-dev
    libsentencepiece-dev libprotobuf-dev # its .pc file asks for protobuf-lite in Debian 13
    libavcodec-dev libavformat-dev libavutil-dev libswscale-dev
    libopenmpi-dev openmpi-bin libhdf5-openmpi-dev hdf5-tools
    libcmocka-dev python3 "$@")

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    cat >&2 <<'LIST'
install-deps: only Debian and Ubuntu are known here. Please install by hand, with headers:
  a C17 and a C++17 compiler with OpenMP, CMake 3.22 or newer, Ninja, pkg-config, Python 3.9 or newer
  Open MPI 4 with mpirun (or another MPI 3), HDF5 1.10 or newer built with it
  libyaml, cJSON, xxHash, oneDNN 2.6 or 3.x, utf8proc, SentencePiece (its pkg-config file may need protobuf's)
  FFmpeg's libavcodec (with libx264), libavformat, libavutil, libswscale
  CMocka 1.1 (for the tests)
LIST
    exit 1
fi

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | head -n 1 || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-deps: neither root nor sudo; ask for: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "install-deps: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "$@" >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        echo "install-deps: apt-get $1 failed" >&2
        exit 1
    fi
}
apt update
apt install --yes --no-install-recommends "${missing[@]}"
