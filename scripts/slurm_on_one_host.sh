#!/usr/bin/env bash
# A real Slurm cluster of two nodes, n0 and n1, on this host, for tests and trials.
#
#   slurm_on_one_host.sh install          installs Slurm and munge (Debian, Ubuntu), as root or by sudo
#   slurm_on_one_host.sh start FOLDER     makes FOLDER and starts all daemons; needs root
#   slurm_on_one_host.sh stop FOLDER      ends them, each by its own pid file
#
# After start: export SLURM_CONF=FOLDER/slurm.conf, then sbatch, squeue and the others talk to it.
# Everything lies in FOLDER (short: sockets have at most 107 characters) and listens on 127.0.0.1:
# keys, state, logs. CPUS=n gives each node n cores (2), PORT=n takes other ports than 17001 to 17003.
# Both nodes have the name of this host, so Open MPI has to send by OMPI_MCA_btl=self,tcp there: the
# files of shared memory of one node would be those of the other.
set -euo pipefail

die() {
    echo "slurm_on_one_host: $*" >&2
    exit 1
}

alive() { # pid file: is the process there? It removes the file when it ends.
    local pid
    pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}

wait_for() { # seconds, what to say if not, command...
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ $SECONDS -lt $until ] || die "$what; see $folder/log"
        sleep 0.1
    done
}

write_config() {
    local host
    host=$(hostname -s)
    cat >"$folder/slurm.conf" <<CONF
ClusterName=onehost
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=pmix
ReturnToService=0
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/log/slurmctld
SlurmdParameters=config_overrides
SlurmdSpoolDir=$folder/spool-%n
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmdLogFile=$folder/log/slurmd-%n
TmpFS=$folder/tmp-%n
KillWait=5
MinJobAge=3600
SchedulerParameters=sched_interval=2,batch_sched_delay=0,sched_min_interval=0,bf_interval=1
NodeName=n0 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=$cpus State=UNKNOWN
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=$cpus State=UNKNOWN
PartitionName=render Nodes=n0,n1 Default=YES MaxTime=INFINITE State=UP
CONF
    echo "# no control groups" >"$folder/cgroup.conf"
}

start_munge() {
    mkdir -p "$folder/munge"
    chmod 755 "$folder" "$folder/munge"
    if ! [ -f "$folder/munge/key" ]; then
        (umask 077 && head -c 128 /dev/urandom >"$folder/munge/key")
    fi
    munged --force --key-file "$folder/munge/key" --socket "$folder/munge/socket" \
        --pid-file "$folder/munged.pid" --seed-file "$folder/munge/seed" \
        --log-file "$folder/log/munged" --num-threads 2
}

nodes_are_idle() {
    [ "$(sinfo -h -N -o %T 2>/dev/null | sort -u)" = idle ]
}

start() {
    local program node
    [ "$(id -u)" -eq 0 ] || die "needs root"
    for program in munged slurmctld slurmd sbatch srun scontrol; do
        command -v $program >/dev/null || die "there is no $program; $0 install installs it"
    done
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd)
    case $folder in *[!A-Za-z0-9/._-]*) die "$folder: only letters, digits and / . _ - please" ;; esac
    [ ${#folder} -le 80 ] || die "$folder: too long a path for sockets"
    if alive "$folder/slurmctld.pid"; then die "$folder: is running already"; fi
    mkdir -p "$folder"/{log,state,spool-n0,spool-n1,tmp-n0,tmp-n1}
    write_config
    export SLURM_CONF=$folder/slurm.conf
    trap '[ $? -eq 0 ] || stop' EXIT
    start_munge
    slurmctld
    for node in n0 n1; do slurmd -N $node -c; done
    wait_for 30 "the nodes do not get idle" nodes_are_idle
    echo "$folder/slurm.conf"
}

gone() { ! alive "$1"; }

end() { # pid file
    local pid
    alive "$1" || return 0
    pid=$(cat "$1") && kill "$pid"
    wait_for 20 "process $pid of $1 does not end" gone "$1"
}

no_jobs() { [ -z "$(squeue -h -o %i)" ]; }

# Jobs first: what they started would outlive the daemons.
stop() {
    local daemon jobs
    folder=$(cd "$folder" && pwd) || exit 1
    export SLURM_CONF=$folder/slurm.conf
    if alive "$folder/slurmctld.pid" && jobs=$(squeue -h -o %A) && [ -n "$jobs" ]; then
        scancel $jobs
        wait_for 30 "jobs do not end" no_jobs
    fi
    for daemon in slurmd-n0 slurmd-n1 slurmctld munged; do end "$folder/$daemon.pid"; done
}

cpus=${CPUS:-2} port=${PORT:-17001}
case ${1:-} in
    install) exec "$(dirname "$0")/install-deps.sh" slurm-wlm munge openmpi-bin ;;
    start | stop)
        [ -n "${2:-}" ] || die "$1 which folder?"
        folder=$2
        "$1"
        ;;
    *) die "install, start FOLDER or stop FOLDER; see the head of $0" ;;
esac
