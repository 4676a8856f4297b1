#include "unit.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/notify.h"

#define HEAD offsetof(struct sockaddr_un, sun_path)

/* A manager that listens on this address, as systemd spells it: @ for a NUL in front. */
static int manager_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (struct sockaddr *)&address, (socklen_t)(HEAD + strlen(path))), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
    return fd;
}

static void assert_told(int fd, const char *expected)
{
    char word[64];
    ssize_t length = recv(fd, word, sizeof(word), 0);
    assert_int_equal(length, (ssize_t)strlen(expected));
    assert_memory_equal(word, expected, strlen(expected));
    close(fd);
}

static void tells_a_manager_with_a_path(void **state)
{
    char directory[] = "/tmp/ignotify.XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(directory));
    assert_true(snprintf(path, sizeof(path), "%s/notify", directory) < (int)sizeof(path));
    int fd = manager_at(path);
    notify("READY=1");
    assert_told(fd, "READY=1");
    assert_int_equal(unlink(path), 0);
    notify("STOPPING=1"); /* to nobody */
    assert_int_equal(rmdir(directory), 0);
}

static void tells_a_manager_with_an_abstract_address(void **state)
{
    char path[64];
    (void)state;
    assert_true(snprintf(path, sizeof(path), "@invoicegate-test-notify-%ld", (long)getpid()) <
                (int)sizeof(path));
    int fd = manager_at(path);
    notify("STOPPING=1");
    assert_told(fd, "STOPPING=1");
}

static void says_nothing_where_nobody_listens(void **state)
{
    char longer[200];
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    notify("READY=1");
    memset(longer, 'x', sizeof(longer));
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    const char *const odd[] = {"", "/", "@", "relative", "/nowhere/notify", longer};
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        setenv("NOTIFY_SOCKET", odd[i], 1);
        notify("READY=1");
    }
    unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_a_manager_with_a_path),
        cmocka_unit_test(tells_a_manager_with_an_abstract_address),
        cmocka_unit_test(says_nothing_where_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
