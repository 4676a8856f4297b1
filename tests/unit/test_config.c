/* The file itself, for its table; the archive's copy stays out. */
#include "config.c"

#include "config_scene.h"

static const void *field(const struct scene *scene, const struct setting *setting)
{
    return (const char *)&scene->config + setting->offset;
}

static int number_of(const struct scene *scene, const struct setting *setting)
{
    return *(const int *)field(scene, setting);
}

static void defaults_work(void **state)
{
    struct scene *scene = *state;
    const struct config *config = &scene->config;

    assert_accepted(scene);
    assert_string_equal(config->database, "dbname=invoicegate user=invoicegate_worker");
    assert_string_equal(config->upstream_url, "https://api.stripe.com");
    assert_string_equal(config->upstream_platform, "");
    assert_string_equal(config->upstream_version, "2025-03-31.basil");
    assert_null(config->upstream_ca_file);
    assert_string_equal(config->runtime_dir, "/run/invoicegate");
    assert_int_equal(config->deadline_ms, 30000);
    assert_int_equal(config->connect_timeout_ms, 5000);
    assert_int_equal(config->call_timeout_ms, 20000);
    assert_int_equal(config->max_inflight, 4096);
    assert_int_equal(config->lease_ms, 15000);
    assert_int_equal(config->drain_ms, 40000);
    assert_int_equal(config->database_lanes, 2);
    assert_int_equal(config->batch_max, 128);
    assert_false(config->own_socket || config->unsafe_database);
    assert_int_equal(config->log_level, LOG_INFO);
    assert_int_equal(config->upstream_keys[MODE_TEST].length, 0);
}

/* A value like one that was never given. */
static void an_empty_value_is_the_default(void **state)
{
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(settings); i++)
        if (settings[i].type != SETTING_SECRET)
            scene_set(settings[i].name, "");
    assert_accepted(scene);
    assert_string_equal(scene->config.upstream_url, "https://api.stripe.com");
    assert_int_equal(scene->config.deadline_ms, 30000);
}

/* The least and the most are taken, their neighbours outside are not; a wrong one is said with its bounds. */
static void numbers_keep_their_bounds(void **state)
{
    struct scene *scene = *state;
    int numbers = 0;

    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        const struct setting *setting = &settings[i];
        const long good[] = {setting->least, setting->most, (setting->least + setting->most) / 2};
        const long bad[] = {setting->least - 1, setting->most + 1, -setting->most, setting->most * 1000};
        char value[32], bounds[64];
        if (setting->type != SETTING_NUMBER)
            continue;
        snprintf(bounds, sizeof(bounds), "from %ld to %ld\n", setting->least, setting->most);
        for (size_t v = 0; v < COUNT_OF(good); v++) {
            snprintf(value, sizeof(value), "%ld", good[v]);
            scene_set(setting->name, value);
            assert_accepted(scene);
            assert_int_equal(number_of(scene, setting), good[v]);
        }
        for (size_t v = 0; v < COUNT_OF(bad); v++) {
            snprintf(value, sizeof(value), "%ld", bad[v]);
            scene_set(setting->name, value);
            assert_refused(scene, setting->name);
            assert_non_null(strstr(scene->errors, bounds));
        }
        scene_set(setting->name, NULL);
        assert_accepted(scene);
        snprintf(value, sizeof(value), "%d", number_of(scene, setting));
        assert_string_equal(value, setting->fallback);
        numbers++;
    }
    assert_true(numbers >= 8);
}

static void garbage_is_no_number(void **state)
{
    static const char *const garbage[] = {"x",
                                          "1x",
                                          "1 ",
                                          " 1",
                                          "1.0",
                                          "1e3",
                                          "0x10",
                                          "+5",
                                          "--5",
                                          "-",
                                          ".",
                                          "1,000",
                                          "1_000",
                                          "\xc2\xb2",
                                          "1\n",
                                          "5s",
                                          "500ms",
                                          "yes",
                                          "9223372036854775808",
                                          "-9223372036854775809",
                                          "99999999999999999999999"};
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        if (settings[i].type != SETTING_NUMBER)
            continue;
        for (size_t g = 0; g < COUNT_OF(garbage); g++) {
            scene_set(settings[i].name, garbage[g]);
            assert_refused(scene, settings[i].name);
        }
        scene_set(settings[i].name, NULL);
    }
}

