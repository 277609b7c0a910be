#!/usr/bin/env bash
# Fuzzes the readers of files from strangers (tests/fuzz; docs/reliability.md, "Fuzzing").
#
#   scripts/fuzz.sh [--seconds S] [TARGET...]   S (600) seconds for each, one after the other
#   scripts/fuzz.sh --ci                        all of them, about 20 seconds together
#   scripts/fuzz.sh --minimise [TARGET...]      what was found goes to tests/fuzz/corpus
#
# Inputs that reach something new lie in build-fuzz/corpus/TARGET, those that break a reader in
# build-fuzz/findings, logs in build-fuzz/log.
set -euo pipefail
cd "$(dirname "$0")/.."

# The longest input for each target.
declare -A max_bytes=(
    [checkpoint]=16384 [config]=4096 [entry]=2048 [film]=4096 [folder]=2048 [job]=2048
    [json]=2048 [latents]=1024 [model]=4096 [prompts]=1024 [receipt]=4096 [safetensors]=2048
    [sentencepiece]=8192 [shards]=2048 [status]=2048 [tokenizer]=8192)
# MB that one piece of memory may have. libavformat asks for as much as the head of a film says, and
# uses as much as there is.
declare -A max_piece=([film]=2100)
folder=build-fuzz mode=long seconds=600 targets=()

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
    --ci) mode=ci ;;
    --minimise) mode=minimise ;;
    --seconds) shift && seconds=${1:-} && [[ $seconds =~ ^[1-9][0-9]*$ ]] || usage ;;
    *) [ -n "${max_bytes[$1]:-}" ] || usage && targets+=("$1") ;;
    esac
    shift
done
if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <(printf '%s\n' "${!max_bytes[@]}" | sort)
fi
[ $mode != ci ] || seconds=$((20 * $(nproc) / ${#targets[@]} + 1))

command -v clang >/dev/null || {
    echo "fuzz: needs clang: scripts/install-deps.sh clang" >&2
    exit 1
}
cmake -S . -B $folder -G Ninja -DHR_FUZZ=ON -DCMAKE_C_COMPILER=clang \
    -DCMAKE_CXX_COMPILER=clang++ >$folder.log 2>&1 || {
    cat $folder.log >&2
    exit 1
}
ninja -C $folder >$folder.log 2>&1 || {
    grep -E 'error|FAILED' $folder.log >&2 || tail -n 20 $folder.log >&2
    exit 1
}
mv $folder.log $folder/build.log
mkdir -p $folder/findings $folder/log

# One target, for `seconds`. No input may take more than the limits here.
fuzz() {
    local target=$1 log=$folder/log/$1.log corpus=tests/fuzz/corpus/$1
    local grown=$folder/corpus/$1 status=0
    mkdir -p "$grown"
    "$folder/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=10 \
        -malloc_limit_mb="${max_piece[$target]:-256}" -rss_limit_mb=2048 \
        -max_len="${max_bytes[$target]}" \
        -use_value_profile=1 -print_final_stats=1 -artifact_prefix="$folder/findings/$target-" \
        "$grown" "$corpus" >"$log" 2>&1 || status=$?
    if [ $status -ne 0 ]; then
        grep -E '^(==|fuzz:|haloreel: error|SUMMARY|Test unit)|ERROR|runtime error' "$log" >&2 || true
        echo "fuzz: $target: an input that breaks the reader; see $log" >&2
        return 1
    fi
    printf 'fuzz: %-14s %9s inputs, %5s places in the code, %5s inputs kept\n' "$target" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "$(sed -n 's/.*DONE[[:space:]]*cov: *\([0-9]*\).*/\1/p' "$log")" \
        "$(sed -n 's/.*DONE .*corp: *\([0-9]*\).*/\1/p' "$log")"
}

# The fewest inputs that reach all that is reached; those that broke a reader once stay.
minimise() {
    local target=$1 corpus=tests/fuzz/corpus/$1 new
    new=$(mktemp -d)
    mkdir -p "$folder/corpus/$target"
    "$folder/tests/fuzz/fuzz_$target" -set_cover_merge=1 -use_counters=0 \
        -max_len="${max_bytes[$target]}" "$new" "$corpus" "$folder/corpus/$target" \
        >"$folder/log/$target-minimise.log" 2>&1
    find "$corpus" -type f ! -name 'found-*' -delete
    cp "$new"/* "$corpus"/
    rm -r "$new"
    echo "fuzz: $target: $(find "$corpus" -type f | wc -l) inputs," \
        "$(du -sb "$corpus" | cut -f 1) bytes"
}

case $mode in
ci) # as many at a time as there are processors
    export folder seconds
    status=0
    for target in "${targets[@]}"; do
        while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
            wait -n || status=1
        done
        fuzz "$target" &
    done
    while [ -n "$(jobs -p)" ]; do wait -n || { [ $? -eq 127 ] && break || status=1; }; done
    exit $status
    ;;
minimise)
    for target in "${targets[@]}"; do minimise "$target"; done
    ;;
*)
    status=0
    for target in "${targets[@]}"; do fuzz "$target" || status=1; done
    exit $status
    ;;
esac
