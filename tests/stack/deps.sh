#!/usr/bin/env bash
# make deps: installs the Debian packages of tests/stack/packages that are missing.
#
#   deps.sh            install what is missing (as root, or through sudo)
#   deps.sh --check    say what is missing, if anything; install nothing
#   deps.sh FILE       the same with another list of packages than tests/stack/packages
#
# A line "npm | npm" names a package and a command: where the command is there, wherever it came from, the package is not needed.
#
# No service is started and no PostgreSQL cluster is made: while apt-get runs, a policy-rc.d forbids the one and an entry
# in createcluster.d the other. Both are gone afterwards, and a policy-rc.d that was there before is back in its place.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/deps.sh
list=$here/packages
policy=/usr/sbin/policy-rc.d
policy_saved=/usr/sbin/policy-rc.d.saved-by-invoicegate
cluster_dir=/etc/postgresql-common/createcluster.d
cluster_entry=$cluster_dir/zz-invoicegate.conf
apt_options=(-q -y --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)

fail() {
    printf 'deps: %s\n' "$*" >&2
    exit 1
}

wanted_packages() {
    local package instead
    sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$list" | while IFS='|' read -r package instead; do
        if [ -z "$instead" ] || ! command -v "$instead" >/dev/null; then
            printf '%s\n' "$package"
        fi
    done
}

# Prints those of the given packages that are not installed.
missing_of() {
    [ $# -gt 0 ] || return 0
    { dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true; } |
        sed -n 's/^installed //p' | sort -u | comm -13 - <(printf '%s\n' "$@" | sort -u)
}

# ---- the part that runs as root

forbid_services() {
    if [ -e "$policy_saved" ]; then
        mv -f "$policy_saved" "$policy" # an earlier run was killed
    fi
    if [ -e "$policy" ] || [ -L "$policy" ]; then
        mv "$policy" "$policy_saved"
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    mkdir -p "$cluster_dir"
    echo 'create_main_cluster = false' >"$cluster_entry"
}

# Reached by trap, whatever happens.
allow_services() {
    rm -f "$policy" "$cluster_entry"
    if [ -e "$policy_saved" ] || [ -L "$policy_saved" ]; then
        mv "$policy_saved" "$policy"
    fi
    if ! dpkg-query -W postgresql-common >/dev/null 2>&1; then
        rmdir -p --ignore-fail-on-non-empty "$cluster_dir" 2>/dev/null || true
    fi
}

has_lists() {
    compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null
}

# An nginx that only this stack asked for shall not appear on port 80 after the next boot.
keep_nginx_asleep() {
    if command -v systemctl >/dev/null; then
        systemctl disable nginx.service >/dev/null 2>&1 || true
    else
        rm -f /etc/systemd/system/multi-user.target.wants/nginx.service
    fi
}

install_as_root() {
    export DEBIAN_FRONTEND=noninteractive
    local nginx_is_new=false
    [ -z "$(missing_of nginx)" ] || nginx_is_new=true

    trap allow_services EXIT
    trap 'exit 130' INT TERM HUP
    forbid_services
    if ! has_lists; then
        apt-get -q update
    fi
    # Old lists name versions that the mirrors no longer have: fetch new ones and try once more.
    if ! apt-get install "${apt_options[@]}" "$@"; then
        apt-get -q update
        apt-get install "${apt_options[@]}" "$@"
    fi
    if $nginx_is_new; then
        keep_nginx_asleep
    fi
}

# ---- the part that runs as whoever called

# Shows what apt-get is at, every two seconds, until it is killed. $1: its log
show_progress() {
    SECONDS=0
    # Nobody shall wait for a sleep that outlives this loop because it holds their pipe.
    while sleep 2 >/dev/null 2>&1; do
        printf '  %3d s: %s\n' "$SECONDS" "$(tail -n 1 "$1" | cut -c 1-90)"
    done
}

install_with_progress() {
    local log status=0
    log=$(mktemp)
    show_progress "$log" </dev/null &
    local ticker=$!
    "$@" >"$log" 2>&1 || status=$?
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    if [ "$status" -ne 0 ]; then
        tail -n 15 "$log" >&2
        fail "apt-get failed (status $status); all it said is in $log"
    fi
    rm -f "$log"
}

main() {
    if ! command -v apt-get >/dev/null; then
        fail "this is no Debian: install what $list names by hand"
    fi

    local wanted missing
    mapfile -t wanted < <(wanted_packages)
    mapfile -t missing < <(missing_of "${wanted[@]}")
    if [ "${#missing[@]}" -eq 0 ]; then
        [ "${1:-}" = --check ] || echo "All packages of ${list#"$PWD"/} are installed."
        return
    fi
    if [ "${1:-}" = --check ]; then
        fail "packages are missing, run 'make deps': ${missing[*]}"
    fi

    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; then
            echo "Packages are missing and there is no sudo for you here. Let root run 'make deps', or:" >&2
            echo "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "Installing ${#missing[@]} packages: ${missing[*]}"
    install_with_progress "${as_root[@]}" bash "$self" --as-root "${missing[@]}"
    mapfile -t missing < <(missing_of "${wanted[@]}")
    [ "${#missing[@]}" -eq 0 ] || fail "still missing: ${missing[*]}"
    echo "All packages of ${list#"$PWD"/} are installed; no service was started."
}

case "${1:-}" in
    --as-root)
        shift
        install_as_root "$@"
        ;;
    '' | --check)
        main "$@"
        ;;
    *)
        if [ ! -f "$1" ] || [ $# -ne 1 ]; then
            fail "usage: deps.sh [--check|FILE]"
        fi
        list=$1
        main
        ;;
esac