static void switches_are_yes_or_no(void **state)
{
    static const char *const garbage[] = {"YES", "Yes", "true", "1", "0", "on", "y", "yes ", " no", "nope"};
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        if (settings[i].type != SETTING_SWITCH)
            continue;
        for (int on = 0; on < 2; on++) {
            scene_set(settings[i].name, on ? "yes" : "no");
            assert_accepted(scene);
            assert_int_equal(*(const bool *)field(scene, &settings[i]), on);
        }
        for (size_t g = 0; g < COUNT_OF(garbage); g++) {
            scene_set(settings[i].name, garbage[g]);
            assert_refused(scene, settings[i].name);
        }
        scene_set(settings[i].name, NULL);
    }
}

static void levels_have_names(void **state)
{
    static const char *const levels[] = {
        [LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
    static const char *const garbage[] = {"warn", "INFO", "3", "debug ", "trace"};
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        scene_set("LOG_LEVEL", levels[i]);
        assert_accepted(scene);
        assert_int_equal(scene->config.log_level, i);
    }
    for (size_t i = 0; i < COUNT_OF(garbage); i++) {
        scene_set("LOG_LEVEL", garbage[i]);
        assert_refused(scene, "LOG_LEVEL");
    }
}

static void texts_are_taken_as_they_are(void **state)
{
    struct scene *scene = *state;

    scene_set("DATABASE", "host=/run/postgresql dbname='a b' password=\\'x");
    scene_set("RUNTIME_DIR", "/tmp/x y");
    scene_set("UPSTREAM_CA_FILE", "/etc/ca.pem");
    scene_set("UPSTREAM_PLATFORM", "acct_platform");
    scene_set("UPSTREAM_VERSION", "2024-06-20");
    assert_accepted(scene);
    assert_string_equal(scene->config.database, "host=/run/postgresql dbname='a b' password=\\'x");
    assert_string_equal(scene->config.runtime_dir, "/tmp/x y");
    assert_string_equal(scene->config.upstream_ca_file, "/etc/ca.pem");
    assert_string_equal(scene->config.upstream_platform, "acct_platform");
    assert_string_equal(scene->config.upstream_version, "2024-06-20");
}

static void a_version_fits_a_header(void **state)
{
    static const char *const garbage[] = {" ", "a b", "2025\r\nX: y", "a\tb", "caf\xc3\xa9", "a\x7f", "\x01"};
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(garbage); i++) {
        scene_set("UPSTREAM_VERSION", garbage[i]);
        assert_refused(scene, "UPSTREAM_VERSION");
    }
}

static void a_url_is_scheme_host_and_port(void **state)
{
    static const struct {
        const char *given;
        const char *kept;
    } table[] = {
        {"https://api.stripe.com", "https://api.stripe.com"},
        {"https://api.stripe.com/", "https://api.stripe.com"},
        {"http://127.0.0.1:12111", "http://127.0.0.1:12111"},
        {"http://127.0.0.1:12111/", "http://127.0.0.1:12111"},
        {"http://[::1]:8080/", "http://[::1]:8080"},
        {"http://h", "http://h"},
    };
    static const char *const garbage[] = {"api.stripe.com",
                                          "ftp://host",
                                          "HTTPS://host",
                                          "https:/host",
                                          "https:host",
                                          "https",
                                          "https:",
                                          "https:/",
                                          "https://",
                                          "https:///",
                                          "http://",
                                          "http:///",
                                          "https://host/v1",
                                          "https://host/v1/",
                                          "https://host//",
                                          "https:///host",
                                          "https://host?x=1",
                                          "https://host#x",
                                          "https://user@host",
                                          "https://user:secret@host",
                                          "https://host name",
                                          " https://host",
                                          "https://host ",
                                          "https://host\r\nX: y",
                                          "https://host\t",
                                          "https://host\"",
                                          "https://ho\\st",
                                          "https://:443",
                                          "https://caf\xc3\xa9.fr",
                                          "https://a\x01",
                                          "unix:///run/x",
                                          "file:///etc/passwd",
                                          "/",
                                          "x"};
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        scene_set("UPSTREAM_URL", table[i].given);
        assert_accepted(scene);
        assert_string_equal(scene->config.upstream_url, table[i].kept);
    }
    for (size_t i = 0; i < COUNT_OF(garbage); i++) {
        scene_set("UPSTREAM_URL", garbage[i]);
        assert_refused(scene, "UPSTREAM_URL");
    }
}

