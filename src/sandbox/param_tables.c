#include "sandbox/params.h"

enum { MOST_TEXT = 5000, MOST_SHORT = 350, MOST_LIST = 100 };

#define MOST_AMOUNT 999999999999LL
#define MOST_TIME 253402300799LL
#define TEXT(name, most)                                                                                     \
    {                                                                                                        \
        name, PARAM_TEXT, false, DIALECT_BOTH, NULL, 0, most                                                 \
    }
#define ID(name)                                                                                             \
    {                                                                                                        \
        name, PARAM_ID, false, DIALECT_BOTH, NULL, 0, MOST_TEXT                                              \
    }
#define NEEDED_ID(name)                                                                                      \
    {                                                                                                        \
        name, PARAM_ID, true, DIALECT_BOTH, NULL, 0, MOST_TEXT                                               \
    }
#define INT(name, least, most)                                                                               \
    {                                                                                                        \
        name, PARAM_INT, false, DIALECT_BOTH, NULL, least, most                                              \
    }
#define BOOL(name)                                                                                           \
    {                                                                                                        \
        name, PARAM_BOOL, false, DIALECT_BOTH, NULL, 0, 0                                                    \
    }
#define ENUM(name, choices)                                                                                  \
    {                                                                                                        \
        name, PARAM_ENUM, false, DIALECT_BOTH, choices, 0, 0                                                 \
    }
#define CURRENCY(name)                                                                                       \
    {                                                                                                        \
        name, PARAM_CURRENCY, false, DIALECT_BOTH, NULL, 0, 0                                                \
    }
#define DECIMAL(name)                                                                                        \
    {                                                                                                        \
        name, PARAM_DECIMAL, false, DIALECT_BOTH, NULL, 0, 0                                                 \
    }
#define ANY(name)                                                                                            \
    {                                                                                                        \
        name, PARAM_ANY, false, DIALECT_BOTH, NULL, 0, 0                                                     \
    }
#define NEW_ID(name)                                                                                         \
    {                                                                                                        \
        name, PARAM_ID, false, DIALECT_NEW, NULL, 0, MOST_TEXT                                               \
    }
#define OLD_ID(name)                                                                                         \
    {                                                                                                        \
        name, PARAM_ID, false, DIALECT_OLD, NULL, 0, MOST_TEXT                                               \
    }
#define METADATA(prefix)                                                                                     \
    {prefix, PARAM_METADATA, false, DIALECT_BOTH, NULL, 0, 0},                                               \
    {                                                                                                        \
        prefix "[*]", PARAM_METADATA, false, DIALECT_BOTH, NULL, 0, 0                                        \
    }
#define EXPAND ANY("expand[#]")
#define PAGES INT("limit", 1, MOST_LIST), ID("starting_after"), ID("ending_before")
#define CREATED                                                                                              \
    INT("created", 0, MOST_TIME), INT("created[gt]", 0, MOST_TIME), INT("created[gte]", 0, MOST_TIME),       \
        INT("created[lt]", 0, MOST_TIME), INT("created[lte]", 0, MOST_TIME)
#define END                                                                                                  \
    {                                                                                                        \
        NULL, PARAM_ANY, false, DIALECT_BOTH, NULL, 0, 0                                                     \
    }

const struct param PARAMS_NONE[] = {END};
const struct param PARAMS_READ[] = {EXPAND, END};

#define PRODUCT_COMMON                                                                                       \
    TEXT("description", MOST_TEXT), BOOL("active"), METADATA("metadata"), TEXT("unit_label", 12),            \
        TEXT("statement_descriptor", 22), BOOL("shippable"), TEXT("tax_code", MOST_SHORT),                   \
        TEXT("url", 2048), ANY("images[#]"), EXPAND

const struct param PARAMS_PRODUCT_CREATE[] = {
    {"name", PARAM_ID, true, DIALECT_BOTH, NULL, 0, MOST_TEXT},
    ID("id"),
    ENUM("type", "service|good"),
    PRODUCT_COMMON,
    END,
};
const struct param PARAMS_PRODUCT_UPDATE[] = {ID("name"), TEXT("default_price", MOST_TEXT), PRODUCT_COMMON,
                                              END};
const struct param PARAMS_PRODUCT_LIST[] = {BOOL("active"), ID("ids[#]"), PAGES, CREATED, EXPAND, END};

