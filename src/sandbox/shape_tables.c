#include "sandbox/shape_tables.h"

#define PIECE(text, type, field, kind, fallback)                                                             \
    {                                                                                                        \
        text, fallback, sizeof text - 1, offsetof(struct type, field), kind                                  \
    }
#define STRING(text, type, field) PIECE(text, type, field, KIND_STRING, NULL)
#define NUMBER(text, type, field) PIECE(text, type, field, KIND_NUMBER, NULL)
#define BOOL(text, type, field) PIECE(text, type, field, KIND_BOOL, NULL)
#define METADATA(text, type, field) PIECE(text, type, field, KIND_METADATA, NULL)
#define LINES(text, type, field) PIECE(text, type, field, KIND_LINES, NULL)
#define PRICING(text, type, field) PIECE(text, type, field, KIND_PRICING, NULL)
#define WHOLE_PRICE(text, type, field) PIECE(text, type, field, KIND_PRICE, NULL)
#define PRODUCT_PRICE(text, type, field) PIECE(text, type, field, KIND_PRODUCT_PRICE, NULL)
#define RAW(text, type, field, fallback) PIECE(text, type, field, KIND_RAW, fallback)
#define LAST(text)                                                                                           \
    {                                                                                                        \
        text, NULL, sizeof text - 1, 0, KIND_NOTHING                                                         \
    }

static const struct piece INVOICE[] = {
    STRING("{\"id\":", invoice, id),
    NUMBER(",\"object\":\"invoice\",\"account_country\":\"US\",\"account_name\":\"Sandbox\",\"account_tax_"
           "ids\":null,\"amount_due\":",
           invoice, amount_due_minor),
    NUMBER(",\"amount_paid\":", invoice, amount_paid_minor),
    NUMBER(",\"amount_overpaid\":0,\"amount_remaining\":", invoice, amount_remaining_minor),
    NUMBER(",\"amount_shipping\":0,\"application\":null,\"attempt_count\":", invoice, attempt_count),
    BOOL(",\"attempted\":", invoice, attempted),
    BOOL(",\"auto_advance\":", invoice, auto_advance),
    RAW(",\"automatic_tax\":", invoice, automatic_tax_json,
        "{\"enabled\":false,\"liability\":null,\"status\":null}"),
    STRING(",\"billing_reason\":\"manual\",\"collection_method\":", invoice, collection_method),
    NUMBER(",\"created\":", invoice, created_s),
    STRING(",\"currency\":", invoice, currency),
    RAW(",\"custom_fields\":", invoice, custom_fields_json, "null"),
    STRING(",\"customer\":", invoice, customer_id),
    STRING(",\"customer_address\":null,\"customer_email\":", invoice, customer_email),
    STRING(",\"customer_name\":", invoice, customer_name),
    STRING(",\"customer_phone\":", invoice, customer_phone),
    RAW(",\"customer_shipping\":null,\"customer_tax_exempt\":\"none\",\"customer_tax_ids\":[],\"confirmation_"
        "secret\":null,\"default_payment_method\":null,\"default_source\":null,\"default_tax_rates\":",
        invoice, tax_rates_json, "[]"),
    STRING(",\"description\":", invoice, description),
    NUMBER(",\"discounts\":[],\"due_date\":", invoice, due_s),
    NUMBER(",\"ending_balance\":", invoice, ending_balance_minor),
    STRING(",\"footer\":", invoice, footer),
    STRING(",\"from_invoice\":null,\"hosted_invoice_url\":", invoice, hosted_url),
    STRING(",\"invoice_pdf\":", invoice, pdf_url),
    RAW(",\"issuer\":", invoice, issuer_json, "{\"type\":\"self\"}"),
    LINES(",\"last_finalization_error\":null,\"latest_revision\":null,\"lines\":", invoice, lines),
    BOOL(",\"payments\":{\"object\":\"list\",\"data\":[],\"has_more\":false,\"total_count\":0,\"url\":\"/v1/"
         "invoice_payments\"},\"livemode\":",
         invoice, livemode),
    METADATA(",\"metadata\":", invoice, metadata),
    STRING(",\"next_payment_attempt\":null,\"number\":", invoice, number),
    STRING(",\"on_behalf_of\":", invoice, on_behalf_of),
    BOOL(",\"paid\":", invoice, paid),
    BOOL(",\"paid_out_of_band\":", invoice, paid_out_of_band),
    RAW(",\"parent\":null,\"payment_intent\":null,\"payment_settings\":", invoice, payment_settings_json,
        "{\"default_mandate\":null,\"payment_method_options\":null,\"payment_method_types\":null}"),
    NUMBER(",\"period_end\":", invoice, created_s),
    NUMBER(",\"period_start\":", invoice, created_s),
    RAW(",\"post_payment_credit_notes_amount\":0,\"pre_payment_credit_notes_amount\":0,\"receipt_number\":"
        "null,\"shipping_cost\":null,\"shipping_details\":",
        invoice, shipping_json, "null"),
    STRING(",\"starting_balance\":0,\"statement_descriptor\":", invoice, statement_descriptor),
    STRING(",\"status\":", invoice, status),
    NUMBER(",\"status_transitions\":{\"finalized_at\":", invoice, finalized_s),
    NUMBER(",\"marked_uncollectible_at\":", invoice, uncollectible_s),
    NUMBER(",\"paid_at\":", invoice, paid_s),
    NUMBER(",\"voided_at\":", invoice, voided_s),
    NUMBER("},\"subtotal\":", invoice, subtotal_minor),
    NUMBER(",\"subtotal_excluding_tax\":", invoice, subtotal_minor),
    NUMBER(",\"test_clock\":null,\"total\":", invoice, total_minor),
    NUMBER(",\"total_discount_amounts\":[],\"total_excluding_tax\":", invoice, subtotal_minor),
    RAW(",\"total_taxes\":", invoice, taxes_json, "[]"),
    RAW(",\"transfer_data\":", invoice, transfer_json, "null"),
    NUMBER(",\"webhooks_delivered_at\":", invoice, created_s),
    LAST("}"),
};

