#!/usr/bin/env bash
# make down: stops what make up started; the data stays. RUN_DIR chooses another stack than ./.run.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

stopped=()
failed=0

if [ ! -d "$pid_dir" ]; then
    say "No stack is running in $(shown "$run_dir")."
    exit 0
fi
lock_stack

for ((i = ${#components[@]} - 1; i >= 0; i--)); do
    name=${components[i]}
    if [ -n "$(pids_of "$name")" ]; then
        stopped+=("$name")
    fi
    stop_component "$name" || failed=1
done
if [ "$failed" -ne 0 ]; then
    exit 1
fi
remove_socket_dir
rm -f "$run_dir/env" "$run_dir/ctl"

if [ "${#stopped[@]}" -eq 0 ]; then
    say "No stack is running in $(shown "$run_dir")."
else
    say "Stopped: ${stopped[*]}. The data stays in $(shown "$run_dir")."
fi
