#!/usr/bin/env bash
# make up: starts the private stack (PostgreSQL, sandbox, workers, nginx) under ./.run, or what is missing of it.
#
#   PORT          where nginx listens on 127.0.0.1 (8080)
#   ADMIN_PORT    where it answers /metrics, /livez and /readyz (the next free one behind PORT)
#   WORKERS       how many workers share the socket (2)
#   UPSTREAM_URL  a real upstream instead of the sandbox; UPSTREAM_KEY is then its live and test key
#   RUN_DIR       another directory than ./.run: another stack
#   BUILD_DIR     programs that are built already; without it the programs in build/ are brought up to date first
#   SANDBOX_ARGS  more arguments for the sandbox
#   NGINX_INCLUDE, NGINX_KEEPALIVE  files with more servers; connections to the workers that nginx keeps (512)
#
# INVOICEGATE_* settings in the environment reach the workers. A second call finds what runs, starts again what died, and
# restarts what was started from another program or with other settings.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/parts.sh"

port=${PORT:-8080}
admin_port=${ADMIN_PORT:-}
workers=${WORKERS:-2}
upstream_url=${UPSTREAM_URL:-}
upstream_key=${UPSTREAM_KEY:-}
unset UPSTREAM_KEY # no process shall carry it in its environment

account=acct_demo000000000001
client=64abc123def456789012345a
product=prod_usd_10000

started=() # by this call: stopped again when it fails
done_well=false

give_up() {
    local status=$? i
    if $done_well; then
        return
    fi
    trap '' INT TERM HUP
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do
        stop_component "${started[i]}" || true
    done
    if [ "${#started[@]}" -gt 0 ]; then
        say "up: stopped again: ${started[*]}" >&2
    fi
    exit "$((status == 0 ? 1 : status))"
}

# ---- before anything starts

check_settings() {
    if [[ ! $port =~ ^[1-9][0-9]{0,4}$ ]] || [ "$port" -gt 65535 ]; then
        fail "PORT must be a number from 1 to 65535: $port"
    fi
    [[ $admin_port =~ ^([1-9][0-9]{0,4})?$ ]] || fail "ADMIN_PORT must be a number from 1 to 65535: $admin_port"
    [[ $workers =~ ^[1-9][0-9]{0,2}$ ]] || fail "WORKERS must be a number from 1 to 999: $workers"
    [ -z "$upstream_url" ] || [ -n "$upstream_key" ] || fail "UPSTREAM_URL needs UPSTREAM_KEY, the upstream's secret key"
    # What .run/env and the tests call so is no setting of the worker.
    unset INVOICEGATE_URL INVOICEGATE_KEY INVOICEGATE_TEST_KEY INVOICEGATE_ACCOUNT INVOICEGATE_CLIENT INVOICEGATE_PRODUCT \
        INVOICEGATE_AUDIT_DATABASE INVOICEGATE_SANDBOX_URL INVOICEGATE_ADMIN_URL INVOICEGATE_BUILD
    passed_on=("${!INVOICEGATE_@}")
}

find_programs() {
    for name in nginx spawn-fcgi multiwatch curl pgrep; do
        PATH=$PATH:/usr/sbin command -v "$name" >/dev/null || fail "$name is missing: run 'make deps' first"
    done
    nginx=$(PATH=$PATH:/usr/sbin command -v nginx)
    pg_bin=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)
    pg_bin=${pg_bin%/initdb}
    [ -n "$pg_bin" ] || fail "PostgreSQL's initdb is missing below /usr/lib/postgresql: run 'make deps' first"
    if [ -z "${BUILD_DIR:-}" ]; then
        with_progress "building" make -s -C "$root" -j"$(nproc)" all >&2 || fail "the build failed, see above"
    fi
    for name in invoicegate invoicegatectl invoicegate-sandbox; do
        [ -x "$build_dir/$name" ] || fail "$(shown "$build_dir")/$name is missing: run 'make' first"
    done
}

prepare_directory() {
    mkdir -p "$run_dir"
    [ -O "$run_dir" ] || fail "$(shown "$run_dir") belongs to another user: remove it, or set RUN_DIR"
    mkdir -p "$log_dir" "$pid_dir" "$secret_dir" "$run_dir/nginx/tmp"
    lock_stack
    choose_postgres_user
    choose_socket_dir "$postgres_user"
    # Thousands of connections; without a limit of ours some programs would walk through a billion descriptors.
    files=$(ulimit -Hn)
    if [ "$files" = unlimited ] || [ "$files" -gt 65536 ]; then
        files=65536
    fi
    ulimit -Sn "$files"
}