const struct param PARAMS_PRICE_CREATE[] = {
    {"currency", PARAM_CURRENCY, true, DIALECT_BOTH, NULL, 0, 0},
    NEEDED_ID("product"),
    INT("unit_amount", 0, MOST_AMOUNT),
    DECIMAL("unit_amount_decimal"),
    BOOL("active"),
    TEXT("nickname", MOST_TEXT),
    ENUM("recurring[interval]", "day|week|month|year"),
    INT("recurring[interval_count]", 1, 1095),
    METADATA("metadata"),
    EXPAND,
    END,
};
const struct param PARAMS_PRICE_UPDATE[] = {BOOL("active"), TEXT("nickname", MOST_TEXT), METADATA("metadata"),
                                            EXPAND, END};
const struct param PARAMS_PRICE_LIST[] = {
    BOOL("active"), ID("product"), CURRENCY("currency"), ENUM("type", "one_time|recurring"), PAGES, CREATED,
    EXPAND,         END,
};

const struct param PARAMS_CUSTOMER_CREATE[] = {
    TEXT("email", 512),
    TEXT("name", 256),
    TEXT("description", MOST_TEXT),
    TEXT("phone", 20),
    ANY("address[*]"),
    ANY("shipping[*]"),
    ANY("shipping[address][*]"),
    ANY("preferred_locales[#]"),
    ENUM("tax_exempt", "none|exempt|reverse"),
    TEXT("invoice_prefix", 12),
    METADATA("metadata"),
    EXPAND,
    END,
};
const struct param PARAMS_CUSTOMER_LIST[] = {TEXT("email", 512), PAGES, CREATED, EXPAND, END};

#define INVOICE_COMMON                                                                                       \
    TEXT("description", 1500), BOOL("auto_advance"), METADATA("metadata"),                                   \
        ENUM("collection_method", "charge_automatically|send_invoice"), INT("days_until_due", 0, 3650),      \
        INT("due_date", 0, MOST_TIME), TEXT("footer", MOST_TEXT), ANY("custom_fields"),                      \
        TEXT("custom_fields[#][name]", 40), TEXT("custom_fields[#][value]", 140), ANY("default_tax_rates"),  \
        ID("default_tax_rates[#]"), TEXT("on_behalf_of", MOST_TEXT),                                         \
        INT("application_fee_amount", 0, MOST_AMOUNT), ENUM("issuer[type]", "self|account"),                 \
        ID("issuer[account]"), ID("transfer_data[destination]"),                                             \
        INT("transfer_data[amount]", 0, MOST_AMOUNT), TEXT("statement_descriptor", 22),                      \
        BOOL("automatic_tax[enabled]"), ANY("payment_settings[payment_method_types][#]"),                    \
        TEXT("default_payment_method", MOST_TEXT), EXPAND

const struct param PARAMS_INVOICE_CREATE[] = {
    NEEDED_ID("customer"),
    CURRENCY("currency"),
    ENUM("pending_invoice_items_behavior", "include|exclude"),
    INVOICE_COMMON,
    END,
};
const struct param PARAMS_INVOICE_UPDATE[] = {INVOICE_COMMON, END};
const struct param PARAMS_INVOICE_LIST[] = {ID("customer"),
                                            ENUM("status", "draft|open|paid|uncollectible|void"),
                                            ENUM("collection_method", "charge_automatically|send_invoice"),
                                            PAGES,
                                            CREATED,
                                            EXPAND,
                                            END};
const struct param PARAMS_INVOICE_FINALIZE[] = {BOOL("auto_advance"), EXPAND, END};
const struct param PARAMS_INVOICE_PAY[] = {BOOL("paid_out_of_band"), BOOL("forgive"), BOOL("off_session"),
                                           ID("payment_method"),     EXPAND,          END};

const struct param PARAMS_LINES_ADD[] = {
    NEW_ID("lines[#][pricing][price]"),
    OLD_ID("lines[#][price]"),
    INT("lines[#][quantity]", 0, MOST_AMOUNT),
    TEXT("lines[#][description]", 1500),
    INT("lines[#][amount]", -MOST_AMOUNT, MOST_AMOUNT),
    BOOL("lines[#][discountable]"),
    METADATA("lines[#][metadata]"),
    METADATA("invoice_metadata"),
    EXPAND,
    END,
};
const struct param PARAMS_LINES_LIST[] = {PAGES, EXPAND, END};

const struct param PARAMS_ITEM_CREATE[] = {
    NEEDED_ID("customer"),
    ID("invoice"),
    NEW_ID("pricing[price]"),
    OLD_ID("price"),
    INT("amount", -MOST_AMOUNT, MOST_AMOUNT),
    CURRENCY("currency"),
    INT("quantity", 0, MOST_AMOUNT),
    TEXT("description", 1500),
    BOOL("discountable"),
    METADATA("metadata"),
    EXPAND,
    END,
};
const struct param PARAMS_ITEM_LIST[] = {
    ID("customer"), ID("invoice"), BOOL("pending"), PAGES, CREATED, EXPAND, END};
