# The four components of the private stack and how each one starts; to be sourced by up.sh after lib.sh, whose settings and
# those of up.sh (port, workers, ...) it uses. The order is that of the file.
# shellcheck shell=bash disable=SC2154 # set by up.sh

# ensure NAME PURPOSE START: starts a component that does not run, or runs for another purpose than this one.
ensure() {
    local name=$1 purpose=$2 start=$3
    if [ -n "$(pid_of "$name")" ] && [ "$(fact "$name" purpose)" = "$purpose" ]; then
        return
    fi
    stop_component "$name" || fail "an old $name does not stop"
    "$start" "$purpose"
}

# explain NAME: ends with the last words of its log.
explain() {
    fail "$1 did not start: $(tail -n 1 "$log_dir/$1.log" 2>/dev/null) (all of it: $(shown "$log_dir/$1.log"))"
}

# Changes when a program is built anew.
mark_of() {
    stat -L -c '%i.%Y.%s' "$1"
}

# ---- postgres

# PostgreSQL does not run as root. Root may become nobody in a user namespace of its own (files stay root's); where that is
# forbidden, the data has a place and an owner of its own.
choose_postgres_user() {
    as_postgres=()
    postgres_user=
    pg_data=$run_dir/pg
    if [ "$(id -u)" -ne 0 ]; then
        return
    fi
    if [ ! -e "$run_dir/pg-dir" ] && unshare --map-user=65534 --map-group=65534 -- true 2>/dev/null; then
        as_postgres=(unshare --map-user=65534 --map-group=65534 --)
        return
    fi
    postgres_user=postgres
    id "$postgres_user" >/dev/null 2>&1 || postgres_user=nobody
    as_postgres=(setpriv "--reuid=$postgres_user" "--regid=$(id -g "$postgres_user")" --clear-groups --)
    if [ ! -e "$run_dir/pg-dir" ]; then
        mktemp -d /var/tmp/invoicegate-pg.XXXXXX >"$run_dir/pg-dir"
        chown "$postgres_user" "$(<"$run_dir/pg-dir")"
    fi
    pg_data=$(<"$run_dir/pg-dir")/pg
}

make_cluster() {
    if [ -e "$pg_data/PG_VERSION" ]; then
        return
    fi
    rm -rf "$pg_data.new"
    # The cluster's files need no sync of their own: a half-made cluster is made again.
    (cd / && with_progress "making a database cluster" "${as_postgres[@]}" "$pg_bin/initdb" -D "$pg_data.new" -U postgres -A trust \
        -E UTF8 --locale=C.UTF-8 --no-sync --no-instructions >"$log_dir/initdb.log" 2>&1) ||
        fail "initdb failed: $(tail -n 1 "$log_dir/initdb.log") (all of it: $(shown "$log_dir/initdb.log"))"
    printf '%s\n' "timezone = 'UTC'" "log_timezone = 'UTC'" "log_line_prefix = '%m [%p] %u '" \
        "max_connections = 200" "autovacuum_naptime = 10s" >>"$pg_data.new/postgresql.conf"
    mv "$pg_data.new" "$pg_data"
    rm -f "$secret_dir"/key-* # they are keys of a database that is no more
}

# All processes of a cluster stand in its directory.
cluster_is_idle() {
    ! readlink /proc/[0-9]*/cwd 2>/dev/null | grep -qxF "$pg_data"
}

# A killed PostgreSQL leaves lock files, and while nobody has reaped the dead process they keep the next one from starting.
# They go once the process that they name is dead and the last of its children has noticed.
forget_dead_postgres() {
    local pid
    { read -r pid <"$pg_data/postmaster.pid"; } 2>/dev/null || return 0
    if [ -z "$(began "$pid")" ]; then
        wait_until "the killed PostgreSQL's last processes to end" 20 cluster_is_idle ||
            fail "processes of a killed PostgreSQL are still at work in $(shown "$pg_data")"
        rm -f "$pg_data/postmaster.pid" "$socket_dir"/.s.PGSQL.5432.lock
    fi
}

postgres_is_ready() {
    local lines=()
    [ -n "$(pid_of postgres)" ] || return 2
    { mapfile -t lines <"$pg_data/postmaster.pid"; } 2>/dev/null || return 1
    [ "${lines[0]:-}" = "$(pid_of postgres)" ] && [[ ${lines[7]:-} == ready* ]]
}

