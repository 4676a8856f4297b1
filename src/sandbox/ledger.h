// What really exists, whatever was answered.
#pragma once

#include "sandbox/store.h"
#include "sandbox/text.h"

// account and mode ("live", "test") may be NULL for all; summary leaves the lists out.
void ledger_write(struct text *text, const struct store *store, const char *account, const char *mode,
                  bool summary);
