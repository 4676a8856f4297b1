#include "base/digest.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <time.h>

/* Looking algorithms up by their names costs more than using them on a short text: they are kept. NULL when
 * libcrypto fails. */
static const EVP_MD *sha256(void)
{
    static EVP_MD *kept;

    if (!kept)
        kept = EVP_MD_fetch(NULL, "SHA256", NULL);
    return kept;
}

static EVP_MAC_CTX *hmac_sha256(void)
{
    static EVP_MAC_CTX *kept;
    char name[] = "SHA256";
    OSSL_PARAM parts[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                          OSSL_PARAM_construct_end()};
    EVP_MAC *hmac;

    if (kept)
        return kept;
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    kept = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    if (kept && EVP_MAC_CTX_set_params(kept, parts) != 1) {
        EVP_MAC_CTX_free(kept);
        kept = NULL;
    }
    return kept;
}

bool digest_sha256(struct text input, uint8_t digest[DIGEST_BYTES])
{
    unsigned int length = 0;

    return EVP_Digest(input.at, input.length, digest, &length, sha256(), NULL) == 1 && length == DIGEST_BYTES;
}

bool digest_hmac(struct text key, struct text input, uint8_t digest[DIGEST_BYTES])
{
    static const char no_key[1] = "";
    EVP_MAC_CTX *hmac = hmac_sha256();
    size_t length = 0;

    return hmac &&
           EVP_MAC_init(hmac, (const unsigned char *)(key.at ? key.at : no_key), key.length, NULL) == 1 &&
           EVP_MAC_update(hmac, (const unsigned char *)input.at, input.length) == 1 &&
           EVP_MAC_final(hmac, digest, &length, DIGEST_BYTES) == 1 && length == DIGEST_BYTES;
}

void digest_hex(const uint8_t *bytes, size_t length, char *hex)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < length; i++) {
        *hex++ = digits[bytes[i] >> 4];
        *hex++ = digits[bytes[i] & 15];
    }
    *hex = '\0';
}

bool random_bytes(uint8_t *bytes, size_t length)
{
    return length <= INT_MAX && RAND_bytes(bytes, (int)length) == 1;
}

/* For what is no secret: many at a time, which costs hardly more than one. */
static bool random_pooled(uint8_t *bytes, size_t length)
{
    static uint8_t pool[1024];
    static size_t left;

    CHECK(length <= sizeof pool);
    if (length > left) {
        if (!random_bytes(pool, sizeof pool))
            return false;
        left = sizeof pool;
    }
    left -= length;
    memcpy(bytes, pool + left, length);
    return true;
}

static uint64_t unix_ms(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The 12 bits behind the version count within one millisecond (RFC 9562, section 6.2, method 1). They start
 * at random below 2048, so that at least 2048 ids fit; more borrow from the next millisecond. */
#define COUNTER_START_MASK 0x7ffU
#define COUNTER_LAST 0xfffU

bool uuid7_make(uint8_t uuid[UUID_BYTES])
{
    static uint64_t last_ms; /* the last id's time and counter: what the next one must exceed */
    static uint32_t counter;
    uint64_t now_ms = unix_ms();

    if (!random_pooled(uuid, UUID_BYTES))
        return false;
    if (now_ms > last_ms || counter == COUNTER_LAST) {
        last_ms = now_ms > last_ms ? now_ms : last_ms + 1;
        counter = ((uint32_t)uuid[6] << 8 | uuid[7]) & COUNTER_START_MASK;
    } else {
        counter++;
    }
    for (int i = 0; i < 6; i++)
        uuid[i] = (uint8_t)(last_ms >> (40 - 8 * i));
    uuid[6] = (uint8_t)(0x70 | counter >> 8);
    uuid[7] = (uint8_t)counter;
    uuid[8] = (uint8_t)(0x80 | (uuid[8] & 0x3f));
    return true;
}

static bool dash_before(int byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void uuid_text(const uint8_t uuid[UUID_BYTES], char text[UUID_TEXT_BYTES])
{
    for (int i = 0; i < UUID_BYTES; i++) {
        if (dash_before(i))
            *text++ = '-';
        digest_hex(&uuid[i], 1, text);
        text += 2;
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool uuid_from_text(struct text text, uint8_t uuid[UUID_BYTES])
{
    const char *at = text.at;

    if (text.length != UUID_TEXT_BYTES - 1)
        return false;
    for (int i = 0; i < UUID_BYTES; i++) {
        if (dash_before(i) && *at++ != '-')
            return false;
        if (hex_value(at[0]) < 0 || hex_value(at[1]) < 0)
            return false;
        uuid[i] = (uint8_t)(hex_value(at[0]) << 4 | hex_value(at[1]));
        at += 2;
    }
    return true;
}