start_postgres() {
    make_cluster
    forget_dead_postgres
    launch postgres "$pg_bin/postgres" "$1" "${as_postgres[@]}" "$pg_bin/postgres" -D "$pg_data" -k "$socket_dir" -p 5432 \
        -c listen_addresses= -c unix_socket_permissions=0700
    wait_until "PostgreSQL to start" 60 postgres_is_ready || explain postgres
}

sql() {
    "$pg_bin/psql" -X -q -At -v ON_ERROR_STOP=1 "$@"
}

# ctl ARGUMENT...: the operator's tool on this stack's database
ctl() {
    INVOICEGATE_DATABASE=$admin_database INVOICEGATE_DIGEST_KEY_FILE=$secret_dir/digest-key "$build_dir/invoicegatectl" "$@"
}

migrate() {
    local server="host=$socket_dir port=5432 user=postgres"
    admin_database="$server dbname=invoicegate"
    if [ "$(sql -d "$server dbname=postgres" -c "select 1 from pg_database where datname = 'invoicegate'")" != 1 ]; then
        sql -d "$server dbname=postgres" -c 'create database invoicegate'
    fi
    with_progress "migrating" ctl migrate --sql "$root/sql" >"$log_dir/migrate.log" 2>&1 ||
        fail "the migration failed: $(tail -n 1 "$log_dir/migrate.log") (all of it: $(shown "$log_dir/migrate.log"))"
}

# ---- sandbox

sandbox_is_ready() {
    [ -n "$(pid_of sandbox)" ] || return 2
    [ -s "$run_dir/sandbox.port.new" ]
}

# On the port that it had before, if it can: the upstream's address is part of what requests were frozen with.
start_sandbox() {
    local more=() old
    read -ra more <<<"${SANDBOX_ARGS:-}"
    old=$(cat "$run_dir/sandbox.port" 2>/dev/null || true)
    if [ -n "$old" ] && port_answers "$old"; then
        old=
    fi
    rm -f "$run_dir/sandbox.port.new"
    launch sandbox "$build_dir/invoicegate-sandbox" "$1" "$build_dir/invoicegate-sandbox" --listen "127.0.0.1:${old:-0}" \
        --port-file "$run_dir/sandbox.port.new" --live-key sk_live_sandbox --test-key sk_test_sandbox \
        --state "$run_dir/sandbox.state" "${more[@]}"
    wait_until "the sandbox to start" 20 sandbox_is_ready || explain sandbox
    mv "$run_dir/sandbox.port.new" "$run_dir/sandbox.port"
}

ensure_upstream() {
    sandbox_url=
    if [ -n "$upstream_url" ]; then
        stop_component sandbox || fail "an old sandbox does not stop"
        return
    fi
    ensure sandbox "$(mark_of "$build_dir/invoicegate-sandbox") ${SANDBOX_ARGS:-}" start_sandbox
    sandbox_url=http://127.0.0.1:$(<"$run_dir/sandbox.port")
}

# ---- workers

# The workers' settings; those that the caller has set win.
export_settings() {
    export INVOICEGATE_DATABASE="${INVOICEGATE_DATABASE:-host=$socket_dir port=5432 user=invoicegate_worker dbname=invoicegate}"
    export INVOICEGATE_UPSTREAM_URL="${INVOICEGATE_UPSTREAM_URL:-${upstream_url:-$sandbox_url}}"
    export INVOICEGATE_UPSTREAM_KEY_FILE="${INVOICEGATE_UPSTREAM_KEY_FILE:-$secret_dir/upstream-key}"
    export INVOICEGATE_UPSTREAM_TEST_KEY_FILE="${INVOICEGATE_UPSTREAM_TEST_KEY_FILE:-$secret_dir/upstream-test-key}"
    export INVOICEGATE_DIGEST_KEY_FILE="${INVOICEGATE_DIGEST_KEY_FILE:-$secret_dir/digest-key}"
    export INVOICEGATE_RUNTIME_DIR="${INVOICEGATE_RUNTIME_DIR:-$socket_dir}"
    if [ -n "$sandbox_url" ]; then
        export INVOICEGATE_ACCOUNT_POSTS_PER_S="${INVOICEGATE_ACCOUNT_POSTS_PER_S:-0}"
        # Whoever tries things out here may be wrong more often.
        export INVOICEGATE_WRONG_KEYS_PER_MIN="${INVOICEGATE_WRONG_KEYS_PER_MIN:-600}"
    fi
}

