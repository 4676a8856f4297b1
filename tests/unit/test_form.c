#include "unit.h"

#include "front/form.h"

#define TEN "aaaaaaaaaa"
#define FIFTY TEN TEN TEN TEN TEN
#define TWO_HUNDRED FIFTY FIFTY FIFTY FIFTY

/* Reads one form; tests free the arena. */
static bool read_form(struct arena *arena, struct text body, struct form *form, struct form_error *error)
{
    arena_init(arena, 4 << 20);
    return form_read(arena, body, form, error);
}

static struct text written(struct arena *arena, const struct form *form)
{
    struct builder out;

    builder_init(&out, arena, 64);
    form_write(form, &out);
    return builder_text(&out);
}

static void good_forms_have_one_spelling(void **state)
{
    static const struct {
        struct text body;
        const char *spelling;
    } table[] = {
        {TEXT_NONE, ""},
        {TEXT(""), ""},
        {TEXT("&&&"), ""},
        {TEXT("a=b"), "a=b"},
        {TEXT("a"), "a="},
        {TEXT("a="), "a="},
        {TEXT("a=b=c"), "a=b%3Dc"},
        {TEXT("&a=1&&b=2&"), "a=1&b=2"},
        {TEXT("b=2&a=1"), "b=2&a=1"},
        {TEXT("a=x+y"), "a=x%20y"},
        {TEXT("a=x%20y"), "a=x%20y"},
        {TEXT("a=x%2By"), "a=x%2By"},
        {TEXT("a=x y"), "a=x%20y"},
        {TEXT("%61=%62"), "a=b"},
        {TEXT("a=%e2%82%ac"), "a=%E2%82%AC"},
        {TEXT("a=\xe2\x82\xac"), "a=%E2%82%AC"},
        {TEXT("a=%F0%9F%92%A9"), "a=%F0%9F%92%A9"},
        {TEXT("a=%26%3D%25"), "a=%26%3D%25"},
        {TEXT("a=%0d%0A%09"), "a=%0D%0A%09"},
        {TEXT("a=line\n"), "a=line%0A"},
        {TEXT("a=-._~!*'()"), "a=-._~%21%2A%27%28%29"},
        {TEXT("a=%25zz"), "a=%25zz"},
        {TEXT("metadata[order]=7"), "metadata[order]=7"},
        {TEXT("metadata%5Border%5D=7"), "metadata[order]=7"},
        {TEXT("metadata%5border]=7"), "metadata[order]=7"},
        {TEXT("metadata[a b]=7"), "metadata[a%20b]=7"},
        {TEXT("metadata[a+b]=7"), "metadata[a%20b]=7"},
        {TEXT("metadata[caf%c3%a9]=7"), "metadata[caf%C3%A9]=7"},
        {TEXT("metadata[a&b]=7"), NULL}, /* cut in two, neither half of which is a name */
        {TEXT("metadata[a%26b]=7"), "metadata[a%26b]=7"},
        {TEXT("metadata[a=b]=7"), NULL},
        {TEXT("metadata[a%3Db]=7"), "metadata[a%3Db]=7"},
        {TEXT("metadata[a.b]=[x]"), "metadata[a.b]=%5Bx%5D"},
        {TEXT("custom_fields[0][name]=x&custom_fields[0][value]=y"),
         "custom_fields[0][name]=x&custom_fields[0][value]=y"},
        {TEXT("expand[]=a&expand[]=b&expand[]=a"), "expand[]=a&expand[]=b&expand[]=a"},
        {TEXT("expand%5B%5D=a"), "expand[]=a"},
        {TEXT("expand[]="), "expand[]="},
        {TEXT("i[][a]=1&i[][b]=2&i[][a]=3"), "i[][a]=1&i[][b]=2&i[][a]=3"},
        {TEXT("a[b][c][d][e][f]=1"), "a[b][c][d][e][f]=1"},
        {TEXT("a[b]=1&a[c]=2&ab=3&a[bc]=4"), "a[b]=1&a[c]=2&ab=3&a[bc]=4"},
        {TEXT("a[]=1&b[]=2&a[]=3"), "a[]=1&b[]=2&a[]=3"},
        {TEXT("a[b][]=1&a[b][]=2&a[c][]=3"), "a[b][]=1&a[b][]=2&a[c][]=3"},
        {TEXT("a[0]=1&a[1]=2"), "a[0]=1&a[1]=2"},
        {TEXT("a b=1"), "a%20b=1"},
        {TEXT(TWO_HUNDRED "=1"), TWO_HUNDRED "=1"},
        {TEXT("a=" TWO_HUNDRED TWO_HUNDRED), "a=" TWO_HUNDRED TWO_HUNDRED},
        {TEXT("a;b=c;d"), "a%3Bb=c%3Bd"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena arena;
        struct form form;
        struct form_error error;
        bool good = read_form(&arena, table[i].body, &form, &error);
        print_message("%.*s\n", (int)table[i].body.length, table[i].body.at ? table[i].body.at : "");
        assert_int_equal(good, table[i].spelling != NULL);
        if (table[i].spelling)
            assert_text(written(&arena, &form), table[i].spelling);
        else
            assert_true(error.message.length > 0);
        arena_free(&arena);
    }
}

/* What is written reads as the same form, and is written the same again. */
static void writing_and_reading_agree(void **state)
{
    static const char body[] = "z=%e2%82%ac+x&m[a b]=1&m[%5F]=2&e[]=3&e[]=&i[][x]=%2500&i[][y]=%0a&b";
    struct arena first, second;
    struct form form, again;
    struct form_error error;

    (void)state;
    assert_true(read_form(&first, TEXT(body), &form, &error));
    assert_true(read_form(&second, written(&first, &form), &again, &error));
    assert_int_equal(form.count, again.count);
    for (size_t i = 0; i < form.count; i++) {
        assert_true(text_is(form.pairs[i].name, again.pairs[i].name));
        assert_true(text_is(form.pairs[i].value, again.pairs[i].value));
        assert_int_equal(form.pairs[i].parts_count, again.pairs[i].parts_count);
    }
    assert_true(text_is(written(&first, &form), written(&second, &again)));
    arena_free(&first);
    arena_free(&second);
}

static void parts_are_split(void **state)
{
    struct arena arena;
    struct form form;
    struct form_error error;

    (void)state;
    assert_true(read_form(&arena, TEXT("a=1&b%5Bc+d][]=x+y"), &form, &error));
    assert_int_equal(form.count, 2);
    assert_int_equal(form.pairs[0].parts_count, 1);
    assert_text(form.pairs[0].parts[0], "a");
    assert_text(form.pairs[0].value, "1");
    assert_text(form.pairs[1].name, "b[c d][]");
    assert_int_equal(form.pairs[1].parts_count, 3);
    assert_text(form.pairs[1].parts[0], "b");
    assert_text(form.pairs[1].parts[1], "c d");
    assert_int_equal(form.pairs[1].parts[2].length, 0);
    assert_text(form.pairs[1].value, "x y");
    arena_free(&arena);
}

#define NO_HEX " has a percent sign without two hexadecimal digits behind it."
#define NUL " contains the character U+0000, which is not allowed."
#define NO_UTF8 " is not valid UTF-8."
#define TWICE " is given more than once."
#define BRACKETS " has brackets that do not match."
#define BOTH " has brackets, but its name without them is given a value, too."
#define LIST_TOO " is given both as a list and as a dictionary."

static void bad_forms_are_refused(void **state)
{
    static const struct {
        struct text body;
        const char *param; /* NULL: none */
        const char *message;
    } table[] = {
        {TEXT("a=%"), "a", "a" NO_HEX},
        {TEXT("a=%4"), "a", "a" NO_HEX},
        {TEXT("a=%zz"), "a", "a" NO_HEX},
        {TEXT("a=%4g"), "a", "a" NO_HEX},
        {TEXT("a=%%41"), "a", "a" NO_HEX},
        {TEXT("a=% 41"), "a", "a" NO_HEX},
        {TEXT("a=%+1"), "a", "a" NO_HEX},
        {TEXT("a=%-1"), "a", "a" NO_HEX},
        {TEXT("a=%u0041"), "a", "a" NO_HEX},
        {TEXT("a=%4&1=b"), "a", "a" NO_HEX},
        {TEXT("a=1&b[c]=%e"), "b[c]", "b[c]" NO_HEX},
        {TEXT("%=1"), NULL, "Parameter 1" NO_HEX},
        {TEXT("a=1&b%2=1"), NULL, "Parameter 2" NO_HEX},
        {TEXT("a=%00"), "a", "a" NUL},
        {TEXT("a=x%00y"), "a", "a" NUL},
        {TEXT("a=x\0y"), "a", "a" NUL},
        {TEXT("a%00b=1"), NULL, "Parameter 1" NUL},
        {TEXT("a\0b=1"), NULL, "Parameter 1" NUL},
        {TEXT("a=%80"), "a", "a" NO_UTF8},
        {TEXT("a=%ff"), "a", "a" NO_UTF8},
        {TEXT("a=%c3"), "a", "a" NO_UTF8},
        {TEXT("a=%c0%80"), "a", "a" NO_UTF8},
        {TEXT("a=%c1%a1"), "a", "a" NO_UTF8},
        {TEXT("a=%ed%a0%80"), "a", "a" NO_UTF8},
        {TEXT("a=%f5%80%80%80"), "a", "a" NO_UTF8},
        {TEXT("a=%f4%90%80%80"), "a", "a" NO_UTF8},
        {TEXT("a=caf\xe9"), "a", "a" NO_UTF8},
        {TEXT("a=%e2%82&b=%ac"), "a", "a" NO_UTF8},
        {TEXT("caf%e9=1"), NULL, "Parameter 1" NO_UTF8},
        {TEXT("a%0ab=1"), NULL, "Parameter 1 has a control character in its name."},
        {TEXT("a\n=1"), NULL, "Parameter 1 has a control character in its name."},
        {TEXT("a%7f=1"), NULL, "Parameter 1 has a control character in its name."},
        {TEXT("=1"), NULL, "Parameter 1 has no name."},
        {TEXT("="), NULL, "Parameter 1 has no name."},
        {TEXT("a=1&=2"), NULL, "Parameter 2 has no name."},
        {TEXT("[]=1"), NULL, "The body looks like JSON: form-encoded parameters are expected."},
        {TEXT("{\"customer\":\"cus_1\"}"), NULL,
         "The body looks like JSON: form-encoded parameters are expected."},
        {TEXT("a=1&[]=1"), "[]", "[]" BRACKETS},
        {TEXT("a=1&[b]=1"), "[b]", "[b]" BRACKETS},
        {TEXT("%5Bb%5D=1"), "[b]", "[b]" BRACKETS},
        {TEXT("a[=1"), "a[", "a[" BRACKETS},
        {TEXT("a]=1"), "a]", "a]" BRACKETS},
        {TEXT("a[b=1"), "a[b", "a[b" BRACKETS},
        {TEXT("ab]=1"), "ab]", "ab]" BRACKETS},
        {TEXT("a[b]c=1"), "a[b]c", "a[b]c" BRACKETS},
        {TEXT("a[b]c[d]=1"), "a[b]c[d]", "a[b]c[d]" BRACKETS},
        {TEXT("a[b]]=1"), "a[b]]", "a[b]]" BRACKETS},
        {TEXT("a[[b]]=1"), "a[[b]]", "a[[b]]" BRACKETS},
        {TEXT("a[[b]=1"), "a[[b]", "a[[b]" BRACKETS},
        {TEXT("a]b[=1"), "a]b[", "a]b[" BRACKETS},
        {TEXT("metadata[a%5Bb]=1"), "metadata[a[b]", "metadata[a[b]" BRACKETS},
        {TEXT("metadata[a%5Db]=1"), "metadata[a]b]", "metadata[a]b]" BRACKETS},
        {TEXT("a[b][c][d][e][f][g]=1"), "a[b][c][d][e][f][g]",
         "a[b][c][d][e][f][g] has more than 5 levels of brackets."},
        {TEXT("a[][][][][][]=1"), "a[][][][][][]", "a[][][][][][] has more than 5 levels of brackets."},
        {TEXT("a[[[[[[[[[[[[[["), "a[[[[[[[[[[[[[[", "a[[[[[[[[[[[[[[ has more than 5 levels of brackets."},
        {TEXT(TWO_HUNDRED "a=1"), NULL, "Parameter 1 has a name of more than 200 bytes."},
        {TEXT("a=1&a=1"), "a", "a" TWICE},
        {TEXT("a=1&b=2&a=3"), "a", "a" TWICE},
        {TEXT("a=1&%61=2"), "a", "a" TWICE},
        {TEXT("a&a"), "a", "a" TWICE},
        {TEXT("m[a]=1&m[b]=1&m[a]=2"), "m[a]", "m[a]" TWICE},
        {TEXT("m[a]=1&m%5Ba%5D=2"), "m[a]", "m[a]" TWICE},
        {TEXT("i[0][a]=1&i[0][a]=2"), "i[0][a]", "i[0][a]" TWICE},
        {TEXT("m=1&m[a]=2"), "m[a]", "m[a]" BOTH},
        {TEXT("m[a]=2&m=1"), "m[a]", "m[a]" BOTH},
        {TEXT("m[]=2&m=1"), "m[]", "m[]" BOTH},
        {TEXT("m[a]=2&z=1&m[a][b][c]=1"), "m[a][b][c]", "m[a][b][c]" BOTH},
        {TEXT("m[]=2&m[a]=1"), "m[a]", "m[a]" LIST_TOO},
        {TEXT("m[0][x]=2&m[][x]=1"), "m[0][x]", "m[0][x]" LIST_TOO},
        {TEXT("m[a][]=2&m[a][b]=1"), "m[a][b]", "m[a][b]" LIST_TOO},
        {TEXT("m[]=2&m[][a]=1"), "m[][a]", "m[][a] is a list both of values and of dictionaries."},
        {TEXT("m[][a]=2&m[]=1"), "m[]", "m[] is a list both of values and of dictionaries."},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena arena;
        struct form form;
        struct form_error error;
        print_message("%.*s\n", (int)table[i].body.length, table[i].body.at);
        assert_false(read_form(&arena, table[i].body, &form, &error));
        assert_text(error.message, table[i].message);
        if (table[i].param)
            assert_text(error.param, table[i].param);
        else
            assert_null(error.param.at);
        arena_free(&arena);
    }
}

/* a0=1&a1=1&... */
static struct text many(struct arena *arena, int count)
{
    struct builder out;

    builder_init(&out, arena, 64);
    for (int i = 0; i < count; i++) {
        builder_add(&out, TEXT("&a"));
        builder_add_int64(&out, i);
        builder_add(&out, TEXT("=1"));
    }
    return builder_text(&out);
}

static void numbers_of_parameters_are_limited(void **state)
{
    static const struct {
        int count;
        bool good;
    } table[] = {{1, true}, {FORM_PAIRS_MAX, true}, {FORM_PAIRS_MAX + 1, false}, {10000, false}};
    struct arena room;

    (void)state;
    arena_init(&room, 4 << 20);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena arena;
        struct form form;
        struct form_error error;
        assert_int_equal(read_form(&arena, many(&room, table[i].count), &form, &error), table[i].good);
        if (table[i].good)
            assert_int_equal(form.count, table[i].count);
        else
            assert_text(error.message, "There are more than 500 parameters.");
        arena_free(&arena);
    }
    arena_free(&room);
}

