#!/usr/bin/env bash
# make bare-install: the README's installation, command by command, on a Debian 12 that boots in a private directory: with
# systemd, nginx and PostgreSQL of its own, and the sandbox as upstream. An invoice is made at the end, and once more after
# the workers were restarted.
#
#   KEEP=1    leave the directory behind, for looking into it
#
# Root only. The commands are those of the work tree's README; what they install is the last commit.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

packages_limit_s=1200
boot_limit_s=300

# The README's blocks that are marked "install", one file each.
extract_commands() {
    awk -v to="$1/command-" '
        /^<!-- test: install -->$/ { marked = 1; next }
        marked && /^```sh$/ { number++; inside = 1; marked = 0; next }
        inside && /^```$/ { inside = 0; next }
        inside { print >(to number) }
        END { print number }' "$root/README.md"
}

# Boots it without a network: services start, the installation goes on by itself (install-rest.sh), and it powers off.
boot() {
    contain "$boot_limit_s" systemd-nspawn --quiet -D "$directory/root" --boot --register=no --keep-unit --private-network \
        --console=pipe --kill-signal=SIGRTMIN+4
}

main() {
    make_base git,make,systemd-sysv,dbus
    mkdir "$directory/root/srv/readme"
    say "bare: $(extract_commands "$directory/root/srv/readme") steps of the README"
    cp "$root"/tests/bare/install-{first,rest}.sh "$directory/root/srv/"
    with_progress "packages and build" logged "$directory/first.log" inside "$packages_limit_s" /srv/install-first.sh ||
        fail "the README's first step failed"
    with_progress "the system at work" logged "$directory/boot.log" boot || fail "the system did not come to its end"
    cat "$directory/root/srv/result"
    grep -qx passed "$directory/root/srv/result" || fail "the README's installation does not work, see above"
}

main "$@"
