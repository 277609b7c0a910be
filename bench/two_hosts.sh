#!/usr/bin/env bash
# Runs an MPI program on two "hosts" of this machine: two_hosts.sh PROGRAM [ARGUMENT...]
#
# Two network namespaces with host names of their own, joined at MBIT (1000) megabit per second with a
# round trip of MS (1) milliseconds: a veth pair with tc's netem where the kernel has it, else a wire in
# user space (delay_wire.py). Ranks of different hosts can only talk over it. RANKS_PER_HOST (1) ranks
# on each. Needs root, iproute2, Open MPI.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
mbit=${MBIT:-1000} ms=${MS:-1} per_host=${RANKS_PER_HOST:-1}
a=hr-a-$$ b=hr-b-$$ address_a=10.77.0.1 address_b=10.77.0.2
folder=$(mktemp -d)
wire=
clean_up() {
    [ -z "$wire" ] || kill "$wire" 2>/dev/null || true
    ip netns del "$a" 2>/dev/null || true
    ip netns del "$b" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean_up EXIT

one_way=$(awk "BEGIN { print $ms / 2 }")
ip netns add "$a"
ip netns add "$b"
ip link add hrveth0 netns "$a" type veth peer name hrveth1 netns "$b"
if ip netns exec "$a" tc qdisc add dev hrveth0 root netem delay "${one_way}ms" rate "${mbit}mbit" 2>/dev/null; then
    ip netns exec "$b" tc qdisc add dev hrveth1 root netem delay "${one_way}ms" rate "${mbit}mbit"
    device_a=hrveth0 device_b=hrveth1 by=netem
else
    ip -n "$a" link del hrveth0
    python3 "$here/delay_wire.py" hrtun0 hrtun1 "$mbit" "$one_way" >"$folder/wire" &
    wire=$!
    for ((k = 0; k < 100; k++)); do
        if grep -qs ready "$folder/wire"; then break; fi
        sleep 0.05
    done
    ip link set hrtun0 netns "$a"
    ip link set hrtun1 netns "$b"
    device_a=hrtun0 device_b=hrtun1 by="a wire in user space (this kernel has no netem)"
fi
up() { # namespace, device, address
    ip -n "$1" addr add "$3/24" dev "$2"
    ip -n "$1" link set "$2" mtu 9000 up
    ip -n "$1" link set lo up
}
up "$a" "$device_a" "$address_a"
up "$b" "$device_b" "$address_b"
echo "two hosts, $mbit Mbit/s, round trip $ms ms, by $by" >&2

cat >"$folder/agent" <<AGENT
#!/bin/sh
# What Open MPI calls in place of ssh: HOST COMMAND...
case \$1 in $address_a) host=$a ;; *) host=$b ;; esac
shift
exec ip netns exec \$host unshare --uts sh -c "hostname \$host; \$*"
AGENT
chmod +x "$folder/agent"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# A rank must not take the two hosts for one: names differ, and only TCP goes between them.
ip netns exec "$a" unshare --uts sh -c 'hostname "$0"; exec "$@"' "$a" \
    mpirun -n $((2 * per_host)) -H "$address_a:$per_host,$address_b:$per_host" --bind-to none \
    --mca plm_rsh_agent "$folder/agent" --mca btl tcp,vader,self \
    --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 "$@"
