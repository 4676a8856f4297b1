/* API keys: igk_live_ or igk_test_, 30 random base62 characters, 6 of checksum: the CRC-32 (as in zlib) of
 * all 39 characters before, as a base62 number with leading zeros. Base62 digits are 0-9, A-Z, a-z in this
 * order. */
#ifndef INVOICEGATE_BASE_APIKEY_H
#define INVOICEGATE_BASE_APIKEY_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/text.h"

#define APIKEY_BYTES 45 /* without NUL */

enum mode { MODE_LIVE, MODE_TEST };
#define MODE_COUNT 2

const char *mode_name(enum mode mode); /* "live", "test" */

/* Writes a fresh key with its NUL. */
MUST_CHECK bool apikey_make(enum mode mode, char key[APIKEY_BYTES + 1]);
/* Whether the text has the form and the checksum is right; says the mode. A mistyped key needs no look-up. */
MUST_CHECK bool apikey_check(struct text key, enum mode *mode);
/* What is kept instead of the key: HMAC-SHA-256 under the operator's digest key. */
MUST_CHECK bool apikey_digest(struct text digest_key, struct text key, uint8_t digest[DIGEST_BYTES]);

#endif
