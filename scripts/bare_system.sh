#!/usr/bin/env bash
# Tries the two commands of the README in bare systems: bare_system.sh [SUITE...]
#
# A fresh clone, in a fresh Debian of each suite (bookworm and trixie when none is named): demo.sh
# twice, test.sh twice. The systems are made by debootstrap, below .bare/, from the mirror that this
# machine's apt uses. Needs root; gigabytes on disk; half an hour.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
    echo "bare_system: needs root, for chroot" >&2
    exit 1
fi
scripts/install-deps.sh debootstrap git
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' | head -n 1)
if [ -z "$mirror" ]; then
    echo "bare_system: apt has no Debian mirror" >&2
    exit 1
fi

mounted=()
unmount_all() {
    local k
    for ((k = ${#mounted[@]} - 1; k >= 0; k--)); do umount "${mounted[k]}"; done
    mounted=()
}
trap unmount_all EXIT

mount_into() { # system, path, mount options
    mkdir -p "$1$2"
    mount "${@:3}" "$1$2"
    mounted+=("$1$2")
}

try() { # suite
    local suite=$1 system=$PWD/.bare/$1 log=$PWD/.bare/$1.log
    local inside=(env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8)
    rm -rf --one-file-system "$system"
    mkdir -p "$system"
    debootstrap --variant=minbase "$suite" "$system" "$mirror" >"$log" 2>&1 || { tail "$log"; return 1; }
    cp --dereference /etc/resolv.conf /etc/hosts "$system/etc/"
    git clone --quiet --no-hardlinks . "$system/srv/haloreel"
    mount_into "$system" /proc -t proc proc
    mount_into "$system" /sys -t sysfs -o ro sysfs
    mount_into "$system" /dev --bind /dev
    mount_into "$system" /dev/shm -t tmpfs tmpfs
    local command
    for command in scripts/demo.sh scripts/demo.sh scripts/test.sh scripts/test.sh; do
        echo "== $suite: $command"
        SECONDS=0
        chroot "$system" "${inside[@]}" "/srv/haloreel/$command" </dev/null || return 1
        echo "== $suite: $command: $SECONDS s"
    done
    unmount_all
}

suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie)
for suite in "${suites[@]}"; do
    if ! [ -f "/usr/share/debootstrap/scripts/$suite" ]; then
        echo "bare_system: debootstrap does not know $suite" >&2
        exit 1
    fi
    try "$suite"
done
echo "bare_system: all right in ${suites[*]}"
