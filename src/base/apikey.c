#include "base/apikey.h"

#define PREFIX_BYTES 9
#define RANDOM_BYTES 30
#define CHECKSUM_BYTES 6
_Static_assert(PREFIX_BYTES + RANDOM_BYTES + CHECKSUM_BYTES == APIKEY_BYTES, "the parts make the whole");

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char *const names[MODE_COUNT] = {"live", "test"};
static const char prefixes[MODE_COUNT][PREFIX_BYTES + 1] = {"igk_live_", "igk_test_"};

const char *mode_name(enum mode mode)
{
    return names[mode];
}

/* CRC-32 with the polynomial of zlib, four bits at a time. */
static uint32_t crc32_of(const char *at, size_t length)
{
    static const uint32_t of_four_bits[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < length; i++) {
        crc ^= (uint8_t)at[i];
        crc = crc >> 4 ^ of_four_bits[crc & 15];
        crc = crc >> 4 ^ of_four_bits[crc & 15];
    }
    return ~crc;
}

static void write_checksum(char key[APIKEY_BYTES + 1])
{
    uint32_t crc = crc32_of(key, PREFIX_BYTES + RANDOM_BYTES);

    for (int i = APIKEY_BYTES - 1; i >= PREFIX_BYTES + RANDOM_BYTES; i--) {
        key[i] = base62[crc % 62];
        crc /= 62;
    }
    key[APIKEY_BYTES] = '\0';
}

bool apikey_make(enum mode mode, char key[APIKEY_BYTES + 1])
{
    int made = 0;

    memcpy(key, prefixes[mode], PREFIX_BYTES);
    while (made < RANDOM_BYTES) {
        uint8_t random[RANDOM_BYTES];
        if (!random_bytes(random, sizeof random))
            return false;
        for (size_t i = 0; i < sizeof random && made < RANDOM_BYTES; i++)
            if (random[i] < 4 * 62) /* the rest would favour the first digits */
                key[PREFIX_BYTES + made++] = base62[random[i] % 62];
    }
    write_checksum(key);
    return true;
}

static bool is_base62(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool apikey_check(struct text key, enum mode *mode)
{
    char again[APIKEY_BYTES + 1];

    if (key.length != APIKEY_BYTES)
        return false;
    for (size_t i = PREFIX_BYTES; i < APIKEY_BYTES; i++)
        if (!is_base62(key.at[i]))
            return false;
    memcpy(again, key.at, APIKEY_BYTES);
    write_checksum(again);
    if (memcmp(again, key.at, APIKEY_BYTES) != 0)
        return false;
    for (int i = 0; i < MODE_COUNT; i++)
        if (memcmp(key.at, prefixes[i], PREFIX_BYTES) == 0) {
            *mode = (enum mode)i;
            return true;
        }
    return false;
}

bool apikey_digest(struct text digest_key, struct text key, uint8_t digest[DIGEST_BYTES])
{
    return digest_hmac(digest_key, key, digest);
}
