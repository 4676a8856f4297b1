/* The file itself, for its table; the archive's copy stays out. */
#include "flow/reasons.c"

#include <ctype.h>
#include <glob.h>

#include "unit.h"

#define FILE_MAX_BYTES (1024 * 1024)
#define WORD_MAX_BYTES 64

static void words_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        assert_ptr_equal(reason_of(reasons[i].word), &reasons[i]);
        assert_ptr_equal(reason_find(text_from(reasons[i].word)), &reasons[i]);
    }
}

static void words_are_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        const char *word = reasons[i].word;
        assert_in_range(strlen(word), 3, 30);
        assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz_"), strlen(word));
        assert_true(word[0] != '_' && word[strlen(word) - 1] != '_' && !strstr(word, "__"));
    }
}

static void other_words_are_not_found(void **state)
{
    (void)state;
    assert_null(reason_find(TEXT_NONE));
    assert_null(reason_find(TEXT("")));
    assert_null(reason_find(TEXT("key")));
    assert_null(reason_find(TEXT("key_invalid ")));
    assert_null(reason_find(TEXT("KEY_INVALID")));
    assert_null(reason_find(TEXT("replay"))); /* no reason but an answer */
}

static void statuses_are_those_of_the_interface(void **state)
{
    static const int statuses[] = {400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        bool known = false;
        for (size_t s = 0; s < COUNT_OF(statuses); s++)
            known = known || reasons[i].status == statuses[s];
        if (!known)
            fail_msg("%s: %d", reasons[i].word, reasons[i].status);
    }
}

/* 504 is the one answer that leaves the outcome open, that came too late, or with which an invoice stands. */
static void only_the_unsettled_is_a_504(void **state)
{
    static const char *const unsettled[] = {"unresolved",  "unresolved_keyless", "unresolved_act",
                                            "compensated", "stood_already",      "act_unsure"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        bool listed = false;
        for (size_t u = 0; u < COUNT_OF(unsettled); u++)
            listed = listed || strcmp(reasons[i].word, unsettled[u]) == 0;
        assert_int_equal(reasons[i].status == 504, listed);
    }
}

static void what_passes_says_when(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        bool passes = reasons[i].status == 503 || reasons[i].status == 429 || reasons[i].status == 409;
        print_message("%s\n", reasons[i].word);
        assert_int_equal(reasons[i].retry_after_s > 0, passes);
        assert_true(reasons[i].retry_after_s >= 0 ? reasons[i].retry_after_s <= 60
                                                  : reasons[i].status == 504);
    }
}

/* What is wrong, and perhaps a second sentence: what to do. No marks that JSON or a log would have to escape.
 */
static void messages_are_clear_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        const char *message = reasons[i].message;
        size_t length = strlen(message);
        int sentences = 1;
        print_message("%s: %s\n", reasons[i].word, message);
        assert_in_range(length, 20, 200);
        assert_true(isupper((unsigned char)message[0]) || strncmp(message, "data.", 5) == 0);
        for (const char *c = message; *c; c++) {
            assert_true(*c >= ' ' && *c < 0x7f && *c != '"' && *c != '\\');
            sentences += *c == '.' && c[1] == ' ';
            assert_false(*c == ' ' && c[1] == ' ');
        }
        assert_true(sentences <= 2);
        /* This one sentence is the interface's own, without its full stop. */
        assert_true(message[length - 1] == '.' || strcmp(message, "An unexpected error occurred") == 0);
    }
}

