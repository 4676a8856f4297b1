#!/usr/bin/env bash
# inside.sh PORT CHECK: what a stranger does on a bare Debian 12, and what must be true meanwhile and afterwards.
set -euo pipefail

port=$1
check=$2
place=/root/private/invoicegate

say() {
    printf 'bare: %s\n' "$*"
}

fail() {
    printf 'bare: %s\n' "$*" >&2
    exit 1
}

must_be_bare() {
    local name
    for name in gcc cc curl nginx psql python3 pkg-config spawn-fcgi; do
        if command -v "$name" >/dev/null; then
            fail "this machine is not bare: it has $name"
        fi
    done
}

# new_clone DIRECTORY
new_clone() {
    git -c advice.detachedHead=false clone -q /srv/project.bundle "$1"
}

# invoices DIRECTORY: how many its stack has made
invoices() {
    (
        # shellcheck source=/dev/null
        . "$1/.run/env"
        psql -X -At -d "$INVOICEGATE_AUDIT_DATABASE" -c "select count(*) from audit.invoices"
    )
}

# quietly COMMAND...: its output is shown when it fails
quietly() {
    "$@" >/tmp/output 2>&1 || {
        cat /tmp/output
        fail "failed: $*"
    }
}

run_make() {
    make -C "$place" --no-print-directory "$@" PORT="$port"
}

must_leave_services_alone() {
    [ ! -e /usr/sbin/policy-rc.d ] || fail "policy-rc.d was left behind"
    [ -z "$(compgen -G '/etc/postgresql-common/createcluster.d/*invoicegate*' || true)" ] ||
        fail "an entry of ours was left in createcluster.d"
    [ ! -d /etc/postgresql/15/main ] || fail "a PostgreSQL cluster was made that nobody asked for"
    [ ! -e /etc/systemd/system/multi-user.target.wants/nginx.service ] || fail "nginx would start at the next boot"
}

# Nothing of the stack runs any more: all processes of this machine are in sight, and there are no others of these names.
must_be_quiet() {
    local name
    for name in nginx postgres multiwatch spawn-fcgi invoicegate; do
        if pgrep "$name" >/dev/null; then
            fail "still running after make down: $(pgrep -l "$name" | tr '\n' ' ')"
        fi
    done
    [ -z "$(compgen -G '/tmp/invoicegate.*' || true)" ] || fail "a socket directory was left in /tmp"
}

must_be_clean() {
    local left
    left=$(git -C "$place" status --porcelain)
    [ -z "$left" ] || fail "files that git does not know were left: $left"
}

first_demo() {
    local begun=$SECONDS
    must_be_bare
    mkdir -m 700 /root/private
    new_clone "$place"
    say "make demo, with nothing installed"
    run_make demo 2>&1 | sed 's/^/    /'
    say "from nothing to the first invoice: $((SECONDS - begun)) s"
    must_leave_services_alone
}

second_demo() {
    local begun=$SECONDS
    pgrep nginx >/dev/null || fail "the stack does not run, or pgrep does not see it"
    quietly run_make demo
    say "make demo again: $((SECONDS - begun)) s"
    [ "$(invoices "$place")" = 2 ] || fail "two demos made $(invoices "$place") invoices"
    quietly run_make down
    must_be_quiet
}

# In a chroot root cannot become nobody in a user namespace: PostgreSQL then gets a user and a place of its own.
demo_in_chroot() {
    local run_dir=/root/private/run
    mkdir -p /mnt/root
    mount --rbind / /mnt/root
    quietly chroot /mnt/root make -C "$place" demo PORT="$port" RUN_DIR="$run_dir"
    [ -e "$run_dir/pg-dir" ] || fail "the chroot did not make a difference"
    quietly chroot /mnt/root make -C "$place" down RUN_DIR="$run_dir"
    must_be_quiet
    umount -l /mnt/root
    say "make demo where root may not make namespaces: passed"
}

demo_as_user() {
    local home=/home/stranger
    useradd --create-home stranger
    as_stranger=(setpriv --reuid=stranger --regid=stranger --init-groups env HOME="$home")
    quietly "${as_stranger[@]}" git -c advice.detachedHead=false clone -q /srv/project.bundle "$home/invoicegate"
    quietly "${as_stranger[@]}" make -C "$home/invoicegate" demo PORT="$port"
    quietly "${as_stranger[@]}" make -C "$home/invoicegate" down
    must_be_quiet
    say "make demo as an ordinary user: passed"
}

run_check() {
    local begun=$SECONDS
    say "make check"
    run_make check 2>&1 | sed 's/^/    /'
    say "make check: $((SECONDS - begun)) s"
    must_be_quiet
    must_be_clean
}

first_demo
second_demo
demo_in_chroot
demo_as_user
must_be_clean
[ "$check" != 1 ] || run_check
