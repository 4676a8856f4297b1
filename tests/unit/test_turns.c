/* Who waits, and whose turn it is. */
#include "store/turns.h"

#include "unit.h"

#define MANY 1000

static void one_flow_is_served_in_its_order(void **state)
{
    struct store_task tasks[5] = {{.flow = 9}, {.flow = 9}, {.flow = 9}, {.flow = 9}, {.flow = 9}};
    struct turns turns;
    (void)state;
    turns_init(&turns);
    assert_null(turns_first(&turns));
    assert_null(turns_take(&turns));
    for (int i = 0; i < 5; i++)
        turns_put(&turns, &tasks[i]);
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(turns_first(&turns), &tasks[i]);
        assert_ptr_equal(turns_take(&turns), &tasks[i]);
    }
    assert_null(turns_take(&turns));
}

static void who_asks_for_little_does_not_wait_behind_a_flood(void **state)
{
    static struct store_task flood[MANY];
    struct store_task one = {.flow = STORE_FLOW_FIRST + 7}, two = {.flow = STORE_FLOW_FIRST + 8},
                      own = {.flow = STORE_FLOW_OWN};
    struct turns turns;
    int left = 3;
    (void)state;
    turns_init(&turns);
    for (int i = 0; i < MANY; i++) {
        flood[i].flow = STORE_FLOW_FIRST + 5;
        turns_put(&turns, &flood[i]);
    }
    turns_put(&turns, &one);
    turns_put(&turns, &two);
    turns_put(&turns, &own);
    for (int i = 0; i < 4; i++) {
        struct store_task *task = turns_take(&turns);
        left -= task == &one || task == &two || task == &own;
    }
    assert_int_equal(left, 0);
}

static void flows_take_turns(void **state)
{
    static struct store_task tasks[3][MANY];
    int taken[3] = {0};
    struct turns turns;
    (void)state;
    turns_init(&turns);
    for (int flow = 0; flow < 3; flow++)
        for (int i = 0; i < MANY; i++) {
            tasks[flow][i].flow = STORE_FLOW_FIRST + (uint64_t)flow;
            turns_put(&turns, &tasks[flow][i]);
        }
    for (int i = 0; i < 300; i++)
        taken[turns_take(&turns)->flow - STORE_FLOW_FIRST]++;
    for (int flow = 0; flow < 3; flow++)
        assert_int_equal(taken[flow], 100);
}

/* Agencies may share a place, but never with strangers or with the worker's own tasks. */
static void every_flow_is_served(void **state)
{
    static struct store_task tasks[MANY];
    struct store_task stranger = {.flow = STORE_FLOW_STRANGERS};
    struct turns turns;
    int count = 0;
    (void)state;
    turns_init(&turns);
    for (int i = 0; i < MANY; i++) {
        tasks[i].flow = STORE_FLOW_FIRST + (uint64_t)i * 7919;
        turns_put(&turns, &tasks[i]);
    }
    assert_int_equal(turns.taken & 3, 0);
    turns_put(&turns, &stranger);
    assert_int_equal(turns.taken & 3, 2);
    while (turns_take(&turns))
        count++;
    assert_int_equal(count, MANY + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_flow_is_served_in_its_order),
        cmocka_unit_test(who_asks_for_little_does_not_wait_behind_a_flood),
        cmocka_unit_test(flows_take_turns),
        cmocka_unit_test(every_flow_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
