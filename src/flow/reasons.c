#include "flow/reasons.h"

static const struct reason reasons[] = {
    {"key_invalid", 401, 0, "The API key is missing or not valid. Send it in the Authorization header."},
    {"wrong_keys", 429, 60,
     "There were too many wrong API keys from this address. Send a valid one, or try again later."},
    {"agency_limit", 429, 1,
     "This agency has too many requests under way. Nothing was done; try again in a moment."},
    {"mode_not_served", 403, 0,
     "This gateway does not serve this kind of API key (live or test). Ask its operator for the other kind."},
    {"out_of_scope", 403, 0, "This API key may not be used for this account or this call."},
    {"in_flight", 409, 1,
     "A request with this Idempotency-Key is still being worked on. Send it again in a moment."},
    {"invoice_busy", 429, 1,
     "Another call on this invoice is still being worked on. Send this one again in a moment."},
    {"key_reused", 422, 0,
     "This Idempotency-Key was used with other parameters. Use a new key for a new invoice."},
    {"no_default_account", 400, 0, "The agency has no default account: name the account in the request."},
    {"account_unknown", 404, 0, "The account in the path is not known to this agency."},
    {"invoice_unknown", 404, 0, "No such invoice: it is not one that this gateway made for this account."},
    {"customer_unknown", 404, 0, "No such customer: it is not one that this agency may use."},
    {"client_unknown", 404, 0, "data.clientId names no client of this agency."},
    {"product_unknown", 404, 0, "data.productId names no product of this account."},
    {"no_admin_member", 400, 0, "The client has no admin member. Assign one, then send the request again."},
    {"admin_without_email", 400, 0,
     "The client's admin member has no e-mail address, which collection_method send_invoice needs."},
    {"product_archived", 400, 0, "The product in data.productId is archived."},
    {"no_one_time_price", 400, 0, "The product in data.productId has no active one-time price."},
    {"ambiguous_price", 400, 0,
     "The product in data.productId has several one-time prices and no default. Set its default price."},
    {"price_without_amount", 400, 0,
     "The one-time price of the product in data.productId has no fixed amount."},
    {"upstream_refused", 400, 0, "The payment provider refused the invoice."},
    {"upstream_unauthorized", 502, 0,
     "The payment provider refused the gateway's own credential. Its operator has to look at it."},
    {"upstream_forbidden", 502, 0, "The payment provider does not let the gateway use this account."},
    {"upstream_nonsense", 502, 0,
     "The payment provider gave an answer that makes no sense. No invoice was made."},
    {"upstream_away", 503, 5,
     "The payment provider cannot be reached. No invoice was made; try again later."},
    {"upstream_limit", 503, 5,
     "The payment provider is limiting requests. No invoice was made; try again later."},
    {"amount_mismatch", 502, 0,
     "The payment provider's invoice differs from the product's price. It was deleted; no invoice stands."},
    {"mode_mismatch", 502, 0,
     "The payment provider made a live invoice for a test key. It was deleted; no invoice stands."},
    {"not_found_upstream", 502, 0, "The payment provider lost the request. No invoice was made."},
    {"client_left", 503, 1, "The client left before an invoice was made."},
    {"compensated", 504, 0,
     "The answer came too late for a request without Idempotency-Key: its draft was deleted."},
    {"stood_already", 504, NOT_AGAIN,
     "The invoice differs from the request and could not be deleted any more. It stands."},
    {"overloaded", 503, 1, "The gateway is at its limit of open requests. Try again in a moment."},
    {"database_away", 503, 1,
     "The gateway cannot reach its database. No invoice was made; try again in a moment."},
    {"database_unread", 503, 1, "The gateway cannot read its database. Try again in a moment."},
    {"upstream_unread", 503, 5, "The payment provider cannot be reached. Try again later."},
    {"cursor_unknown", 400, 0, "The list begins or ends at an invoice that is not in it."},
    {"internal", 500, 0, "An unexpected error occurred"},
    {"unresolved", 504, 0,
     "No answer before the deadline. The outcome is being settled: sending the request again with the same "
     "Idempotency-Key is safe."},
    {"unresolved_keyless", 504, 0,
     "No answer before the deadline. The request had no Idempotency-Key: no invoice will stand."},
    {"unresolved_act", 504, NOT_AGAIN,
     "No answer before the deadline. The outcome is being settled: look at the invoice before trying again."},
    {"act_not_done", 502, 0, "The payment provider lost the request. Nothing was changed."},
    {"act_unsure", 504, NOT_AGAIN,
     "It is not known whether this was done. Look at the invoice before trying again."},
};

const struct reason *reason_find(struct text word)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (text_is(word, text_from(reasons[i].word)))
            return &reasons[i];
    return NULL;
}

const struct reason *reason_of(const char *word)
{
    const struct reason *reason = reason_find(text_from(word));
    CHECK(reason);
    return reason;
}
