#!/usr/bin/env bash
# The rules of the folders under src, which no compiler checks:
#   base <- front, store, upstream <- flow <- main; front, store and upstream do not know each other;
#   the sandbox and invoicegatectl know base alone; each library has its one place;
#   a file has at most 400 lines and a function at most 60, tables aside.
set -euo pipefail
cd "$(dirname "$0")/.."

complaints=$(mktemp)
trap 'rm -f "$complaints"' EXIT

# may FOLDER ALLOWED...: includes of our own headers in FOLDER start with one of ALLOWED.
may() {
    local folder=$1 allowed
    shift
    allowed=$(IFS='|' && echo "$*")
    [ -d "src/$folder" ] || return 0
    { grep -rnE '^#include "' "src/$folder" --include='*.[ch]' || true; } |
        { grep -vE ":#include \"($allowed)[/\"]" || true; } |
        sed "s@\$@  -- $folder may include only: $*@" >>"$complaints"
}
may base base
may front base front
may store base store
may upstream base upstream
may flow base front store upstream flow config.h
may ctl base ctl
may sandbox base sandbox

# only HEADER-PATTERN PATH-PATTERN: a library's header appears in these files alone.
only() {
    { grep -rnE "^#include <($1)" src --include='*.[ch]' || true; } |
        { grep -vE "^($2)" || true; } | sed "s@\$@  -- belongs in: $2@" >>"$complaints"
}
only 'fcgi' 'src/front/conn'
only 'libpq-fe\.h|postgres' 'src/store/|src/ctl/'
only 'curl/' 'src/upstream/|src/ctl/'
only 'event2?/|event\.h|evhttp' 'src/sandbox/'

# A table starts with a line that ends in "= {" in the first column and ends with "};".
mapfile -t files < <(find src -name '*.[ch]' | sort)
if [ "${#files[@]}" -gt 0 ]; then
    awk '
        function finish() { if (lines > 400) printf "%s: %d lines without tables, 400 are allowed\n", name, lines }
        FNR == 1 { finish(); name = FILENAME; lines = 0; start = 0; table = 0 }
        /^[A-Za-z_].*= \{$/ { table = 1 }
        !table { lines++ }
        /^\};/ { table = 0 }
        /^\{$/ { start = FNR }
        /^\}$/ {
            if (start && FNR - start + 1 > 60)
                printf "%s:%d: a function of %d lines, 60 are allowed\n", FILENAME, start, FNR - start + 1
            start = 0
        }
        END { finish() }' "${files[@]}" >>"$complaints"
fi

if [ -s "$complaints" ]; then
    cat "$complaints"
    exit 1
fi
