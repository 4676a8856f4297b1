/* The file itself, for its table; the archive's copy stays out. */
#include "config.c"

#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#define DIGEST_KEY "0123456789abcdef0123456789abcdef"

/* A private directory with good secrets, and an environment that names them and nothing else. */
struct scene {
    char directory[64];
    char errors[512];
    struct config config;
};

static void path_in(const struct scene *scene, const char *name, char path[128])
{
    assert_true(snprintf(path, 128, "%s/%s", scene->directory, name) < 128);
}

static void write_bytes(const struct scene *scene, const char *name, const char *bytes, size_t length)
{
    char path[128];
    FILE *file;
    path_in(scene, name, path);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void write_file(const struct scene *scene, const char *name, const char *content)
{
    write_bytes(scene, name, content, strlen(content));
}

static void set(const char *setting, const char *value)
{
    char name[64];
    snprintf(name, sizeof(name), PREFIX "%s", setting);
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void set_path(const struct scene *scene, const char *setting, const char *file)
{
    char path[128];
    path_in(scene, file, path);
    set(setting, path);
}

static void forget_environment(void)
{
    for (size_t i = 0; i < COUNT_OF(settings); i++)
        set(settings[i].name, NULL);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static int open_scene(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    assert_non_null(scene);
    strcpy(scene->directory, "/tmp/test_config.XXXXXX");
    assert_non_null(mkdtemp(scene->directory));
    forget_environment();
    write_file(scene, "digest", DIGEST_KEY "\n");
    write_file(scene, "live", "sk_live_1\n");
    set_path(scene, "DIGEST_KEY_FILE", "digest");
    set_path(scene, "UPSTREAM_KEY_FILE", "live");
    *state = scene;
    return 0;
}

static int close_scene(void **state)
{
    static const char *const names[] = {
        "digest", "live", "test", "other", "upstream-key", "upstream-test-key", "digest-key"};
    struct scene *scene = *state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[128];
        path_in(scene, names[i], path);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(scene->directory), 0);
    free(scene);
    return 0;
}

static bool read_scene(struct scene *scene)
{
    FILE *errors = fmemopen(scene->errors, sizeof(scene->errors), "w");
    bool good;
    assert_non_null(errors);
    memset(scene->errors, 0, sizeof(scene->errors));
    good = config_read(&scene->config, errors);
    assert_int_equal(fclose(errors), 0);
    return good;
}

static void assert_accepted(struct scene *scene)
{
    if (!read_scene(scene))
        fail_msg("refused: %s", scene->errors);
    assert_string_equal(scene->errors, "");
}

/* One line that names the setting and says what is wrong. */
static void assert_refused(struct scene *scene, const char *setting)
{
    char start[80];
    size_t length;
    if (read_scene(scene))
        fail_msg("%s: accepted", setting);
    print_message("%s", scene->errors);
    snprintf(start, sizeof(start), "invoicegate: " PREFIX "%s ", setting);
    assert_memory_equal(scene->errors, start, strlen(start));
    length = strlen(scene->errors);
    assert_true(length > strlen(start) + 5 && length < 200);
    assert_ptr_equal(strchr(scene->errors, '\n'), scene->errors + length - 1);
}

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
            set(settings[i].name, "");
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
            set(setting->name, value);
            assert_accepted(scene);
            assert_int_equal(number_of(scene, setting), good[v]);
        }
        for (size_t v = 0; v < COUNT_OF(bad); v++) {
            snprintf(value, sizeof(value), "%ld", bad[v]);
            set(setting->name, value);
            assert_refused(scene, setting->name);
            assert_non_null(strstr(scene->errors, bounds));
        }
        set(setting->name, NULL);
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
            set(settings[i].name, garbage[g]);
            assert_refused(scene, settings[i].name);
        }
        set(settings[i].name, NULL);
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
            set(settings[i].name, on ? "yes" : "no");
            assert_accepted(scene);
            assert_int_equal(*(const bool *)field(scene, &settings[i]), on);
        }
        for (size_t g = 0; g < COUNT_OF(garbage); g++) {
            set(settings[i].name, garbage[g]);
            assert_refused(scene, settings[i].name);
        }
        set(settings[i].name, NULL);
    }
}

