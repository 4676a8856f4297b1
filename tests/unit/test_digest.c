#include "unit.h"

#include <time.h>

#include "base/digest.h"

static void assert_hex(const uint8_t digest[DIGEST_BYTES], const char *expected)
{
    char hex[2 * DIGEST_BYTES + 1];

    digest_hex(digest, DIGEST_BYTES, hex);
    assert_string_equal(hex, expected);
}

static void sha256_vectors(void **state)
{
    static const struct {
        const char *input;
        const char *hex;
    } table[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    uint8_t digest[DIGEST_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        assert_true(digest_sha256(text_from(table[i].input), digest));
        assert_hex(digest, table[i].hex);
    }
    assert_true(digest_sha256(TEXT_NONE, digest));
    assert_hex(digest, table[0].hex);
}

/* RFC 4231, cases 1, 2 and 6. */
static void hmac_vectors(void **state)
{
    char long_key[131];
    uint8_t digest[DIGEST_BYTES];

    (void)state;
    assert_true(
        digest_hmac(TEXT("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
                    TEXT("Hi There"), digest));
    assert_hex(digest, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_true(digest_hmac(TEXT("Jefe"), TEXT("what do ya want for nothing?"), digest));
    assert_hex(digest, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(long_key, 0xaa, sizeof long_key);
    assert_true(digest_hmac((struct text){long_key, sizeof long_key},
                            TEXT("Test Using Larger Than Block-Size Key - Hash Key First"), digest));
    assert_hex(digest, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    assert_true(digest_hmac(TEXT_NONE, TEXT_NONE, digest));
    assert_hex(digest, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void random_differs(void **state)
{
    uint8_t a[32] = {0}, b[32] = {0};

    (void)state;
    assert_true(random_bytes(a, sizeof a));
    assert_true(random_bytes(b, sizeof b));
    assert_memory_not_equal(a, b, sizeof a);
}

static void uuids_rise(void **state)
{
    uint8_t before[UUID_BYTES], uuid[UUID_BYTES];

    (void)state;
    assert_true(uuid7_make(before));
    /* More than fit into one millisecond's counter. */
    for (int i = 0; i < 20000; i++) {
        assert_true(uuid7_make(uuid));
        assert_true(memcmp(uuid, before, UUID_BYTES) > 0);
        assert_int_equal(uuid[6] >> 4, 7);
        assert_int_equal(uuid[8] >> 6, 2);
        memcpy(before, uuid, UUID_BYTES);
    }
}

static void uuid_holds_the_time(void **state)
{
    uint8_t uuid[UUID_BYTES];
    uint64_t ms = 0;
    time_t earliest = time(NULL) - 1;

    (void)state;
    assert_true(uuid7_make(uuid));
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | uuid[i];
    assert_in_range(ms / 1000, earliest, earliest + 60);
}

static void uuid_text_and_back(void **state)
{
    static const uint8_t uuid[UUID_BYTES] = {0x01, 0x7f, 0x22, 0xe2, 0x79, 0xb0, 0x7c, 0xc3,
                                             0x98, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f};
    char text[UUID_TEXT_BYTES];
    uint8_t back[UUID_BYTES];

    (void)state;
    uuid_text(uuid, text);
    assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    assert_true(uuid_from_text(text_from(text), back));
    assert_memory_equal(uuid, back, UUID_BYTES);
    assert_true(uuid_from_text(TEXT("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"), back));
    assert_memory_equal(uuid, back, UUID_BYTES);
}

static void refuses_what_is_no_uuid(void **state)
{
    static const char *const table[] = {
        "",
        "017f22e2",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
        "017f22e279b07cc398c4dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
        "017f22e2079b0-7cc3-98c4-dc0c0c07398f",
        "{17f22e2-79b0-7cc3-98c4-dc0c0c07398}",
    };
    uint8_t uuid[UUID_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_false(uuid_from_text(text_from(table[i]), uuid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_vectors),          cmocka_unit_test(hmac_vectors),
        cmocka_unit_test(random_differs),          cmocka_unit_test(uuids_rise),
        cmocka_unit_test(uuid_holds_the_time),     cmocka_unit_test(uuid_text_and_back),
        cmocka_unit_test(refuses_what_is_no_uuid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
