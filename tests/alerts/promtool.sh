#!/usr/bin/env bash
# Prints the path of promtool: the installed one, or that of Debian's package, unpacked into the given folder without
# installing it (it would bring a daemon along). Status 1 when it cannot be had.
#
#   promtool.sh FOLDER
set -euo pipefail

place=$(realpath -m "${1:?}")
if command -v promtool; then
    exit 0
fi
mkdir -p "$place"
exec {lock_fd}>"$place/lock"
flock "$lock_fd"
if [ ! -x "$place/usr/bin/promtool" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cd "$work"
    apt-get -q download prometheus >&2
    dpkg-deb -x prometheus_*.deb "$work/all"
    install -D "$work/all/usr/bin/promtool" "$place/usr/bin/promtool"
fi
echo "$place/usr/bin/promtool"
