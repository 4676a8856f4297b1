#!/usr/bin/env bash
# make bare: the proof that a bare Debian 12 is enough. A base system with git and make and nothing else is made in a
# private directory; in it the project is cloned and `make demo` is run, as root, as an ordinary user, and twice.
#
#   CHECK=1   run `make check` there, too
#   KEEP=1    leave the directory behind, for looking into it
#
# What is tested is the last commit, not the work tree. Root only: a system is installed.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

demo_limit_s=1500
check_limit_s=2400

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
    neighbour=$!
}

free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

main() {
    local limit_s=$demo_limit_s
    [ "${CHECK:-0}" != 1 ] || limit_s=$((demo_limit_s + check_limit_s))
    make_base git,make
    cp "$root/tests/bare/inside.sh" "$directory/root/srv/"
    hold_ports
    inside "$limit_s" /srv/inside.sh "$(free_port)" "${CHECK:-0}" || fail "it does not work on a bare machine, see above"
    say "bare: passed"
}

main "$@"
