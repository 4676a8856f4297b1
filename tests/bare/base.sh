# Makes a bare Debian in a private directory and runs commands on it, with processes and mounts of their own; to be sourced.
# The packages come from the Debian mirrors that this machine's apt uses. However the script ends, no process, no mount and
# no file of it stays; KEEP=1 keeps the directory.
# shellcheck shell=bash source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../stack/lib.sh"
: "${root:?}"
umask 022

release=bookworm
directory=
contained= # pid of what runs there
neighbour= # pid of another process that ends with this script

debootstrap_limit_s=900

clean_up() {
    local status=$? pid
    trap '' INT TERM HUP
    for pid in $contained $neighbour; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
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

# logged FILE COMMAND...: the end of its output is shown when it fails.
logged() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        return 1
    }
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

# make_base PACKAGES: installs a base system with these, and the last commit as a bundle, into $directory/root.
make_base() {
    local mirror
    [ "$(id -u)" -eq 0 ] || fail "only root can install a system: run it as root"
    mirror=$(main_archive)
    [ -n "$mirror" ] || fail "apt knows no Debian archive with $release: run 'apt-get update', or use a Debian machine"
    trap clean_up EXIT
    trap 'exit 130' INT TERM HUP
    directory=$(mktemp -d /var/tmp/igbare.XXXXXX)
    say "bare: commit $(git_here log -1 --format='%h %s')"
    with_progress "installing a base system" logged "$directory/debootstrap.log" contain "$debootstrap_limit_s" \
        debootstrap --variant=minbase --include="$1" "$release" "$directory/root" "$mirror" || fail "debootstrap failed"
    # As on a machine that nobody has used yet: sources, but no lists of packages.
    archives | sed -E 's/^(\S+) \S+ (\S+)$/deb \1 \2 main/' >"$directory/root/etc/apt/sources.list"
    rm -rf "$directory/root/var/lib/apt/lists"/* "$directory/root/var/cache/apt/archives"/*.deb
    apt-config dump | grep -i '^Acquire::[a-z]*::Proxy' >"$directory/root/etc/apt/apt.conf.d/90proxy" || true
    cp --dereference /etc/resolv.conf /etc/hosts "$directory/root/etc/"
    git_here bundle create -q "$directory/root/srv/project.bundle" HEAD
    cp "$root/tests/bare/enter.sh" "$directory/"
}

# The clone may belong to another user than root.
git_here() {
    git -c safe.directory="$root" -C "$root" "$@"
}

# inside SECONDS COMMAND...: on the machine that was made.
inside() {
    local limit_s=$1
    shift
    contain "$limit_s" bash "$directory/enter.sh" "$directory/root" "$@"
}
