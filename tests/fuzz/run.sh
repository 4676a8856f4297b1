#!/usr/bin/env bash
# Runs fuzz targets, two at a time: run.sh FOLDER TARGET...   DURATION: seconds for each (30)
# What a target learns stays in build/fuzz/corpus; what breaks it goes to build/fuzz/findings, with a line that says
# how to see it again.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$1
shift
duration=${DURATION:-30}
work=build/fuzz
findings=$work/findings
mkdir -p "$findings" "$work/corpus" "$work/log"

export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

options_of() {
    printf '%s\n' -max_total_time="$duration" -max_len=16384 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$findings/$1-"
    if [ -f "tests/fuzz/$1.dict" ]; then
        echo -dict="tests/fuzz/$1.dict"
    fi
}

# Prints one line; what was found is told at length.
fuzz() {
    local name=$1 log=$work/log/$1.log status=0 options found
    mapfile -t options < <(options_of "$name")
    mkdir -p "$work/corpus/$name"
    "$folder/$name" "${options[@]}" "$work/corpus/$name" "tests/fuzz/corpus/$name" >"$log" 2>&1 || status=$?
    if [ "$status" -eq 0 ]; then
        printf 'ok   %-20s %s executions, %s\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
            "$(grep -oE 'cov: [0-9]+ ft: [0-9]+' "$log" | tail -n 1)"
        return
    fi
    found=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    tail -n 60 "$log"
    printf 'FAIL %-20s status %d\n' "$name" "$status"
    printf 'again: %s %s\n' "$folder/$name" "${found:-(nothing was written; all it said is in $log)}"
    return 1
}

# What the running ones say, every ten seconds, until it is killed.
progress() {
    local log
    while sleep 10 >/dev/null 2>&1; do
        for log in "$work"/log/*.log; do
            [ -e "$work/log/$(basename "$log" .log).running" ] || continue
            printf '     %-20s %s\n' "$(basename "$log" .log)" "$(grep -a '^#' "$log" | tail -n 1 | tr -s '\t' ' ' | cut -c 1-80)"
        done
    done
}

rm -f "$work"/log/*.running
progress </dev/null &
ticker=$!
trap 'kill "$ticker" 2>/dev/null || true' EXIT

# Each of the two takes the next target that nobody has taken.
failed=0
printf '%s\n' "$@" >"$work/targets"
lane() {
    local name bad=0
    while name=$(flock "$work/lock" sh -c "head -n 1 '$work/targets' && sed -i 1d '$work/targets'") && [ -n "$name" ]; do
        touch "$work/log/$name.running"
        fuzz "$name" || bad=1
        rm -f "$work/log/$name.running"
    done
    return "$bad"
}
lane &
first=$!
lane &
second=$!
wait "$first" || failed=1
wait "$second" || failed=1
if [ "$failed" -ne 0 ]; then
    echo "what broke a target is in $findings" >&2
fi
exit "$failed"
