/* Wrong keys by address, with time given by hand. */
#include "flow/strangers.h"

#include "unit.h"

#define HERE TEXT("192.0.2.1")
#define THERE TEXT("192.0.2.2")

static struct strangers start(int limit)
{
    struct strangers strangers;
    assert_true(strangers_init(&strangers, limit));
    return strangers;
}

static void an_address_may_be_wrong_so_often_in_a_minute(void **state)
{
    struct strangers strangers = start(3);
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(strangers_wrong(&strangers, 1000, HERE), 0);
    assert_int_equal(strangers_wrong(&strangers, 1000, HERE), 60);
    assert_int_equal(strangers_wrong(&strangers, 31001, HERE), 30);
    assert_int_equal(strangers_wrong(&strangers, 60999, HERE), 1);
    assert_int_equal(strangers_wrong(&strangers, 31001, THERE), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(strangers_wrong(&strangers, 61000, HERE), 0);
    assert_int_equal(strangers_wrong(&strangers, 61000, HERE), 60);
    strangers_free(&strangers);
}

static void a_network_of_ipv6_counts_as_one(void **state)
{
    struct strangers strangers = start(1);
    (void)state;
    assert_int_equal(strangers_wrong(&strangers, 1, TEXT("2001:db8:1:2::1")), 0);
    assert_int_equal(strangers_wrong(&strangers, 1, TEXT("2001:db8:1:2:ffff::9")), 60);
    assert_int_equal(strangers_wrong(&strangers, 1, TEXT("2001:db8:1:3::1")), 0);
    strangers_free(&strangers);
}

static void without_a_limit_or_an_address_nothing_is_counted(void **state)
{
    struct strangers none = start(0), some = start(1);
    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(strangers_wrong(&none, 1, HERE), 0);
        assert_int_equal(strangers_wrong(&some, 1, TEXT_NONE), 0);
    }
    strangers_free(&none);
    strangers_free(&some);
}

/* Whatever is no address is counted under its bytes. */
static void odd_addresses_are_counted_too(void **state)
{
    static const char long_one[] = "unix:/a/path/that/is/longer/than/any/address/of/version/six/can/be";
    struct strangers strangers = start(1);
    (void)state;
    assert_int_equal(strangers_wrong(&strangers, 1, TEXT("unix:")), 0);
    assert_int_equal(strangers_wrong(&strangers, 1, TEXT("unix:")), 60);
    assert_int_equal(strangers_wrong(&strangers, 1, text_from(long_one)), 0);
    assert_int_equal(strangers_wrong(&strangers, 1, text_from(long_one)), 60);
    assert_int_equal(strangers_wrong(&strangers, 1, TEXT("")), 0);
    assert_int_equal(strangers_wrong(&strangers, 1, TEXT("")), 60);
    strangers_free(&strangers);
}

/* More addresses than there is room for: the oldest are forgotten, the youngest are known. */
static void many_addresses_take_no_more_memory(void **state)
{
    struct strangers strangers = start(1);
    char address[32];
    (void)state;
    for (int i = 0; i < 10 * STRANGERS; i++) {
        snprintf(address, sizeof(address), "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        assert_int_equal(strangers_wrong(&strangers, i, text_from(address)), 0);
        assert_int_not_equal(strangers_wrong(&strangers, i, text_from(address)), 0);
    }
    strangers_free(&strangers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_may_be_wrong_so_often_in_a_minute),
        cmocka_unit_test(a_network_of_ipv6_counts_as_one),
        cmocka_unit_test(without_a_limit_or_an_address_nothing_is_counted),
        cmocka_unit_test(odd_addresses_are_counted_too),
        cmocka_unit_test(many_addresses_take_no_more_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