static const struct piece LINE[] = {
    STRING("{\"id\":", line, id),
    NUMBER(",\"object\":\"line_item\",\"amount\":", line, amount_minor),
    STRING(",\"currency\":", line, currency),
    STRING(",\"description\":", line, description),
    STRING(",\"discount_amounts\":[],\"discountable\":true,\"discounts\":[],\"invoice\":", line, invoice_id),
    BOOL(",\"livemode\":", line, livemode),
    METADATA(",\"metadata\":", line, metadata),
    STRING(",\"parent\":{\"invoice_item_details\":{\"invoice_item\":", line, item_id),
    NUMBER(",\"proration\":false,\"proration_details\":{\"credited_items\":null},\"subscription\":null},"
           "\"subscription_item_details\":null,\"type\":\"invoice_item_details\"},\"period\":{\"end\":",
           line, period_end_s),
    NUMBER(",\"start\":", line, period_start_s),
    PRICING("},\"pretax_credit_amounts\":[],\"pricing\":", line, price),
    NUMBER(",\"quantity\":", line, quantity),
    LAST(",\"taxes\":[]}"),
};

static const struct piece LINE_OLD[] = {
    STRING("{\"id\":", line, id),
    NUMBER(",\"object\":\"line_item\",\"amount\":", line, amount_minor),
    STRING(",\"currency\":", line, currency),
    STRING(",\"description\":", line, description),
    STRING(",\"discount_amounts\":[],\"discountable\":true,\"discounts\":[],\"invoice\":", line, invoice_id),
    BOOL(",\"livemode\":", line, livemode),
    METADATA(",\"metadata\":", line, metadata),
    STRING(",\"invoice_item\":", line, item_id),
    NUMBER(",\"period\":{\"end\":", line, period_end_s),
    NUMBER(",\"start\":", line, period_start_s),
    WHOLE_PRICE("},\"plan\":null,\"price\":", line, price),
    NUMBER(",\"proration\":false,\"proration_details\":{\"credited_items\":null},\"quantity\":", line,
           quantity),
    LAST(",\"subscription\":null,\"tax_amounts\":[],\"tax_rates\":[],\"type\":\"invoiceitem\"}"),
};

static const struct piece ITEM[] = {
    STRING("{\"id\":", item, id),
    NUMBER(",\"object\":\"invoiceitem\",\"amount\":", item, amount_minor),
    STRING(",\"currency\":", item, currency),
    STRING(",\"customer\":", item, customer_id),
    NUMBER(",\"date\":", item, date_s),
    STRING(",\"description\":", item, description),
    STRING(",\"discountable\":true,\"discounts\":[],\"invoice\":", item, invoice_id),
    BOOL(",\"livemode\":", item, livemode),
    METADATA(",\"metadata\":", item, metadata),
    NUMBER(",\"parent\":null,\"period\":{\"end\":", item, date_s),
    NUMBER(",\"start\":", item, date_s),
    PRICING("},\"pricing\":", item, price),
    NUMBER(",\"proration\":false,\"quantity\":", item, quantity),
    LAST(",\"tax_rates\":[],\"test_clock\":null}"),
};