static void levels_have_names(void **state)
{
    static const char *const levels[] = {
        [LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
    static const char *const garbage[] = {"warn", "INFO", "3", "debug ", "trace"};
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        set("LOG_LEVEL", levels[i]);
        assert_accepted(scene);
        assert_int_equal(scene->config.log_level, i);
    }
    for (size_t i = 0; i < COUNT_OF(garbage); i++) {
        set("LOG_LEVEL", garbage[i]);
        assert_refused(scene, "LOG_LEVEL");
    }
}

static void texts_are_taken_as_they_are(void **state)
{
    struct scene *scene = *state;

    set("DATABASE", "host=/run/postgresql dbname='a b' password=\\'x");
    set("RUNTIME_DIR", "/tmp/x y");
    set("UPSTREAM_CA_FILE", "/etc/ca.pem");
    set("UPSTREAM_PLATFORM", "acct_platform");
    set("UPSTREAM_VERSION", "2024-06-20");
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
        set("UPSTREAM_VERSION", garbage[i]);
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
        set("UPSTREAM_URL", table[i].given);
        assert_accepted(scene);
        assert_string_equal(scene->config.upstream_url, table[i].kept);
    }
    for (size_t i = 0; i < COUNT_OF(garbage); i++) {
        set("UPSTREAM_URL", garbage[i]);
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
        set("UPSTREAM_URL", url);
        if (length < 1024)
            assert_accepted(scene);
        else
            assert_refused(scene, "UPSTREAM_URL");
        url[length] = kept;
    }
}

static void assert_secret(const struct secret *secret, const char *wanted)
{
    assert_string_equal(secret->bytes, wanted);
    assert_int_equal(secret->length, strlen(wanted));
}

static void secrets_are_trimmed_at_their_end(void **state)
{
    static const char *const contents[] = {"sk_1", "sk_1\n", "sk_1\r\n", "sk_1 \t\n\n\n"};
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        write_file(scene, "live", contents[i]);
        assert_accepted(scene);
        assert_secret(&scene->config.upstream_keys[MODE_LIVE], "sk_1");
    }
    assert_secret(&scene->config.digest_key, DIGEST_KEY);
}

static void each_mode_has_its_key(void **state)
{
    struct scene *scene = *state;

    write_file(scene, "test", "sk_test_2\n");
    set_path(scene, "UPSTREAM_TEST_KEY_FILE", "test");
    assert_accepted(scene);
    assert_secret(&scene->config.upstream_keys[MODE_LIVE], "sk_live_1");
    assert_secret(&scene->config.upstream_keys[MODE_TEST], "sk_test_2");
    set("UPSTREAM_KEY_FILE", NULL);
    assert_accepted(scene);
    assert_int_equal(scene->config.upstream_keys[MODE_LIVE].length, 0);
    set("UPSTREAM_TEST_KEY_FILE", NULL);
    assert_refused(scene, "UPSTREAM_KEY_FILE");
}

/* A mode whose key was named but is not there is no mode that is not served. */
static void a_named_file_must_hold_something(void **state)
{
    static const char *const names[] = {"UPSTREAM_KEY_FILE", "UPSTREAM_TEST_KEY_FILE", "DIGEST_KEY_FILE"};
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char *before, name[64];
        snprintf(name, sizeof(name), PREFIX "%s", names[i]);
        before = getenv(name) ? strdup(getenv(name)) : NULL;
        set_path(scene, names[i], "nowhere");
        assert_refused(scene, names[i]);
        set(names[i], scene->directory);
        assert_refused(scene, names[i]);
        write_file(scene, "other", "");
        set_path(scene, names[i], "other");
        assert_refused(scene, names[i]);
        write_file(scene, "other", " \n\n");
        assert_refused(scene, names[i]);
        set(names[i], before);
        free(before);
    }
}

static void no_message_shows_a_secret(void **state)
{
    struct scene *scene = *state;

    write_file(scene, "live", "sk_live_secret with a space");
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    assert_null(strstr(scene->errors, "sk_live"));
    write_file(scene, "live", "sk_live_1");
    write_file(scene, "digest", "tooshortsecret");
    assert_refused(scene, "DIGEST_KEY_FILE");
    assert_null(strstr(scene->errors, "tooshort"));
}

static void a_key_fits_a_header(void **state)
{
    struct scene *scene = *state;
    char key[402];

    write_bytes(scene, "live", TEXT("sk\0live").at, 7);
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    write_file(scene, "live", "sk\r\nX-Header: y");
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    write_file(scene, "live", " sk");
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    write_file(scene, "live", "caf\xc3\xa9");
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    memset(key, 'k', sizeof(key));
    write_bytes(scene, "live", key, 400);
    assert_accepted(scene);
    write_bytes(scene, "live", key, 401);
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    write_file(scene, "live", "sk_live_1");
    write_file(scene, "test", "a b");
    set_path(scene, "UPSTREAM_TEST_KEY_FILE", "test");
    assert_refused(scene, "UPSTREAM_TEST_KEY_FILE");
}