port_answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# The next one behind PORT that nobody has; a running nginx keeps its own.
choose_admin_port() {
    local try
    if [ -z "$admin_port" ] && [ -n "$(pids_of nginx)" ]; then
        admin_port=$(cat "$run_dir/admin-port" 2>/dev/null || true)
    fi
    for ((try = port % 65535 + 1; ${#admin_port} == 0 && try < port + 50; try++)); do
        port_answers "$try" || admin_port=$try
    done
    printf '%s\n' "${admin_port:=$((port % 65535 + 1))}" >"$run_dir/admin-port"
}

check_port() {
    if [ -n "$(pids_of nginx)" ] && [[ "$(fact nginx purpose)" == "port $port "* ]]; then
        return
    fi
    if port_answers "$port"; then
        fail "port $port on 127.0.0.1 is in use by another program: choose a free one, as in 'make up PORT=$((port % 65535 + 1))'"
    fi
}

write_secret() {
    printf '%s' "$2" >"$secret_dir/$1"
}

write_secrets() {
    if [ ! -s "$secret_dir/digest-key" ]; then
        write_secret digest-key "$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')"
    fi
    if [ -n "$upstream_url" ]; then
        write_secret upstream-key "$upstream_key"
        write_secret upstream-test-key "$upstream_key"
    else
        write_secret upstream-key sk_live_sandbox
        write_secret upstream-test-key sk_test_sandbox
    fi
}

# ---- what is in it

# seed_with WHAT ARGUMENT...: one call of the operator's tool; its output is printed, its remarks go to a log
seed_with() {
    local what=$1
    shift
    ctl "$@" 2>>"$log_dir/seed.log" || fail "$what cannot be made: $(tail -n 1 "$log_dir/seed.log")"
}

seed() {
    local agency mode
    agency=$(seed_with "the demo agency" agency add 'Demo Agency' --if-missing)
    seed_with "its account" account add --agency "$agency" "$account" --default --if-missing >/dev/null
    seed_with "its client" client add --agency "$agency" "$client" --name 'Demo Client' \
        --member 'John Doe:customer@example.com:admin' --if-missing >/dev/null
    for mode in live test; do
        if [ ! -s "$secret_dir/key-$mode" ]; then
            seed_with "its $mode key" key create --agency "$agency" --mode "$mode" --name demo >"$secret_dir/key-$mode.new"
            mv "$secret_dir/key-$mode.new" "$secret_dir/key-$mode"
        fi
    done
}

write_files() {
    {
        echo "# Of the running stack, for the shell and for tests: made by make up."
        echo "INVOICEGATE_URL=$(quoted "http://127.0.0.1:$port")"
        echo "INVOICEGATE_KEY=$(quoted "$(<"$secret_dir/key-live")")"
        echo "INVOICEGATE_TEST_KEY=$(quoted "$(<"$secret_dir/key-test")")"
        echo "INVOICEGATE_ACCOUNT=$(quoted "$account")"
        echo "INVOICEGATE_CLIENT=$(quoted "$client")"
        echo "INVOICEGATE_PRODUCT=$(quoted "$product")"
        echo "INVOICEGATE_AUDIT_DATABASE=$(quoted "host=$socket_dir port=5432 user=invoicegate_auditor dbname=invoicegate")"
        echo "INVOICEGATE_SANDBOX_URL=$(quoted "$sandbox_url")"
        echo "INVOICEGATE_ADMIN_URL=$(quoted "http://127.0.0.1:$admin_port")"
    } >"$run_dir/env.new"
    mv "$run_dir/env.new" "$run_dir/env"
    cat >"$run_dir/ctl" <<END
#!/bin/sh
# invoicegatectl on this stack's database: made by make up.
INVOICEGATE_DATABASE=$(quoted "$admin_database") \\
INVOICEGATE_DIGEST_KEY_FILE=$(quoted "$secret_dir/digest-key") \\
    exec $(quoted "$build_dir/invoicegatectl") "\$@"
END
    chmod 700 "$run_dir/ctl"
}

report() {
    if [ "${#started[@]}" -eq 0 ]; then
        say "The stack is already up: http://127.0.0.1:$port"
    else
        say "The stack is up: http://127.0.0.1:$port (started: ${started[*]})"
    fi
    say "  upstream   ${upstream_url:-the sandbox at $sandbox_url}"
    if [ "${#passed_on[@]}" -gt 0 ]; then
        say "  settings   from your environment: ${passed_on[*]}"
    fi
    say "  for tests  . $(shown "$run_dir/env")    (address, keys and ids as shell variables)"
    say "  watching   http://127.0.0.1:$admin_port/metrics, /livez, /readyz"
    say "  operator   $(shown "$run_dir/ctl") --help"
    say "  logs       $(shown "$log_dir")/"
    say "  next       'make demo' creates an invoice, 'make down' stops the stack"
}

main() {
    check_settings
    prepare_directory
    trap give_up EXIT
    trap 'exit 130' INT TERM HUP
    check_port
    choose_admin_port
    find_programs
    write_secrets
    ensure postgres "$pg_data $socket_dir" start_postgres
    migrate
    ensure_upstream
    seed
    ensure_workers
    ensure_nginx
    write_files
    done_well=true
    report
}

main "$@"
