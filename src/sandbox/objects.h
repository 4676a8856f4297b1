// The objects that the API keeps. Each belongs to one scope (an account in one mode) and to the store's
// arena.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/arena.h"
#include "sandbox/table.h"

#define NO_NUMBER INT64_MIN // shown as null

struct pair {
    const char *key;
    const char *value;
};

struct metadata {
    struct pair *pairs;
    size_t count;
};

struct product {
    const char *id;
    const char *name;
    const char *description;
    const char *default_price_id;
    struct price *default_price;
    int64_t created_s;
    int64_t updated_s;
    struct metadata metadata;
    bool active;
    bool livemode;
};

struct price {
    const char *id;
    const char *product_id;
    struct product *product;
    const char *currency;
    const char *nickname;
    const char *type;              // one_time or recurring
    const char *recurring_json;    // null or an object
    const char *unit_decimal;      // as text; never NULL
    int64_t unit_amount_minor;     // NO_NUMBER when it is not a whole number
    int64_t unit_amount_millionth; // of the smallest unit; always set
    int64_t created_s;
    struct metadata metadata;
    bool active;
    bool livemode;
};

struct customer {
    const char *id;
    const char *email;
    const char *name;
    const char *description;
    const char *phone;
    const char *currency;
    const char *prefix;
    const char *account; // of its scope
    const char *idempotency_key;
    int64_t created_s;
    int64_t next_sequence;
    struct metadata metadata;
    struct list invoices; // oldest first, deleted ones too
    struct list items;    // pending ones
    bool livemode;
    bool deleted;
};

struct line {
    const char *id;
    const char *invoice_id;
    const char *item_id;
    const char *currency;
    const char *description;
    const struct price *price; // NULL for a plain amount
    int64_t amount_minor;
    int64_t quantity;
    int64_t period_start_s;
    int64_t period_end_s;
    struct metadata metadata;
    bool livemode;
};

struct item {
    const char *id;
    const char *customer_id;
    const char *invoice_id; // NULL while pending
    const char *currency;
    const char *description;
    const char *idempotency_key;
    const struct price *price;
    struct customer *customer;
    struct invoice *invoice;
    int64_t amount_minor;
    int64_t quantity;
    int64_t date_s;
    struct metadata metadata;
    bool livemode;
    bool deleted;
};

struct invoice {
    const char *id;
    struct customer *customer;
    const char *customer_id;
    const char *customer_email;
    const char *customer_name;
    const char *customer_phone;
    const char *collection_method;
    const char *currency;
    const char *description;
    const char *footer;
    const char *status;
    const char *number;
    const char *hosted_url;
    const char *pdf_url;
    const char *on_behalf_of;
    const char *statement_descriptor;
    const char *custom_fields_json;
    const char *tax_rates_json;
    const char *issuer_json;
    const char *transfer_json;
    const char *automatic_tax_json;
    const char *payment_settings_json;
    const char *shipping_json;
    const char *taxes_json;
    const char *idempotency_key;
    int64_t position; // in its scope's list
    int64_t customer_position;
    int64_t created_s;
    int64_t due_s;
    int64_t finalized_s;
    int64_t uncollectible_s;
    int64_t paid_s;
    int64_t voided_s;
    int64_t ending_balance_minor;
    int64_t subtotal_minor;
    int64_t total_minor;
    int64_t amount_due_minor;
    int64_t amount_paid_minor;
    int64_t amount_remaining_minor;
    int64_t attempt_count;
    int64_t tax_percent;
    int64_t skew_minor; // what a fault adds to the total
    struct metadata metadata;
    struct list lines;
    bool attempted;
    bool auto_advance;
    bool paid;
    bool paid_out_of_band;
    bool livemode;
    bool deleted;
};

// What is saved under an idempotency key.
struct saved {
    const char *id;   // the key itself
    const char *path; // of the latest execution
    const char *body; // packed (shape.h)
    const char *request_id;
    size_t body_len;
    uint64_t digest[2]; // of the path and the form
    int64_t created_ms;
    int64_t busy_until_ms; // monotonic
    int64_t times_used;
    int64_t executions;
    int status;
    bool forgotten;
};

// One account in one mode.
struct scope {
    const char *id;
    const char *account;
    const char *prefix; // of its invoices' numbers
    struct table products;
    struct table prices;
    struct table customers;
    struct table invoices;
    struct table items;
    struct table keys;
    struct list product_list;
    struct list price_list;
    struct list customer_list;
    struct list invoice_list;
    struct list item_list;
    struct list key_list;
    int64_t next_number;
    bool livemode;
};
