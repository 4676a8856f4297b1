# What up.sh, down.sh and demo.sh share; to be sourced. Everything of one stack lives in $run_dir: processes are known by
# pid/NAME.pid (the pid alone) and pid/NAME.facts (when it began, which program its children run, what it was started for).
# shellcheck shell=bash disable=SC2034 # what is set here is used there

set -euo pipefail
umask 077

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
run_dir=$(realpath -m "${RUN_DIR:-$root/.run}")
build_dir=$(realpath -m "${BUILD_DIR:-$root/build}")
log_dir=$run_dir/log
pid_dir=$run_dir/pid
secret_dir=$run_dir/secret

# The caller's libpq settings mean other databases than ours.
for name in "${!PG@}"; do
    unset "$name"
done
unset name

# The components in the order in which they start.
components=(postgres sandbox workers nginx)

# A descriptor on which nothing ever arrives: reading it with a timeout is a sleep without a process.
exec {nap_fd}<> <(:)

say() {
    printf '%s\n' "$*"
}

fail() {
    printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2
    exit 1
}

nap() {
    read -r -t "$1" -u "$nap_fd" || true
}

# A path as people like to read it: relative when it lies in the project.
shown() {
    printf '%s' "${1#"$root"/}"
}

# In single quotes for any shell.
quoted() {
    printf "'%s'" "${1//\'/\'\\\'\'}"
}

# ---- waiting with a sign of life

# wait_until WHAT SECONDS COMMAND...: until the command succeeds. Status 1 when the time is over or COMMAND answers 2.
wait_until() {
    local what=$1 limit_s=$2 begun=$SECONDS told=2 status waited
    shift 2
    while :; do
        status=0
        "$@" || status=$?
        waited=$((SECONDS - begun))
        if [ "$status" -eq 0 ]; then
            return 0
        fi
        if [ "$status" -eq 2 ] || [ "$waited" -gt "$limit_s" ]; then
            return 1
        fi
        if [ "$waited" -ge "$told" ]; then
            say "  waiting for $what: $waited s" >&2
            told=$((told + 2))
        fi
        nap 0.03
    done
}

# with_progress WHAT COMMAND...: runs it, with a line every two seconds when it takes long.
with_progress() {
    local what=$1 status=0 ticker
    shift
    (
        SECONDS=0
        while nap 2 && kill -0 "$$" 2>/dev/null; do # not for longer than the script itself
            say "  $what: $SECONDS s" >&2
        done
    ) &
    ticker=$!
    "$@" || status=$?
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    return "$status"
}

# ---- processes

# Prints boot and start time of a process; nothing when it has gone (a zombie has).
began() {
    local stat fields
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    read -ra fields <<<"${stat##*) }"
    case ${fields[0]} in
        Z | X) ;;
        *) printf '%s/%s' "$(</proc/sys/kernel/random/boot_id)" "${fields[19]}" ;;
    esac
}

# fact NAME KEY: what is on record about a component
fact() {
    if [ -f "$pid_dir/$1.facts" ]; then
        sed -n "s/^$2=//p" "$pid_dir/$1.facts"
    fi
}

# Prints the component's pid, or nothing when it does not run: a stranger with the same pid began at another time.
pid_of() {
    local pid
    [ -f "$pid_dir/$1.pid" ] || return 0
    pid=$(<"$pid_dir/$1.pid")
    if [ -n "$pid" ] && [ "$(began "$pid")" = "$(fact "$1" began)" ]; then
        printf '%s' "$pid"
    fi
}

# Prints all processes of a component. Each one leads a session, so that children are found whose parent was killed.
pids_of() {
    local leader pid exe
    pid_of "$1"
    [ -f "$pid_dir/$1.pid" ] || return 0
    leader=$(<"$pid_dir/$1.pid")
    exe=$(fact "$1" exe)
    for pid in $(pgrep -s "$leader" || true); do
        if [ "$pid" != "$leader" ] && [ "$(readlink "/proc/$pid/exe" | sed 's/ (deleted)$//')" = "$exe" ]; then
            printf ' %s' "$pid"
        fi
    done
}

