// Who calls, and for which account.
#pragma once

#include "sandbox/call.h"
#include "sandbox/options.h"

// Sets the mode; false with a 401 when the header holds no key of ours.
bool auth_key(struct call *call, const struct options *options, const char *authorization) MUST_CHECK;

// Sets the account (the platform's own without a header); false with a 403.
bool auth_account(struct call *call, const char *account) MUST_CHECK;