static void a_digest_key_has_32_bytes_at_least(void **state)
{
    struct scene *scene = *state;

    write_file(scene, "digest", "0123456789abcdef0123456789abcde\n");
    assert_refused(scene, "DIGEST_KEY_FILE");
    write_file(scene, "digest", DIGEST_KEY);
    assert_accepted(scene);
    write_bytes(scene, "digest", "\0\xff" DIGEST_KEY, 34); /* any bytes will do */
    assert_accepted(scene);
    assert_int_equal(scene->config.digest_key.length, 34);
    set("DIGEST_KEY_FILE", NULL);
    assert_refused(scene, "DIGEST_KEY_FILE");
}

/* All of a secret or none of it: half a key would digest other keys than invoicegatectl. */
static void a_secret_is_never_cut(void **state)
{
    struct scene *scene = *state;
    char bytes[CONFIG_SECRET_MAX_BYTES + 1];

    memset(bytes, 'x', sizeof(bytes));
    write_bytes(scene, "digest", bytes, CONFIG_SECRET_MAX_BYTES - 1);
    assert_accepted(scene);
    assert_int_equal(scene->config.digest_key.length, CONFIG_SECRET_MAX_BYTES - 1);
    write_bytes(scene, "digest", bytes, CONFIG_SECRET_MAX_BYTES);
    assert_refused(scene, "DIGEST_KEY_FILE");
    write_bytes(scene, "digest", bytes, CONFIG_SECRET_MAX_BYTES + 1);
    assert_refused(scene, "DIGEST_KEY_FILE");
}

static void the_credentials_directory_is_looked_into(void **state)
{
    struct scene *scene = *state;

    forget_environment();
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", scene->directory, 1), 0);
    assert_refused(scene, "DIGEST_KEY_FILE");
    write_file(scene, "digest-key", DIGEST_KEY "\n");
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    write_file(scene, "upstream-test-key", "sk_test_3\n");
    assert_accepted(scene);
    assert_secret(&scene->config.digest_key, DIGEST_KEY);
    assert_secret(&scene->config.upstream_keys[MODE_TEST], "sk_test_3");
    assert_int_equal(scene->config.upstream_keys[MODE_LIVE].length, 0);
    write_file(scene, "upstream-key", "sk_live_3\n");
    assert_accepted(scene);
    assert_secret(&scene->config.upstream_keys[MODE_LIVE], "sk_live_3");
    set_path(scene, "UPSTREAM_KEY_FILE", "live"); /* a named file comes first */
    assert_accepted(scene);
    assert_secret(&scene->config.upstream_keys[MODE_LIVE], "sk_live_1");
}

static void a_path_has_an_end(void **state)
{
    struct scene *scene = *state;
    char path[PATH_MAX + 10];

    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    set("DIGEST_KEY_FILE", path);
    assert_refused(scene, "DIGEST_KEY_FILE");
}

static void keys_can_be_forgotten(void **state)
{
    static const char zeros[sizeof(struct secret)] = {0};
    struct scene *scene = *state;

    assert_accepted(scene);
    config_forget_secrets(&scene->config);
    for (int mode = 0; mode < MODE_COUNT; mode++)
        assert_memory_equal(&scene->config.upstream_keys[mode], zeros, sizeof(zeros));
    assert_secret(&scene->config.digest_key, DIGEST_KEY); /* still needed */
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_work),
        TEST(an_empty_value_is_the_default),
        TEST(numbers_keep_their_bounds),
        TEST(garbage_is_no_number),
        TEST(switches_are_yes_or_no),
        TEST(levels_have_names),
        TEST(texts_are_taken_as_they_are),
        TEST(a_version_fits_a_header),
        TEST(a_url_is_scheme_host_and_port),
        TEST(a_url_has_an_end),
        TEST(secrets_are_trimmed_at_their_end),
        TEST(each_mode_has_its_key),
        TEST(a_named_file_must_hold_something),
        TEST(no_message_shows_a_secret),
        TEST(a_key_fits_a_header),
        TEST(a_digest_key_has_32_bytes_at_least),
        TEST(a_secret_is_never_cut),
        TEST(the_credentials_directory_is_looked_into),
        TEST(a_path_has_an_end),
        TEST(keys_can_be_forgotten),
        cmocka_unit_test(the_help_lists_every_setting),
        cmocka_unit_test(the_table_makes_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
