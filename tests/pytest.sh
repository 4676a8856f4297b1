#!/usr/bin/env bash
# Runs the pytest suites against the programs in a build folder: pytest.sh BUILD [TEST...]
# The tests find the programs through INVOICEGATE_BUILD. PROCESSES=0 runs them one after the other in this process.
set -euo pipefail
cd "$(dirname "$0")/.."

INVOICEGATE_BUILD=$(realpath "$1")
export INVOICEGATE_BUILD
shift
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

suites=("$@")
if [ "${#suites[@]}" -eq 0 ]; then
    for folder in tests/sandbox tests/e2e; do
        if compgen -G "$folder/test_*.py" >/dev/null; then
            suites+=("$folder")
        fi
    done
fi
if [ "${#suites[@]}" -eq 0 ]; then
    echo 'no end-to-end tests found' >&2
    exit 1
fi
# Tests wait far more than they compute: several processes, each with a stack of its own, take a file at a time.
exec "${PYTHON:-/usr/bin/python3}" -m pytest -q -p no:cacheprovider -n "${PROCESSES:-4}" --dist loadfile "${suites[@]}"