# A worker that cannot start would be forked again and again: it is asked first. multiwatch never gives up (-r, -t).
start_workers() {
    local checked=0
    "$build_dir/invoicegate" --check </dev/null >>"$log_dir/workers.log" 2>&1 || checked=$?
    case $checked in
    0) ;;
    5) say "the upstream cannot be used now (see $log_dir/workers.log): the stack starts all the same" ;;
    *) explain workers ;;
    esac
    launch workers "$build_dir/invoicegate" "$1" spawn-fcgi -n -s "$socket_dir/worker.sock" -M 0600 -b 4096 -- \
        /usr/bin/multiwatch -f "$workers" -r 1000000000 -t 1 -- "$build_dir/invoicegate"
}

ensure_workers() {
    local name settings
    export_settings
    settings=$(
        for name in "${!INVOICEGATE_@}"; do
            printf '%s=%s\n' "$name" "${!name}"
        done
        cat "$secret_dir"/*
    )
    ensure workers "$workers $(mark_of "$build_dir/invoicegate") $(sha256sum <<<"$settings" | cut -c 1-16)" start_workers
}

# ---- nginx

# The shipped snippets, with this stack's socket and without limits, in a server of their own.
write_nginx_conf() {
    local as_root='' dir=$run_dir/nginx
    [ "$(id -u)" -ne 0 ] || as_root='user root;' # its own choice could not enter this directory
    # shellcheck disable=SC2016 # nginx's variable, not the shell's
    sed -e '\,unix:/run/invoicegate/2.sock,d' -e "s,unix:/run/invoicegate/1.sock,unix:$socket_dir/worker.sock," \
        -e 's/_zone \$invoicegate_[a-z]* /_zone "" /' -e "s/keepalive 512;/keepalive ${NGINX_KEEPALIVE:-512};/" \
        "$root/nginx/invoicegate-workers.conf" >"$dir/invoicegate-workers.conf"
    cp "$root"/nginx/invoicegate-{http,server}.conf "$dir/"
    sed "s/127.0.0.1:9188/127.0.0.1:$admin_port/" "$root/nginx/invoicegate-admin.conf" >"$dir/invoicegate-admin.conf"
    cat >"$dir/nginx.conf" <<END
# Made by make up.
$as_root
daemon off;
pid nginx.pid;
error_log ../log/nginx-error.log;
worker_processes 2;
worker_rlimit_nofile $files;
events {
    worker_connections $((files / 2));
}
http {
    client_body_temp_path tmp/client_body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
    server_tokens off;
    include invoicegate-workers.conf;
    include invoicegate-http.conf;
    include invoicegate-admin.conf;
    ${NGINX_INCLUDE:+include $NGINX_INCLUDE;}
    server {
        listen 127.0.0.1:$port backlog=4096;
        access_log ../log/nginx-access.log invoicegate;
        include invoicegate-server.conf;
        location / {
            return 404;
        }
    }
}
END
}

# Ready is who passes requests on to a worker that answers.
nginx_is_ready() {
    local status
    [ -n "$(pid_of nginx)" ] || return 2
    status=$(curl -q -s --noproxy '*' -m 5 -o "$run_dir/nginx/tmp/ready" -w '%{http_code}' "http://127.0.0.1:$port/v1/public/") || return 1
    [[ ! $status =~ ^50[0-9]$ ]]
}

start_nginx() {
    launch nginx "$nginx" "$1" "$nginx" -p "$run_dir/nginx/" -c "$run_dir/nginx/nginx.conf" -e "$log_dir/nginx-error.log"
}

ensure_nginx() {
    write_nginx_conf
    ensure nginx "port $port $(cat "$run_dir"/nginx/*.conf | sha256sum | cut -c 1-16)" start_nginx
    if ! wait_until "a worker to answer through nginx" 60 nginx_is_ready; then
        if [ -z "$(pid_of nginx)" ]; then
            explain nginx
        fi
        explain workers
    fi
}