static const struct piece ITEM_OLD[] = {
    STRING("{\"id\":", item, id),
    NUMBER(",\"object\":\"invoiceitem\",\"amount\":", item, amount_minor),
    STRING(",\"currency\":", item, currency),
    STRING(",\"customer\":", item, customer_id),
    NUMBER(",\"date\":", item, date_s),
    STRING(",\"description\":", item, description),
    STRING(",\"discountable\":true,\"discounts\":[],\"invoice\":", item, invoice_id),
    BOOL(",\"livemode\":", item, livemode),
    METADATA(",\"metadata\":", item, metadata),
    NUMBER(",\"period\":{\"end\":", item, date_s),
    NUMBER(",\"start\":", item, date_s),
    WHOLE_PRICE("},\"plan\":null,\"price\":", item, price),
    NUMBER(",\"proration\":false,\"quantity\":", item, quantity),
    LAST(",\"subscription\":null,\"tax_rates\":[],\"test_clock\":null}"),
};

static const struct piece CUSTOMER[] = {
    STRING("{\"id\":", customer, id),
    NUMBER(",\"object\":\"customer\",\"address\":null,\"balance\":0,\"created\":", customer, created_s),
    STRING(",\"currency\":", customer, currency),
    STRING(",\"default_source\":null,\"delinquent\":false,\"description\":", customer, description),
    STRING(",\"discount\":null,\"email\":", customer, email),
    STRING(",\"invoice_prefix\":", customer, prefix),
    BOOL(",\"invoice_settings\":{\"custom_fields\":null,\"default_payment_method\":null,\"footer\":null,"
         "\"rendering_options\":null},\"livemode\":",
         customer, livemode),
    METADATA(",\"metadata\":", customer, metadata),
    STRING(",\"name\":", customer, name),
    NUMBER(",\"next_invoice_sequence\":", customer, next_sequence),
    STRING(",\"phone\":", customer, phone),
    LAST(",\"preferred_locales\":[],\"shipping\":null,\"tax_exempt\":\"none\",\"test_clock\":null}"),
};

static const struct piece PRICE[] = {
    STRING("{\"id\":", price, id),
    BOOL(",\"object\":\"price\",\"active\":", price, active),
    NUMBER(",\"billing_scheme\":\"per_unit\",\"created\":", price, created_s),
    STRING(",\"currency\":", price, currency),
    BOOL(",\"custom_unit_amount\":null,\"livemode\":", price, livemode),
    METADATA(",\"lookup_key\":null,\"metadata\":", price, metadata),
    STRING(",\"nickname\":", price, nickname),
    STRING(",\"product\":", price, product_id),
    RAW(",\"recurring\":", price, recurring_json, "null"),
    STRING(",\"tax_behavior\":\"unspecified\",\"tiers_mode\":null,\"transform_quantity\":null,\"type\":",
           price, type),
    NUMBER(",\"unit_amount\":", price, unit_amount_minor),
    STRING(",\"unit_amount_decimal\":", price, unit_decimal),
    LAST("}"),
};

static const struct piece PRODUCT[] = {
    STRING("{\"id\":", product, id),
    BOOL(",\"object\":\"product\",\"active\":", product, active),
    NUMBER(",\"attributes\":[],\"created\":", product, created_s),
    PRODUCT_PRICE(",\"default_price\":", product, default_price),
    STRING(",\"description\":", product, description),
    BOOL(",\"images\":[],\"livemode\":", product, livemode),
    METADATA(",\"marketing_features\":[],\"metadata\":", product, metadata),
    STRING(",\"name\":", product, name),
    NUMBER(",\"package_dimensions\":null,\"shippable\":null,\"statement_descriptor\":null,\"tax_code\":null,"
           "\"type\":\"service\",\"unit_label\":null,\"updated\":",
           product, updated_s),
    LAST(",\"url\":null}"),
};

#define TABLE(name)                                                                                          \
    {                                                                                                        \
        name, sizeof name / sizeof *name                                                                     \
    }

static const struct shape_table TABLES[SHAPE_COUNT] = {
    [SHAPE_INVOICE] = TABLE(INVOICE), [SHAPE_LINE] = TABLE(LINE),         [SHAPE_LINE_OLD] = TABLE(LINE_OLD),
    [SHAPE_ITEM] = TABLE(ITEM),       [SHAPE_ITEM_OLD] = TABLE(ITEM_OLD), [SHAPE_CUSTOMER] = TABLE(CUSTOMER),
    [SHAPE_PRICE] = TABLE(PRICE),     [SHAPE_PRODUCT] = TABLE(PRODUCT),
};

const struct shape_table *shape_table(enum shape shape)
{
    return &TABLES[shape];
}