static void ampersands_alone_are_no_parameters(void **state)
{
    static char body[65536];
    struct arena arena;
    struct form form;
    struct form_error error;

    (void)state;
    memset(body, '&', sizeof body);
    assert_true(read_form(&arena, (struct text){body, sizeof body}, &form, &error));
    assert_int_equal(form.count, 0);
    assert_null(form_sorted(&arena, &form));
    arena_free(&arena);
}

/* Names, spelled in the order that sorting gives. */
static void sorting_keeps_lists_in_their_order(void **state)
{
    static const struct {
        const char *body;
        const char *sorted; /* the values, one character each */
    } table[] = {
        {"b=1&a=2", "21"},
        {"a=2&b=1", "21"},
        {"e[]=1&a=2&e[]=3&e[]=4", "2134"},
        {"e[]=4&e[]=3&a=2&e[]=1", "2431"},
        {"i[][a]=1&i[][b]=2&i[][a]=3&i[][b]=4", "1234"},
        {"i[][b]=1&i[][a]=2&i[][b]=3&i[][a]=4", "1234"},
        {"m[b]=1&m[a][y]=2&m[a][x]=3&l=4", "4321"},
        {"ab=1&a[b]=2&a%20=3&a.=4", "2341"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct arena arena;
        struct form form;
        struct form_error error;
        const struct form_pair **sorted;
        print_message("%s\n", table[i].body);
        assert_true(read_form(&arena, text_from(table[i].body), &form, &error));
        sorted = form_sorted(&arena, &form);
        assert_non_null(sorted);
        for (size_t p = 0; p < form.count; p++)
            assert_int_equal(sorted[p]->value.at[0], table[i].sorted[p]);
        arena_free(&arena);
    }
}

/* Every cut and every changed byte of a form: an answer, and never a byte out of bounds. */
static void damaged_forms_are_answered(void **state)
{
    static const char whole[] = "customer=cus%5F1&metadata%5Ba+b%5D=%e2%82%ac&expand[]=x&i[][a]=1&i[][b]=%25";
    static const char odd[] = "%[]&=+\0\xff\n{";
    size_t tried = 0, answered = 0;

    (void)state;
    for (size_t length = 1; length < sizeof whole; length++)
        for (size_t i = 0; i < length; i++)
            for (size_t c = 0; c < sizeof odd - 1; c++, tried++) {
                char *copy = malloc(length); /* of its own size, so that reading on is noticed */
                struct arena arena;
                struct form form;
                struct form_error error;
                assert_non_null(copy);
                memcpy(copy, whole, length);
                copy[i] = odd[c];
                if (read_form(&arena, (struct text){copy, length}, &form, &error))
                    answered += written(&arena, &form).at != NULL;
                else
                    answered += error.message.length > 0;
                arena_free(&arena);
                free(copy);
            }
    assert_int_equal(answered, tried);
}

static void no_memory_is_told(void **state)
{
    (void)state;
    for (size_t cap_bytes = 0; cap_bytes < 1500; cap_bytes += 4) {
        struct arena arena;
        struct form form;
        struct form_error error;
        arena_init(&arena, cap_bytes);
        if (!form_read(&arena, TEXT("a=1&b[c]=2&d[]=3"), &form, &error))
            assert_true(arena_overflowed(&arena));
        arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_forms_have_one_spelling),
        cmocka_unit_test(writing_and_reading_agree),
        cmocka_unit_test(parts_are_split),
        cmocka_unit_test(bad_forms_are_refused),
        cmocka_unit_test(numbers_of_parameters_are_limited),
        cmocka_unit_test(ampersands_alone_are_no_parameters),
        cmocka_unit_test(sorting_keeps_lists_in_their_order),
        cmocka_unit_test(damaged_forms_are_answered),
        cmocka_unit_test(no_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
