#!/usr/bin/env bash
# make demo: installs what is missing, builds, starts the private stack, creates one invoice through HTTP and shows the
# answer and what the audit knows of it. PORT, UPSTREAM_URL, UPSTREAM_KEY, WORKERS as for make up.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

title() {
    printf '\n== %s\n' "$*"
}

# Prints the command as one would type it, then runs it: headers and body land in $answer.
create_invoice() {
    local url=$INVOICEGATE_URL/v1/public/stripe/connect/accounts/$INVOICEGATE_ACCOUNT/invoices
    local key body
    key=demo-$(date +%Y%m%d-%H%M%S)-$$
    body=$(printf '{"data":{"clientId":"%s","productId":"%s","collection_method":"send_invoice","days_until_due":30}}' \
        "$INVOICEGATE_CLIENT" "$INVOICEGATE_PRODUCT")
    cat <<END
curl -i '$url' \\
    -H 'Authorization: $INVOICEGATE_KEY' \\
    -H 'Content-Type: application/json' \\
    -H 'Idempotency-Key: $key' \\
    -d '$body'
END
    status=$(curl -q -s --noproxy '*' -m 60 -D "$answer/headers" -o "$answer/body" -w '%{http_code}' "$url" \
        -H "Authorization: $INVOICEGATE_KEY" -H 'Content-Type: application/json' -H "Idempotency-Key: $key" -d "$body") ||
        fail "nothing answers at $INVOICEGATE_URL; the logs are in $(shown "$log_dir")"
}

show_answer() {
    title "The answer"
    tr -d '\r' <"$answer/headers" | sed -n -e 1p -e '/^request-id:/Ip' -e '/^idempotent-replayed:/Ip'
    /usr/bin/python3 -m json.tool <"$answer/body" || cat "$answer/body"
    if [ "$status" != 200 ]; then
        fail "this is not the 200 that was expected; the logs are in $(shown "$log_dir")"
    fi
    invoice=$(/usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])' <"$answer/body")
}

# audit TITLE [psql option...] SQL: rows of the audit, which reads the invoice's id as :'invoice'
audit() {
    local title=$1 sql=${*: -1}
    title "$title"
    printf '%s\n' "$sql" | psql -X -q --pset=pager=off --pset=footer=off -v ON_ERROR_STOP=1 -v invoice="$invoice" \
        "${@:2:$#-2}" -d "$INVOICEGATE_AUDIT_DATABASE"
}

show_audit() {
    if [ "$(psql -X -At -d "$INVOICEGATE_AUDIT_DATABASE" -v invoice="$invoice" \
        <<<"select count(*) from audit.invoices where invoice_id = :'invoice'")" != 1 ]; then
        fail "the audit does not know invoice $invoice; the logs are in $(shown "$log_dir")"
    fi
    local its_request="(select request_id from audit.invoices where invoice_id = :'invoice')"
    audit "What the audit knows: the request (audit.requests)" -x \
        "select * from audit.requests where request_id = $its_request"
    audit "The invoice (audit.invoices; its column object holds all that the upstream said)" -x \
        "select invoice_id, request_id, agency_id, account_id, client_id, customer_id, status, number, amount_minor, currency,
                mode, created_at
           from audit.invoices where invoice_id = :'invoice'"
    audit "Each call to the upstream (audit.upstream_calls)" \
        "select step, attempt, started_at, duration_ms, http_status, outcome, upstream_request_id
           from audit.upstream_calls where request_id = $its_request order by started_at, step, attempt"
    audit "What happened (audit.events)" \
        "select at, worker, what, why from audit.events where request_id = $its_request order by at, event_id"
}

"$root/tests/stack/deps.sh"
title "The private stack"
"$root/tests/stack/up.sh"
# shellcheck source=/dev/null
. "$run_dir/env"
answer=$(mktemp -d)
trap 'rm -rf "$answer"' EXIT

title "One invoice, as any client would ask for it"
create_invoice
show_answer
show_audit

title "And now"
say "Call it yourself with the command above; a new Idempotency-Key makes a new invoice, the same one replays the answer."
printf '  %-50s  %s\n' ". $(shown "$run_dir/env")" "address, keys and ids for your shell" \
    "psql \"\$INVOICEGATE_AUDIT_DATABASE\"" "the audit, read only" \
    "curl \"\$INVOICEGATE_SANDBOX_URL/_sandbox/ledger\"" "what the sandbox has made" \
    "curl \"\$INVOICEGATE_ADMIN_URL/metrics\"" "what the workers count, for Prometheus" \
    "make down" "stops the stack; the data stays"
