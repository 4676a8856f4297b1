/* Amounts in the smallest unit of a currency, as people write them. */
#ifndef INVOICEGATE_CTL_MONEY_H
#define INVOICEGATE_CTL_MONEY_H

#include "base/arena.h"

/* "10000" and "usd" to "100.00 USD"; the digits may be more than 64 bits hold. Absent when the amount is. */
struct text money(struct arena *arena, struct text minor, struct text currency);

#endif