static void a_url_has_an_end(void **state)
{
    struct scene *scene = *state;
    char url[1100] = "http://";

    memset(url + 7, 'a', sizeof(url) - 8);
    for (size_t length = 1020; length < 1030; length++) {
        char kept = url[length];
        url[length] = '\0';
        scene_set("UPSTREAM_URL", url);
        if (length < 1024)
            assert_accepted(scene);
        else
            assert_refused(scene, "UPSTREAM_URL");
        url[length] = kept;
    }
}

static void the_help_lists_every_setting(void **state)
{
    char *help = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&help, &length);

    (void)state;
    assert_non_null(out);
    config_describe(out);
    assert_int_equal(fclose(out), 0);
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        char wanted[256];
        const char *at, *next;
        snprintf(wanted, sizeof(wanted), "  " PREFIX "%s\n      %s\n      default: ", settings[i].name,
                 settings[i].about);
        at = strstr(help, wanted);
        print_message("%s\n", settings[i].name);
        assert_non_null(at);
        next = strchr(at + strlen(wanted), '\n');
        assert_non_null(next);
        assert_true(*settings[i].fallback == '\0' ||
                    memmem(at, (size_t)(next - at), settings[i].fallback, strlen(settings[i].fallback)));
    }
    free(help);
}

static char strays[256];

static void note_stray(const char *name)
{
    strncat(strays, name, sizeof(strays) - strlen(strays) - 2);
    strcat(strays, " ");
}

static void a_name_that_is_no_setting_is_told_without_its_value(void **state)
{
    struct scene *scene = *state;

    assert_int_equal(setenv("INVOICEGATER", "x", 1), 0);
    scene_set("SCARCE", "1"); /* of tests */
    assert_accepted(scene);
    strays[0] = '\0';
    config_strays(&scene->config, note_stray);
    assert_string_equal(strays, "");
    scene_set("DEADLIN_MS", "sk_live_secret");
    scene_file(scene, "other",
               "INVOICEGATE_DEADLINE_MS=5000\nINVOICEGATE_LOGLEVEL=sk_live_secret\nOTHER=1\n");
    scene_set_path(scene, "SETTINGS_FILE", "other");
    assert_accepted(scene);
    config_strays(&scene->config, note_stray);
    assert_string_equal(strays, "INVOICEGATE_DEADLIN_MS INVOICEGATE_LOGLEVEL ");
    config_forget(&scene->config);
    assert_int_equal(unsetenv("INVOICEGATER"), 0);
}

static void the_table_makes_sense(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        const char *name = settings[i].name;
        print_message("%s\n", name);
        assert_int_equal(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), strlen(name));
        assert_ptr_equal(setting_named(name), &settings[i]); /* named once */
        assert_in_range(strlen(settings[i].about), 10, 100);
        assert_true(settings[i].type != SETTING_NUMBER || settings[i].least < settings[i].most);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(settings[i].offset, settings[k].offset);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(defaults_work),
        SCENE_TEST(an_empty_value_is_the_default),
        SCENE_TEST(numbers_keep_their_bounds),
        SCENE_TEST(garbage_is_no_number),
        SCENE_TEST(switches_are_yes_or_no),
        SCENE_TEST(levels_have_names),
        SCENE_TEST(texts_are_taken_as_they_are),
        SCENE_TEST(a_version_fits_a_header),
        SCENE_TEST(a_url_is_scheme_host_and_port),
        SCENE_TEST(a_url_has_an_end),
        SCENE_TEST(a_name_that_is_no_setting_is_told_without_its_value),
        cmocka_unit_test(the_help_lists_every_setting),
        cmocka_unit_test(the_table_makes_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
