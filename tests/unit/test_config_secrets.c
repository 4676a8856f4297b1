#include "config_scene.h"

#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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
        scene_file(scene, "live", contents[i]);
        assert_accepted(scene);
        assert_secret(&scene->config.upstream_keys[MODE_LIVE], "sk_1");
    }
    assert_secret(&scene->config.digest_key, SCENE_DIGEST_KEY);
}

static void each_mode_has_its_key(void **state)
{
    struct scene *scene = *state;

    scene_file(scene, "test", "sk_test_2\n");
    scene_set_path(scene, "UPSTREAM_TEST_KEY_FILE", "test");
    assert_accepted(scene);
    assert_secret(&scene->config.upstream_keys[MODE_LIVE], "sk_live_1");
    assert_secret(&scene->config.upstream_keys[MODE_TEST], "sk_test_2");
    scene_set("UPSTREAM_KEY_FILE", NULL);
    assert_accepted(scene);
    assert_int_equal(scene->config.upstream_keys[MODE_LIVE].length, 0);
    scene_set("UPSTREAM_TEST_KEY_FILE", NULL);
    assert_refused(scene, "UPSTREAM_KEY_FILE");
}

/* A mode whose key was named but is not there is no mode that is not served. */
static void a_named_file_must_hold_something(void **state)
{
    static const char *const names[] = {"UPSTREAM_KEY_FILE", "UPSTREAM_TEST_KEY_FILE", "DIGEST_KEY_FILE"};
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char *before, name[64];
        snprintf(name, sizeof(name), SCENE_PREFIX "%s", names[i]);
        before = getenv(name) ? strdup(getenv(name)) : NULL;
        scene_set_path(scene, names[i], "nowhere");
        assert_refused(scene, names[i]);
        scene_set(names[i], scene->directory);
        assert_refused(scene, names[i]);
        scene_file(scene, "other", "");
        scene_set_path(scene, names[i], "other");
        assert_refused(scene, names[i]);
        scene_file(scene, "other", " \n\n");
        assert_refused(scene, names[i]);
        scene_set(names[i], before);
        free(before);
    }
}

/* Nobody writes into the pipe: whoever opens it as a file waits for ever. */
static void only_a_file_is_read(void **state)
{
    static const char *const names[] = {"UPSTREAM_KEY_FILE", "DIGEST_KEY_FILE", "SETTINGS_FILE"};
    struct scene *scene = *state;
    char pipe[128];

    snprintf(pipe, sizeof(pipe), "%s/other", scene->directory);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *const others[] = {pipe, scene->directory, "/dev/zero"};
        char *before, name[64];
        snprintf(name, sizeof(name), SCENE_PREFIX "%s", names[i]);
        before = getenv(name) ? strdup(getenv(name)) : NULL;
        for (size_t o = 0; o < COUNT_OF(others); o++) {
            scene_set(names[i], others[o]);
            assert_refused(scene, names[i]);
            assert_non_null(strstr(scene->errors, "is no file"));
        }
        scene_set(names[i], before);
        free(before);
    }
    assert_accepted(scene);
}

/* As invoicegatectl hands secrets over, and systemd's credentials. */
static void a_file_in_memory_is_a_file(void **state)
{
    struct scene *scene = *state;
    char path[64];
    int fd = memfd_create("secret", 0);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "sk_live_9\n", 10), 10);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    scene_set("UPSTREAM_KEY_FILE", path);
    assert_accepted(scene);
    assert_secret(&scene->config.upstream_keys[MODE_LIVE], "sk_live_9");
    scene_set("SETTINGS_FILE", "/proc/self/environ");
    assert_refused(scene, "SETTINGS_FILE"); /* a file, though no text */
    assert_null(strstr(scene->errors, "is no file"));
    config_forget(&scene->config);
    close(fd);
}

static void no_message_shows_a_secret(void **state)
{
    struct scene *scene = *state;

    scene_file(scene, "live", "sk_live_secret with a space");
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    assert_null(strstr(scene->errors, "sk_live"));
    scene_file(scene, "live", "sk_live_1");
    scene_file(scene, "digest", "tooshortsecret");
    assert_refused(scene, "DIGEST_KEY_FILE");
    assert_null(strstr(scene->errors, "tooshort"));
}

