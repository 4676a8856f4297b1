#include "config_scene.h"

#include <unistd.h>

static void path_in(const struct scene *scene, const char *name, char path[128])
{
    assert_true(snprintf(path, 128, "%s/%s", scene->directory, name) < 128);
}

void scene_bytes(const struct scene *scene, const char *name, const char *bytes, size_t length)
{
    char path[128];
    FILE *file;
    path_in(scene, name, path);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

void scene_file(const struct scene *scene, const char *name, const char *content)
{
    scene_bytes(scene, name, content, strlen(content));
}

void scene_set(const char *setting, const char *value)
{
    char name[64];
    snprintf(name, sizeof(name), SCENE_PREFIX "%s", setting);
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

void scene_set_path(const struct scene *scene, const char *setting, const char *file)
{
    char path[128];
    path_in(scene, file, path);
    scene_set(setting, path);
}

/* An entry of the environment that is a setting, or NULL. */
static const char *first_setting(void)
{
    for (char **entry = environ; *entry; entry++)
        if (strncmp(*entry, SCENE_PREFIX, strlen(SCENE_PREFIX)) == 0)
            return *entry;
    return NULL;
}

void scene_forget(void)
{
    const char *left;
    while ((left = first_setting())) {
        char name[64];
        size_t length = strcspn(left, "=");
        assert_true(length < sizeof(name)); /* or this would not end */
        snprintf(name, sizeof(name), "%.*s", (int)length, left);
        assert_int_equal(unsetenv(name), 0);
    }
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

int scene_open(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    assert_non_null(scene);
    strcpy(scene->directory, "/tmp/test_config.XXXXXX");
    assert_non_null(mkdtemp(scene->directory));
    scene_forget();
    scene_file(scene, "digest", SCENE_DIGEST_KEY "\n");
    scene_file(scene, "live", "sk_live_1\n");
    scene_set_path(scene, "DIGEST_KEY_FILE", "digest");
    scene_set_path(scene, "UPSTREAM_KEY_FILE", "live");
    *state = scene;
    return 0;
}

int scene_close(void **state)
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

void assert_accepted(struct scene *scene)
{
    if (!read_scene(scene))
        fail_msg("refused: %s", scene->errors);
    assert_string_equal(scene->errors, "");
}

/* One line that names the setting and says what is wrong. */
void assert_refused(struct scene *scene, const char *setting)
{
    char start[80];
    size_t length;
    if (read_scene(scene))
        fail_msg("%s: accepted", setting);
    print_message("%s", scene->errors);
    snprintf(start, sizeof(start), "invoicegate: " SCENE_PREFIX "%s ", setting);
    assert_memory_equal(scene->errors, start, strlen(start));
    length = strlen(scene->errors);
    assert_true(length > strlen(start) + 5 && length < 200);
    assert_ptr_equal(strchr(scene->errors, '\n'), scene->errors + length - 1);
}
