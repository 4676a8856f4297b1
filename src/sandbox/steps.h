// What kind of call it is, as fault rules and counters name it. `any` stands for all of them.
#pragma once

#define STEPS(X)                                                                                             \
    X(STEP_ANY, "any")                                                                                       \
    X(STEP_PRODUCT, "product")                                                                               \
    X(STEP_PRICE, "price")                                                                                   \
    X(STEP_CUSTOMER, "customer")                                                                             \
    X(STEP_INVOICE, "invoice")                                                                               \
    X(STEP_LINES, "lines")                                                                                   \
    X(STEP_GET_INVOICE, "get_invoice")                                                                       \
    X(STEP_LIST_INVOICES, "list_invoices")                                                                   \
    X(STEP_DELETE, "delete")                                                                                 \
    X(STEP_ADVANCE, "advance")                                                                               \
    X(STEP_FINALIZE, "finalize")                                                                             \
    X(STEP_SEND, "send")                                                                                     \
    X(STEP_VOID, "void")                                                                                     \
    X(STEP_PAY, "pay")                                                                                       \
    X(STEP_INVOICEITEM, "invoiceitem")                                                                       \
    X(STEP_ACCOUNT, "account")

enum step {
#define X(name, text) name,
    STEPS(X)
#undef X
        STEP_COUNT
};

const char *step_name(enum step step);

// STEP_COUNT when no step has that name.
enum step step_by_name(const char *name);
