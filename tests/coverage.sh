#!/usr/bin/env bash
# coverage.sh FOLDER FLOOR: which part of the lines under src the tests have run, folder by folder, from what a build with
# --coverage has left in FOLDER. Fails when it is less than FLOOR percent.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$1
floor=$2
table=$folder/coverage.csv

gcovr --root . --filter src/ --object-directory "$folder/obj" --gcov-ignore-parse-errors --csv -o "$table" \
    --html-details "$folder/coverage.html" "$folder/obj" >/dev/null

# filename,line_total,line_covered,...
awk -F, -v floor="$floor" -v page="$folder/coverage.html" '
    NR > 1 {
        count = split($1, parts, "/")
        name = count > 2 ? parts[1] "/" parts[2] : parts[1]
        total[name] += $2
        covered[name] += $3
        all += $2
        all_covered += $3
    }
    END {
        for (name in total)
            printf "  %-14s %5d of %5d lines  %5.1f %%\n", name, covered[name], total[name], 100 * covered[name] / total[name] | "sort"
        close("sort")
        percent = all ? 100 * all_covered / all : 0
        printf "coverage of src: %d of %d lines, %.1f %% (at least %d %% are wanted); line by line: %s\n",
            all_covered, all, percent, floor, page
        exit percent < floor
    }' "$table"
