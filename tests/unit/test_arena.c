#include "unit.h"

#include "base/arena.h"

static void gives_aligned_room(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 1 << 20);
    for (size_t bytes = 0; bytes < 300; bytes++) {
        char *at = arena_alloc(&arena, bytes);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
        memset(at, 0xff, bytes);
    }
    assert_false(arena_overflowed(&arena));
    arena_free(&arena);
}

static void allocations_do_not_overlap(void **state)
{
    struct arena arena;
    unsigned char *blocks[200];

    (void)state;
    arena_init(&arena, 1 << 20);
    for (int i = 0; i < 200; i++) {
        blocks[i] = arena_alloc(&arena, (size_t)(i * 7 % 500 + 1));
        memset(blocks[i], i, (size_t)(i * 7 % 500 + 1));
    }
    for (int i = 0; i < 200; i++)
        for (int j = 0; j < i * 7 % 500 + 1; j++)
            assert_int_equal(blocks[i][j], i);
    arena_free(&arena);
}

static void zalloc_is_zero_even_after_reset(void **state)
{
    struct arena arena;
    char *at;

    (void)state;
    arena_init(&arena, 8192);
    memset(arena_alloc(&arena, 1000), 0xff, 1000);
    arena_reset(&arena);
    at = arena_zalloc(&arena, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(at[i], 0);
    arena_free(&arena);
}

static void overflow_is_sticky_until_reset(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 4096);
    assert_non_null(arena_alloc(&arena, 100));
    assert_null(arena_alloc(&arena, 10000));
    assert_true(arena_overflowed(&arena));
    assert_null(arena_alloc(&arena, 1));
    assert_null(arena_zalloc(&arena, 1));
    assert_null(arena_copy(&arena, TEXT("x")).at);
    assert_null(arena_printf(&arena, "%d", 1).at);
    arena_reset(&arena);
    assert_false(arena_overflowed(&arena));
    assert_non_null(arena_alloc(&arena, 1));
    arena_free(&arena);
}

static void cap_holds(void **state)
{
    struct arena arena;
    size_t got = 0;

    (void)state;
    arena_init(&arena, 10000);
    while (arena_alloc(&arena, 100))
        got += 100;
    assert_in_range(got, 8000, 10000);
    assert_true(arena.total_bytes <= 10000);
    arena_free(&arena);

    arena_init(&arena, 0);
    assert_null(arena_alloc(&arena, 0));
    arena_free(&arena);

    arena_init(&arena, 1 << 20);
    assert_non_null(arena_alloc(&arena, 5));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    arena_free(&arena);
}

static void copies_end_with_nul(void **state)
{
    struct arena arena;
    struct text copy;

    (void)state;
    arena_init(&arena, 4096);
    copy = arena_copy(&arena, (struct text){"abcdef", 3});
    assert_string_equal(copy.at, "abc");
    assert_int_equal(copy.length, 3);
    assert_null(arena_copy(&arena, TEXT_NONE).at);
    copy = arena_copy(&arena, TEXT(""));
    assert_non_null(copy.at);
    assert_int_equal(copy.length, 0);
    copy = arena_printf(&arena, "%s-%d", "x", 42);
    assert_string_equal(copy.at, "x-42");
    assert_int_equal(copy.length, 4);
    arena_free(&arena);
}

static void builder_grows(void **state)
{
    struct arena arena;
    struct builder builder;
    struct text text;

    (void)state;
    arena_init(&arena, 1 << 20);
    builder_init(&builder, &arena, 0);
    for (int i = 0; i < 10000; i++) {
        builder_add_char(&builder, (char)('a' + i % 26));
        if (i == 5000) /* something else in between forces it to move */
            assert_non_null(arena_alloc(&arena, 10));
    }
    text = builder_text(&builder);
    assert_int_equal(text.length, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(text.at[i], 'a' + i % 26);
    assert_int_equal(text.at[10000], 0);
    arena_free(&arena);
}

static void builder_adds(void **state)
{
    struct arena arena;
    struct builder builder;

    (void)state;
    arena_init(&arena, 4096);
    builder_init(&builder, &arena, 4);
    assert_text(builder_text(&builder), "");
    builder_add(&builder, TEXT("n="));
    builder_add(&builder, TEXT_NONE);
    builder_add_int64(&builder, INT64_MIN);
    assert_text(builder_text(&builder), "n=-9223372036854775808");
    builder_add_char(&builder, '!');
    assert_text(builder_text(&builder), "n=-9223372036854775808!");
    arena_free(&arena);
}

static void builder_overflow_is_absent(void **state)
{
    struct arena arena;
    struct builder builder;

    (void)state;
    arena_init(&arena, 256);
    builder_init(&builder, &arena, 16);
    for (int i = 0; i < 1000; i++)
        builder_add_char(&builder, 'x');
    assert_null(builder_text(&builder).at);
    assert_true(arena_overflowed(&arena));
    builder_init(&builder, &arena, 16);
    builder_add(&builder, TEXT("x"));
    assert_null(builder_text(&builder).at);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_aligned_room),
        cmocka_unit_test(allocations_do_not_overlap),
        cmocka_unit_test(zalloc_is_zero_even_after_reset),
        cmocka_unit_test(overflow_is_sticky_until_reset),
        cmocka_unit_test(cap_holds),
        cmocka_unit_test(copies_end_with_nul),
        cmocka_unit_test(builder_grows),
        cmocka_unit_test(builder_adds),
        cmocka_unit_test(builder_overflow_is_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
