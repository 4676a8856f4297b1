#!/usr/bin/env bash
# Runs unit test programs one after the other; prints one line each, and everything a failing one said.
# RUNNER: a command that runs them, as valgrind with its options.
set -euo pipefail

export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

read -ra runner <<<"${RUNNER:-}"
passed=0
failed=0
for program in "$@"; do
    log="$program.log"
    status=0
    timeout 300 "${runner[@]}" "$program" >"$log" 2>&1 || status=$?
    good=$(grep -c '^\[       OK \]' "$log" || true)
    bad=$(grep -c '^\[  FAILED  \] test' "$log" || true)
    if [ "$status" -eq 0 ]; then
        printf 'ok   %-28s %3d tests\n' "$(basename "$program")" "$good"
    else
        # A program that died counts as one failure even where no test says so.
        [ "$bad" -gt 0 ] || bad=1
        printf 'FAIL %-28s status %d\n' "$(basename "$program")" "$status"
        cat "$log"
    fi
    passed=$((passed + good))
    failed=$((failed + (status == 0 ? 0 : bad)))
done
printf 'unit: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
