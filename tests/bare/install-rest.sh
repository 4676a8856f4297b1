#!/usr/bin/env bash
# On the machine that has booted: the README's other steps, then calls like a client's. /srv/result tells how it went.
set -euo pipefail
exec >/srv/result 2>&1
trap 'journalctl --no-pager -q -n 30 -u "invoicegate@*" -u nginx -u postgresql@15-main || true' ERR

step() {
    echo "bare: step $1 of the README"
    bash -euo pipefail "/srv/readme/command-$1" >"/srv/readme/output-$1" 2>"/srv/readme/errors-$1" || {
        cat "/srv/readme/output-$1" "/srv/readme/errors-$1"
        return 1
    }
}

# create KEY: prints the answer's status
create() {
    local accounts=http://127.0.0.1/v1/public/stripe/connect/accounts
    curl -s -m 20 -o /srv/answer -w '%{http_code}' "$accounts/acct_1NYF2bQUoDmQfLzV/invoices" \
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
    echo "bare: $2: $status $(head -c 300 /srv/answer)"
    [ "$status" = 200 ]
}

systemctl start upstream
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
systemctl restart invoicegate@1 invoicegate@2
must_create second "after a restart of the workers"
must_create first "the first call again"
[ "$(systemctl show -P NRestarts invoicegate@1)" = 0 ]
echo passed
