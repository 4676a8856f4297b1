/* What tests of settings share: a private directory with good secrets, and an environment that names them and
 * nothing else. */
#ifndef INVOICEGATE_TESTS_CONFIG_SCENE_H
#define INVOICEGATE_TESTS_CONFIG_SCENE_H

#include "unit.h"

#include "config.h"

#define SCENE_PREFIX "INVOICEGATE_"
#define SCENE_DIGEST_KEY "0123456789abcdef0123456789abcdef"

struct scene {
    char directory[64];
    char errors[512]; /* what the last reading complained of */
    struct config config;
};

/* Setup and teardown of one test; the scene is its state. */
int scene_open(void **state);
int scene_close(void **state);

/* Writes a file of the scene's directory. */
void scene_file(const struct scene *scene, const char *name, const char *content);
void scene_bytes(const struct scene *scene, const char *name, const char *bytes, size_t length);
/* Sets a setting (without its prefix) to a value, or takes it away (NULL). */
void scene_set(const char *setting, const char *value);
void scene_set_path(const struct scene *scene, const char *setting, const char *file);
/* Takes all settings away. */
void scene_forget(void);

/* Reads the settings, which must be good. */
void assert_accepted(struct scene *scene);
/* Reads the settings: one line must name this one and say what is wrong. */
void assert_refused(struct scene *scene, const char *setting);

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_open, scene_close)

#endif