static void a_key_fits_a_header(void **state)
{
    struct scene *scene = *state;
    char key[402];

    scene_bytes(scene, "live", TEXT("sk\0live").at, 7);
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    scene_file(scene, "live", "sk\r\nX-Header: y");
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    scene_file(scene, "live", " sk");
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    scene_file(scene, "live", "caf\xc3\xa9");
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    memset(key, 'k', sizeof(key));
    scene_bytes(scene, "live", key, 400);
    assert_accepted(scene);
    scene_bytes(scene, "live", key, 401);
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    scene_file(scene, "live", "sk_live_1");
    scene_file(scene, "test", "a b");
    scene_set_path(scene, "UPSTREAM_TEST_KEY_FILE", "test");
    assert_refused(scene, "UPSTREAM_TEST_KEY_FILE");
}

static void a_digest_key_has_32_bytes_at_least(void **state)
{
    struct scene *scene = *state;

    scene_file(scene, "digest", "0123456789abcdef0123456789abcde\n");
    assert_refused(scene, "DIGEST_KEY_FILE");
    scene_file(scene, "digest", SCENE_DIGEST_KEY);
    assert_accepted(scene);
    scene_bytes(scene, "digest", "\0\xff" SCENE_DIGEST_KEY, 34); /* any bytes will do */
    assert_accepted(scene);
    assert_int_equal(scene->config.digest_key.length, 34);
    scene_set("DIGEST_KEY_FILE", NULL);
    assert_refused(scene, "DIGEST_KEY_FILE");
}

/* All of a secret or none of it: half a key would digest other keys than invoicegatectl. */
static void a_secret_is_never_cut(void **state)
{
    struct scene *scene = *state;
    char bytes[CONFIG_SECRET_MAX_BYTES + 1];

    memset(bytes, 'x', sizeof(bytes));
    scene_bytes(scene, "digest", bytes, CONFIG_SECRET_MAX_BYTES - 1);
    assert_accepted(scene);
    assert_int_equal(scene->config.digest_key.length, CONFIG_SECRET_MAX_BYTES - 1);
    scene_bytes(scene, "digest", bytes, CONFIG_SECRET_MAX_BYTES);
    assert_refused(scene, "DIGEST_KEY_FILE");
    scene_bytes(scene, "digest", bytes, CONFIG_SECRET_MAX_BYTES + 1);
    assert_refused(scene, "DIGEST_KEY_FILE");
}

static void the_credentials_directory_is_looked_into(void **state)
{
    struct scene *scene = *state;

    scene_forget();
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", scene->directory, 1), 0);
    assert_refused(scene, "DIGEST_KEY_FILE");
    scene_file(scene, "digest-key", SCENE_DIGEST_KEY "\n");
    assert_refused(scene, "UPSTREAM_KEY_FILE");
    scene_file(scene, "upstream-test-key", "sk_test_3\n");
    assert_accepted(scene);
    assert_secret(&scene->config.digest_key, SCENE_DIGEST_KEY);
    assert_secret(&scene->config.upstream_keys[MODE_TEST], "sk_test_3");
    assert_int_equal(scene->config.upstream_keys[MODE_LIVE].length, 0);
    scene_file(scene, "upstream-key", "sk_live_3\n");
    assert_accepted(scene);
    assert_secret(&scene->config.upstream_keys[MODE_LIVE], "sk_live_3");
    scene_set_path(scene, "UPSTREAM_KEY_FILE", "live"); /* a named file comes first */
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
    scene_set("DIGEST_KEY_FILE", path);
    assert_refused(scene, "DIGEST_KEY_FILE");
}

static void keys_can_be_forgotten(void **state)
{
    static const char zeros[sizeof(struct secret)] = {0};
    struct scene *scene = *state;

    assert_accepted(scene);
    config_forget(&scene->config);
    for (int mode = 0; mode < MODE_COUNT; mode++)
        assert_memory_equal(&scene->config.upstream_keys[mode], zeros, sizeof(zeros));
    assert_memory_equal(&scene->config.digest_key, zeros, sizeof(zeros));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(secrets_are_trimmed_at_their_end),
        SCENE_TEST(each_mode_has_its_key),
        SCENE_TEST(a_named_file_must_hold_something),
        SCENE_TEST(only_a_file_is_read),
        SCENE_TEST(a_file_in_memory_is_a_file),
        SCENE_TEST(no_message_shows_a_secret),
        SCENE_TEST(a_key_fits_a_header),
        SCENE_TEST(a_digest_key_has_32_bytes_at_least),
        SCENE_TEST(a_secret_is_never_cut),
        SCENE_TEST(the_credentials_directory_is_looked_into),
        SCENE_TEST(a_path_has_an_end),
        SCENE_TEST(keys_can_be_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
