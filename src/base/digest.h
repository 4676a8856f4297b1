/* Digests, random bytes and the ids made of them. OpenSSL's libcrypto does the arithmetic (libcurl and libpq
 * bring it along already). */
#ifndef INVOICEGATE_BASE_DIGEST_H
#define INVOICEGATE_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define DIGEST_BYTES 32
#define UUID_BYTES 16
#define UUID_TEXT_BYTES 37 /* with its NUL */

MUST_CHECK bool digest_sha256(struct text input, uint8_t digest[DIGEST_BYTES]);
/* HMAC-SHA-256; key is a secret of any length. */
MUST_CHECK bool digest_hmac(struct text key, struct text input, uint8_t digest[DIGEST_BYTES]);
/* Lower-case hex, NUL-terminated: hex must have room for 2 * length + 1. */
void digest_hex(const uint8_t *bytes, size_t length, char *hex);

MUST_CHECK bool random_bytes(uint8_t *bytes, size_t length);

/* UUID version 7 (RFC 9562): 48 bits of unix milliseconds, then random. Strictly increasing within one
 * process. */
MUST_CHECK bool uuid7_make(uint8_t uuid[UUID_BYTES]);
void uuid_text(const uint8_t uuid[UUID_BYTES], char text[UUID_TEXT_BYTES]);
MUST_CHECK bool uuid_from_text(struct text text, uint8_t uuid[UUID_BYTES]);

#endif
