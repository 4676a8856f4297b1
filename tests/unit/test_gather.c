/* When tasks wait for the lane that is on its way, and when an idle one takes them. */
#include "store/gather.h"

#include "store/internal.h"
#include "unit.h"

#define BATCH_MAX 128

struct scene {
    struct loop *loop;
    struct store_settings settings;
    struct store store;
};

static int set_up(void **state)
{
    static struct scene scene;
    scene = (struct scene){.settings = {.batch_max = BATCH_MAX}};
    scene.loop = loop_new();
    assert_non_null(scene.loop);
    scene.store.loop = scene.loop;
    scene.store.settings = &scene.settings;
    scene.store.lane_count = 2;
    *state = &scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    loop_untimer(scene->loop, &scene->store.gathering);
    loop_free(scene->loop);
    return 0;
}

/* One lane is idle, the other one left so long ago with so many tasks. */
static void on_its_way(struct scene *scene, int tasks, int64_t ago_ms)
{
    struct lane *lane = &scene->store.lanes[0];
    lane->state = LANE_BUSY;
    lane->batch.count = tasks;
    lane->sent_ms = loop_now_ms(scene->loop) - ago_ms;
    scene->store.lanes[1].state = LANE_IDLE;
}

static void tasks_gather_under_load(void **state)
{
    static const struct {
        unsigned waiting;
        int under_way;
        int64_t ago_ms;
        bool gathers;
    } table[] = {
        {1, 30, 0, true},          {BATCH_MAX - 1, 30, 0, true},
        {0, 30, 0, false}, /* nothing waits: a chore may go */
        {1, 1, 0, false},  /* little is under way: a lone request is sent at once */
        {1, 7, 0, false},          {1, 8, 0, true},
        {BATCH_MAX, 30, 0, false}, /* a whole batch is ready */
        {1, 30, 1000, false},      /* PostgreSQL is slow */
    };
    struct scene *scene = *state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        print_message("%u wait, %d under way since %d ms\n", table[i].waiting, table[i].under_way,
                      (int)table[i].ago_ms);
        on_its_way(scene, table[i].under_way, table[i].ago_ms);
        scene->store.waiting.count = table[i].waiting;
        assert_int_equal(gather_more(&scene->store), table[i].gathers);
    }
}

static void idle_lanes_are_no_reason_to_wait(void **state)
{
    struct scene *scene = *state;
    on_its_way(scene, 30, 0);
    scene->store.lanes[0].state = LANE_IDLE;
    scene->store.waiting.count = 1;
    assert_false(gather_more(&scene->store));
}

/* Nothing else may happen for long: the loop has to wake up for those who wait. */
static void the_wait_ends_by_itself(void **state)
{
    struct scene *scene = *state;
    on_its_way(scene, 30, 0);
    scene->store.waiting.count = 1;
    assert_true(gather_more(&scene->store));
    assert_int_not_equal(scene->store.gathering.place, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tasks_gather_under_load, set_up, tear_down),
        cmocka_unit_test_setup_teardown(idle_lanes_are_no_reason_to_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_wait_ends_by_itself, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