static void messages_say_nothing_of_the_inside(void **state)
{
    static const char *const inside[] = {"Stripe",   "stripe", "PostgreSQL", "SQL",
                                         "upstream", "worker", "null"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        for (size_t w = 0; w < COUNT_OF(inside); w++)
            if (strstr(reasons[i].message, inside[w]))
                fail_msg("%s: %s", reasons[i].word, inside[w]);
}

/* A whole file of the project; tests run in its root. The caller frees it. */
static char *file_text(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = malloc(FILE_MAX_BYTES);
    size_t length;
    if (!file)
        fail_msg("%s cannot be read: run this in the root of the project", path);
    assert_non_null(text);
    length = fread(text, 1, FILE_MAX_BYTES - 1, file);
    assert_true(length < FILE_MAX_BYTES - 1);
    text[length] = '\0';
    (void)fclose(file);
    return text;
}

/* Checks each word between a pair of quotes from start to end; answers how many there are. */
static int check_words(const char *start, const char *end, char quote, const char *where)
{
    int words = 0;
    for (const char *at = start; (at = memchr(at, quote, (size_t)(end - at))); at++) {
        char word[WORD_MAX_BYTES];
        const char *close = memchr(at + 1, quote, (size_t)(end - at - 1));
        size_t length;
        if (!close)
            break;
        length = (size_t)(close - at - 1);
        assert_true(length < sizeof(word));
        memcpy(word, at + 1, length);
        word[length] = '\0';
        if (strcmp(word, "replay") != 0 && !reason_find(text_from(word)))
            fail_msg("%s: \"%s\" is no reason", where, word);
        words++;
        at = close;
    }
    return words;
}

/* Every string between each marker and the end that follows it. */
static int check_after(const char *text, const char *marker, const char *end, const char *where)
{
    int words = 0;
    for (const char *at = text; (at = strstr(at, marker)); at++) {
        const char *stop = strstr(at, end);
        assert_non_null(stop);
        words += check_words(at, stop, '"', where);
    }
    return words;
}

static void every_word_of_the_flow_is_a_reason(void **state)
{
    static const struct {
        const char *marker;
        const char *end;
    } places[] = {
        {"ending_fail(", ";"},     {"ending_refuse(", ";"}, {"ending_told(", ";"},
        {"set_ending(", ";"},      {"reason_of(", ";"},     {"*const refusals[] = {", "};"},
        {"*failure_word(", "\n}"},
    };
    glob_t files;
    int words = 0;

    (void)state;
    assert_int_equal(glob("src/flow/*.c", 0, NULL, &files), 0);
    for (size_t f = 0; f < files.gl_pathc; f++) {
        char *text = file_text(files.gl_pathv[f]);
        for (size_t p = 0; p < COUNT_OF(places); p++)
            words += check_after(text, places[p].marker, places[p].end, files.gl_pathv[f]);
        free(text);
    }
    globfree(&files);
    print_message("%d words\n", words);
    assert_true(words >= 25); /* or the search looks for the wrong thing */
}

/* The part of begin_invoices that judges: from one marker to the next. */
static const char *part_of(const char *text, const char *start, const char *end, const char **stop)
{
    const char *at = strstr(text, start);
    assert_non_null(at);
    *stop = strstr(at, end);
    assert_non_null(*stop);
    return at;
}

static void every_word_of_begin_is_a_reason(void **state)
{
    char *text = file_text("sql/004_begin.sql");
    const char *stop, *start = part_of(text, "judged as (", "end as reason", &stop);
    int words = 0;

    (void)state;
    for (const char *at = start; (at = strstr(at, "then '")) && at < stop; at++)
        words += check_words(at, strchr(at, '\n'), '\'', "sql/004_begin.sql");
    assert_true(words >= 10);
    free(text);
}

/* What begin_invoices records is what clients are told. */
static void begin_and_the_table_agree_on_statuses(void **state)
{
    char *text = file_text("sql/004_begin.sql");
    const char *stop, *start = part_of(text, "case j.reason", "end as http_status", &stop);
    int words = 0;

    (void)state;
    for (const char *at = start; (at = strstr(at, "when '")) && at < stop; at++) {
        char word[WORD_MAX_BYTES];
        int status;
        if (sscanf(at, "when '%63[a-z_]' then %d", word, &status) != 2)
            continue; /* a replay has the status it had */
        print_message("%s %d\n", word, status);
        assert_int_equal(reason_of(word)->status, status);
        words++;
    }
    assert_true(words >= 8);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_unique),
        cmocka_unit_test(words_are_words),
        cmocka_unit_test(other_words_are_not_found),
        cmocka_unit_test(statuses_are_those_of_the_interface),
        cmocka_unit_test(only_the_unsettled_is_a_504),
        cmocka_unit_test(what_passes_says_when),
        cmocka_unit_test(messages_are_clear_sentences),
        cmocka_unit_test(messages_say_nothing_of_the_inside),
        cmocka_unit_test(every_word_of_the_flow_is_a_reason),
        cmocka_unit_test(every_word_of_begin_is_a_reason),
        cmocka_unit_test(begin_and_the_table_agree_on_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
