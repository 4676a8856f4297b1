#!/usr/bin/env bash
# make bare: the proof that a bare Debian 12 is enough. A base system with git and make and nothing else is made in a
# private directory; in it, with processes and mounts of its own, the project is cloned and `make demo` is run, as root, as
# an ordinary user, and twice.
#
#   CHECK=1   run `make check` there, too
#   KEEP=1    leave the directory behind, for looking into it
#
# What is tested is the last commit, not the work tree. The packages come from the Debian mirrors that this machine's apt
# uses. Root only: a system is installed. However it ends, no process, no mount and no file of it stays.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../stack/lib.sh"
umask 022

release=bookworm
directory=
holder=
contained=

debootstrap_limit_s=900
demo_limit_s=1500
check_limit_s=2400

clean_up() {
    local status=$?
    trap '' INT TERM HUP
    [ -z "$contained" ] || kill -KILL "$contained" 2>/dev/null || true
    [ -z "$holder" ] || kill "$holder" 2>/dev/null || true
    wait 2>/dev/null || true
    if [ -n "$directory" ] && [ "${KEEP:-}" = 1 ]; then
        say "bare: kept in $directory"
    elif [ -n "$directory" ]; then
        rm -rf --one-file-system "$directory"
    fi
    exit "$status"
}

# contain SECONDS COMMAND...: in process and mount namespaces of its own, which end with it, whatever happens to it.
contain() {
    local limit_s=$1 status=0
    shift
    timeout -k 10 "$limit_s" unshare --mount --pid --fork --kill-child=KILL --mount-proc --propagation private -- "$@" </dev/null &
    contained=$!
    wait "$contained" || status=$?
    contained=
    if [ "$status" -eq 124 ]; then
        say "bare: not done after $limit_s s: given up" >&2
    fi
    return "$status"
}

# Prints this machine's Debian archives, one a line: address, suite, codename.
archives() {
    # shellcheck disable=SC2016 # apt-get's own variables
    apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)|$(SUITE)|$(CODENAME)' 'Created-By: Packages' |
        awk -F'|' -v release="$release" '$1 == "Debian" && index($4, release) == 1 { print $2, $3, $4 }' | sort -u
}

main_archive() {
    archives | awk -v release="$release" '$3 == release { print $1; exit }'
}

make_base() {
    local mirror=$1
    with_progress "installing a base system" contain "$debootstrap_limit_s" \
        debootstrap --variant=minbase --include=git,make "$release" "$directory/root" "$mirror" >"$directory/debootstrap.log" 2>&1 || {
        tail -n 5 "$directory/debootstrap.log" >&2
        fail "debootstrap failed"
    }
    # As on a machine that nobody has used yet: sources, but no lists of packages.
    archives | sed -E 's/^(\S+) \S+ (\S+)$/deb \1 \2 main/' >"$directory/root/etc/apt/sources.list"
    rm -rf "$directory/root/var/lib/apt/lists"/* "$directory/root/var/cache/apt/archives"/*.deb
    apt-config dump | grep -i '^Acquire::[a-z]*::Proxy' >"$directory/root/etc/apt/apt.conf.d/90proxy" || true
    cp --dereference /etc/resolv.conf /etc/hosts "$directory/root/etc/"
}

# Who else lives on a machine: a web server and a database that have their usual ports.
hold_ports() {
    /usr/bin/python3 - 2>&1 <<'PYTHON' &
import signal, socket
held = []
for port in (80, 5432):
    listener = socket.socket()
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        held.append(listener)
    except OSError:
        print(f"  port {port} is held by another program already", flush=True)
signal.pause()
PYTHON
    holder=$!
}

free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

main() {
    [ "$(id -u)" -eq 0 ] || fail "only root can install a system: run it as root"
    local mirror limit_s=$demo_limit_s
    [ "${CHECK:-0}" != 1 ] || limit_s=$((demo_limit_s + check_limit_s))
    mirror=$(main_archive)
    [ -n "$mirror" ] || fail "apt knows no Debian archive with $release: run 'apt-get update', or use a Debian machine"
    trap clean_up EXIT
    trap 'exit 130' INT TERM HUP
    directory=$(mktemp -d /var/tmp/igbare.XXXXXX)
    say "bare: commit $(git -C "$root" log -1 --format='%h %s')"
    git -C "$root" bundle create -q "$directory/project.bundle" HEAD
    make_base "$mirror"
    cp "$root"/tests/bare/{enter,inside}.sh "$directory/"
    mv "$directory/project.bundle" "$directory/inside.sh" "$directory/root/srv/"
    hold_ports
    contain "$limit_s" \
        bash "$directory/enter.sh" "$directory/root" /srv/inside.sh "$(free_port)" "${CHECK:-0}" ||
        fail "it does not work on a bare machine, see above"
    say "bare: passed"
}

main "$@"