close_inherited() {
    local fd
    for fd in /proc/"$BASHPID"/fd/*; do
        fd=${fd##*/}
        if [ "$fd" -gt 2 ] && [ "$fd" -lt 255 ]; then
            eval "exec $fd>&-"
        fi
    done
}

# launch NAME EXE PURPOSE COMMAND...: starts it in the background and puts it on record. EXE: the program that its children run.
launch() {
    local name=$1 exe=$2 purpose=$3
    shift 3
    (
        close_inherited
        exec setsid -- "$@" </dev/null >>"$log_dir/$name.log" 2>&1
    ) &
    local pid=$!
    printf 'began=%s\nexe=%s\npurpose=%s\n' "$(began "$pid")" "$(realpath "$exe")" "$purpose" >"$pid_dir/$name.facts"
    printf '%s\n' "$pid" >"$pid_dir/$name.pid"
    started+=("$name")
}

has_ended() {
    [ -z "$(pids_of "$1")" ]
}

# What ends a component, first gently, then less so: pairs of a signal and the seconds it has. KILL follows.
end_signals() {
    case $1 in
        nginx) echo QUIT 5 TERM 5 ;;
        workers) echo TERM 8 ;;
        sandbox) echo TERM 5 ;;
        postgres) echo INT 20 QUIT 10 ;;
    esac
}

# Stops a component if it runs. Its children get a signal only when they outlive their parent.
stop_component() {
    local name=$1 pid signals i
    [ -f "$pid_dir/$name.pid" ] || return 0
    read -ra signals <<<"$(end_signals "$name") KILL 5"
    for ((i = 0; i < ${#signals[@]}; i += 2)); do
        pid=$(pid_of "$name")
        if [ -z "$pid" ] || [ "${signals[i]}" = KILL ]; then
            pid=$(pids_of "$name")
        fi
        # shellcheck disable=SC2086 # a list of pids
        [ -z "$pid" ] || kill -"${signals[i]}" $pid 2>/dev/null || true
        if wait_until "$name to stop" "${signals[i + 1]}" has_ended "$name"; then
            rm -f "$pid_dir/$name.pid" "$pid_dir/$name.facts"
            return 0
        fi
    done
    say "$name (pid $(pids_of "$name")) does not stop" >&2
    return 1
}

# ---- the stack's directory

# Waits for a concurrent make up or make down of the same stack.
lock_stack() {
    exec {lock_fd}>"$run_dir/lock"
    wait_until "another make up or make down" 120 flock -n "$lock_fd" ||
        fail "another make up or make down is still at work in $(shown "$run_dir")"
}

# Unix socket paths are limited to 107 bytes, and connection strings and nginx know no odd characters in them; and a user of
# PostgreSQL's own ($1, or empty) cannot enter the stack's directory.
choose_socket_dir() {
    local owner=${1:-$(id -un)}
    socket_dir=$run_dir/sock
    if [ -n "$1" ] || [ "${#socket_dir}" -gt 80 ] || [[ $socket_dir == *[!A-Za-z0-9/._-]* ]]; then
        socket_dir=$(cat "$run_dir/socket-dir" 2>/dev/null || true)
        if [[ $socket_dir != /tmp/invoicegate.* ]] || [ "$(stat -c '%U %F' "$socket_dir" 2>/dev/null)" != "$owner directory" ]; then
            socket_dir=$(mktemp -d /tmp/invoicegate.XXXXXX)
            chown "$owner" "$socket_dir"
        fi
    fi
    mkdir -p "$socket_dir"
    printf '%s\n' "$socket_dir" >"$run_dir/socket-dir"
}

remove_socket_dir() {
    local dir
    dir=$(cat "$run_dir/socket-dir" 2>/dev/null || true)
    case $dir in
        /tmp/invoicegate.* | "$run_dir/sock") rm -rf "$dir" ;;
    esac
    rm -f "$run_dir/socket-dir"
}
