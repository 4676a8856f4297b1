#!/usr/bin/env bash
# What machines find in sources: clang-tidy, cppcheck and gcc's analyzer; shell scripts have `make shellcheck`.
# JOBS: how many at once. Prints what was found; nothing when nothing was.
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=${JOBS:-2}
read -ra libraries < <(pkg-config --cflags libcurl json-c libpq libcrypto libevent | sed 's/-I/-isystem /g')
flags=(-std=gnu11 -Isrc -D_GNU_SOURCE "${libraries[@]}")
found=$(mktemp)
trap 'rm -f "$found"' EXIT

sources() {
    find src tests/fuzz -name '*.c' | sort
}

say() {
    printf '  %s\n' "$1"
}

failed=0

say 'clang-tidy'
# One file a process: clang-tidy 14 confuses what several files call the same.
sources | xargs -P "$jobs" -I FILE sh -c 'clang-tidy --quiet FILE -- "$@" 2>/dev/null || exit 1' sh "${flags[@]}" >"$found" || failed=1
cat "$found"

say 'cppcheck'
cppcheck --quiet -j "$jobs" --std=c11 --enable=warning,performance,portability --suppress=missingIncludeSystem \
    --error-exitcode=1 -D_GNU_SOURCE -Isrc src tests/fuzz tests/survival || failed=1

say 'gcc -fanalyzer'
# gcc 12 takes memory that hangs in a caller's struct for lost; the leak check of the sanitizers is in every test.
sources | xargs -P "$jobs" -I FILE gcc "${flags[@]}" -O1 -fanalyzer -Wno-analyzer-malloc-leak -Werror -S -o /dev/null FILE || failed=1

exit "$failed"
