#!/usr/bin/env bash
# On the machine that has booted: the README's other steps, then calls like a client's. /srv/result tells how it went.
set -euo pipefail
exec >/srv/result 2>&1
trap 'journalctl --no-pager -q -n 30 -u "invoicegate@*" -u nginx -u postgresql@15-main || true' ERR

say() {
    echo "bare: $*"
}

step() {
    say "step $1 of the README"
    bash -euo pipefail "/srv/readme/command-$1" >"/srv/readme/output-$1" 2>"/srv/readme/errors-$1" || {
        cat "/srv/readme/output-$1" "/srv/readme/errors-$1"
        return 1
    }
}

# create KEY: prints the answer's status
create() {
    local accounts=http://127.0.0.1/v1/public/stripe/connect/accounts
    curl -s -m 20 -o "${answer:-/srv/answer}" -w '%{http_code}' "$accounts/acct_1NYF2bQUoDmQfLzV/invoices" \
        -H "Authorization: $key" -H 'Content-Type: application/json' -H "Idempotency-Key: $1" \
        -d '{"data":{"clientId":"client_77","productId":"prod_usd_10000","collection_method":"send_invoice","days_until_due":30}}'
}

# A reload of nginx is done when its old processes have gone: they know no gateway and answer 404.
must_create() {
    local status tries
    for ((tries = 0; tries < 50; tries++)); do
        status=$(create "$1")
        [ "$status" = 404 ] || break
        sleep 0.2
    done
    say "$2: $status $(head -c 300 /srv/answer)"
    [ "$status" = 200 ]
}

property() {
    systemctl show -P "$2" "invoicegate@$1"
}

# A worker is nobody, its socket is nginx's, and its secrets are in no environment.
must_be_private() {
    local pid
    pid=$(property 1 MainPID)
    [ "$(stat -c %U "/proc/$pid")" = invoicegate ]
    [ "$(stat -c '%U %G %a' /run/invoicegate /run/invoicegate/1.sock | tr '\n' ' ')" = 'invoicegate www-data 750 invoicegate www-data 660 ' ]
    if tr '\0' '\n' <"/proc/$pid/environ" | grep -qE 'sk_test|igk_'; then
        return 1
    fi
    [ -z "$(journalctl -q -o cat | grep -E 'sk_test|igk_test_[0-9A-Za-z]{36}' || true)" ]
    say "the worker runs as $(property 1 User), and no secret is in its environment or in the journal"
}

# Four clients, one call after the other, until /srv/over appears: a status a line.
call_all_the_time() {
    local number=0
    while [ ! -e /srv/over ] && [ "$number" -lt 100000 ]; do
        number=$((number + 1))
        answer=/srv/answer-$1 create "$1-$number"
        echo
    done
}

must_restart_unnoticed() {
    local client
    for client in 1 2 3 4; do
        call_all_the_time "$client" >"/srv/statuses-$client" &
    done
    sleep 1
    systemctl restart invoicegate@1
    systemctl restart invoicegate@2
    sleep 1
    touch /srv/over
    wait
    say "calls while one worker after the other was restarted: $(cat /srv/statuses-* | sort | uniq -c | tr -s ' \n' ' ')"
    [ "$(sort -u /srv/statuses-*)" = 200 ]
    [ "$(property 1 NRestarts) $(property 2 NRestarts) $(property 1 Result)" = '0 0 success' ]
}

# systemd starts a worker again that was killed.
must_come_back() {
    local old tries
    old=$(property 1 MainPID)
    kill -KILL "$old"
    must_create killed "after a worker was killed"
    for ((tries = 0; tries < 100; tries++)); do
        [ "$(property 1 SubState) $(property 1 NRestarts)" != 'running 1' ] || break
        sleep 0.2
    done
    [ "$(property 1 SubState) $(property 1 NRestarts)" = 'running 1' ]
}

must_do_without_one() {
    local begun=$SECONDS
    systemctl stop invoicegate@1
    say "a worker stops in $((SECONDS - begun)) s"
    must_create alone "with one worker"
    if invoicegatectl doctor >/srv/doctor; then
        return 1
    fi
    say "the doctor: $(grep -A1 ^FAILED /srv/doctor | tr -s ' \n' ' ')"
    grep -q 'FAILED.*/run/invoicegate/1.sock' /srv/doctor
    systemctl start invoicegate@1
    invoicegatectl doctor >/srv/doctor
}

# A newer version: the host's configuration stays as it is.
must_install_again() {
    local before
    before=$(cat /etc/invoicegate/* | sha256sum)
    make install >/dev/null
    [ "$(cat /etc/invoicegate/* | sha256sum)" = "$before" ]
    systemctl daemon-reload
    invoicegatectl migrate
    systemctl restart invoicegate@1
    systemctl restart invoicegate@2
    must_create newer "after another installation"
}

must_go() {
    systemctl disable -q --now invoicegate@1 invoicegate@2
    make uninstall >/dev/null
    [ -z "$(find /usr/local -name '*invoicegate*')" ]
    [ -s /etc/invoicegate/invoicegate.env ] && [ -s /etc/credstore/invoicegate.digest-key ]
    say "uninstalled; the configuration is still there"
}

systemctl start upstream
export INVOICEGATE_DATABASE='host=/run/postgresql dbname=invoicegate user=postgres'
step 2
step 3
# What the README tells to do with an editor.
printf sk_test_sandbox >/etc/credstore/invoicegate.upstream-test-key
sed -i 's,^INVOICEGATE_UPSTREAM_URL=.*,INVOICEGATE_UPSTREAM_URL=http://127.0.0.1:12111,' /etc/invoicegate/invoicegate.env
step 4
key=$(tail -n 1 /srv/readme/output-4)
step 5
step 6
sed -i '0,/server_name _;/s,server_name _;,&\n    include /usr/local/share/invoicegate/nginx/invoicegate-server.conf;,' /etc/nginx/sites-available/default
step 7
step 8
must_create first "an invoice"
must_be_private
must_restart_unnoticed
must_create first "the first call again"
must_come_back
must_do_without_one
must_install_again
must_go
echo passed
