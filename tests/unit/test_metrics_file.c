/* Several workers in one process: their locks belong to open files, not to processes. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics_file.h"

static char directory[] = "/tmp/ig-metrics.XXXXXX";

static int open_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/ig-metrics.XXXXXX");
    log_level_set(LOG_ERROR);
    return mkdtemp(directory) ? 0 : -1;
}

static size_t files(const char *pattern, bool removing)
{
    char path[128];
    glob_t found = {0};
    size_t count = 0;
    snprintf(path, sizeof(path), "%s/%s", directory, pattern);
    if (glob(path, 0, NULL, &found) == 0)
        count = found.gl_pathc;
    for (size_t i = 0; removing && i < count; i++)
        unlink(found.gl_pathv[i]);
    globfree(&found);
    return count;
}

static int remove_directory(void **state)
{
    (void)state;
    files("*", true);
    return rmdir(directory);
}

static void start(struct metrics_file *file)
{
    assert_true(metrics_open(file, directory));
    assert_true(file->directory_fd >= 0);
}

static uint64_t total(struct metrics_file *file)
{
    struct metrics_sum sum;
    assert_true(metrics_sum_up(file, &sum));
    return sum.metrics.requests[1][0];
}

static void all_workers_are_added_up(void **state)
{
    struct metrics_file one, two;
    struct metrics_sum sum;
    (void)state;
    start(&one);
    start(&two);
    one.metrics->requests[1][0] = 3;
    two.metrics->requests[1][0] = 4;
    histogram_add(&two.metrics->request, &metric_seconds, 10);
    one.gauges->inflight = 1;
    two.gauges->inflight = 2;
    one.gauges->unresolved = 7;
    one.gauges->unresolved_at_s = 1000;
    two.gauges->unresolved = 9;
    two.gauges->unresolved_at_s = 999;
    assert_true(metrics_sum_up(&one, &sum));
    assert_int_equal(sum.metrics.requests[1][0], 7);
    assert_int_equal(sum.metrics.request.buckets[0], 1);
    assert_int_equal(sum.workers, 2);
    assert_int_equal(sum.gauges.inflight, 3);
    assert_int_equal(sum.gauges.unresolved, 7); /* the newest word */
    assert_int_equal(total(&two), 7);
    metrics_close(&one);
    metrics_close(&two);
}

static void the_dead_count_on_but_their_gauges_do_not(void **state)
{
    struct metrics_file one, two;
    struct metrics_sum sum;
    (void)state;
    start(&one);
    for (int i = 1; i <= 5; i++) {
        start(&two);
        two.metrics->requests[1][0] = 10;
        two.gauges->inflight = 5;
        metrics_close(&two);
        assert_true(metrics_sum_up(&one, &sum));
        assert_int_equal(sum.metrics.requests[1][0], 10 * i);
        assert_int_equal(sum.gauges.inflight, 0);
        assert_int_equal(sum.workers, 1);
    }
    assert_int_equal(files("metrics.[0-9]*", false), 1);
    metrics_close(&one);
    start(&two); /* nobody asked between the end of one and the beginning of the next */
    assert_int_equal(total(&two), 50);
    metrics_close(&two);
}

static void what_is_folded_is_not_folded_again(void **state)
{
    struct metrics_file one, two;
    char name[256], copy[256], command[600];
    (void)state;
    start(&one);
    start(&two);
    two.metrics->requests[1][0] = 10;
    snprintf(name, sizeof(name), "%s/%s", directory, two.name);
    snprintf(copy, sizeof(copy), "%s/copy", directory);
    snprintf(command, sizeof(command), "cp %s %s", name, copy);
    assert_int_equal(system(command), 0);
    metrics_close(&two);
    assert_int_equal(total(&one), 10);
    assert_int_equal(rename(copy, name), 0); /* as if its folder had died before it removed the file */
    assert_int_equal(total(&one), 10);
    assert_int_not_equal(access(name, F_OK), 0);
    metrics_close(&one);
}

/* As a version with more or fewer counters leaves it. */
static void resize(const char *name, off_t more_bytes)
{
    char path[256];
    struct stat facts;
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(truncate(path, facts.st_size + more_bytes), 0);
}

static void other_versions_are_added_as_far_as_they_go(void **state)
{
    struct metrics_file one, two, three;
    char name[sizeof(three.name)];
    (void)state;
    start(&one);
    start(&two);
    start(&three);
    two.metrics->requests[1][0] = 10;
    three.metrics->requests[1][0] = 20;
    resize(two.name, 4096);
    strcpy(name, three.name);
    metrics_close(&three);
    resize(name, -8 * (off_t)sizeof(uint64_t));
    assert_int_equal(total(&one), 30);
    metrics_close(&two);
    assert_int_equal(total(&one), 30);
    metrics_close(&one);
}

static void strange_files_are_left_alone(void **state)
{
    struct metrics_file one;
    char path[256];
    (void)state;
    start(&one);
    one.metrics->requests[1][0] = 1;
    for (int i = 0; i < 3; i++) {
        static const size_t sizes[] = {0, 100, 8192};
        snprintf(path, sizeof(path), "%s/metrics.%d.x", directory, i);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        for (size_t k = 0; k < sizes[i]; k++)
            fputc('x', file);
        assert_int_equal(fclose(file), 0);
    }
    snprintf(path, sizeof(path), "%s/metrics.past", directory);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(total(&one), 1);
    assert_int_equal(files("metrics.*.x", false), 3);
    metrics_close(&one);
}

static void without_a_directory_a_worker_counts_alone(void **state)
{
    struct metrics_file file;
    struct metrics_sum sum;
    (void)state;
    assert_true(metrics_open(&file, "/nowhere/at/all"));
    file.metrics->requests[1][0] = 3;
    assert_true(metrics_sum_up(&file, &sum));
    assert_int_equal(sum.metrics.requests[1][0], 3);
    assert_int_equal(sum.workers, 1);
    metrics_close(&file);
}

/* The reason is that the pages cannot be had, whatever becomes of the file then. */
static void without_room_a_worker_counts_alone_and_says_why(void **state)
{
    const struct rlimit small = {4096, RLIM_INFINITY};
    struct rlimit before;
    struct metrics_file file;
    char said[1024] = "";
    int pipes[2], stderr_before = dup(STDERR_FILENO);
    (void)state;
    assert_true(pipe(pipes) == 0 && getrlimit(RLIMIT_FSIZE, &before) == 0);
    signal(SIGXFSZ, SIG_IGN);
    log_level_set(LOG_WARNING);
    assert_true(setrlimit(RLIMIT_FSIZE, &small) == 0 && dup2(pipes[1], STDERR_FILENO) >= 0);
    assert_true(metrics_open(&file, directory));
    assert_true(setrlimit(RLIMIT_FSIZE, &before) == 0 && dup2(stderr_before, STDERR_FILENO) >= 0);
    assert_true(read(pipes[0], said, sizeof(said) - 1) > 0);
    assert_non_null(strstr(said, strerror(EFBIG)));
    assert_int_equal(file.directory_fd, -1);
    assert_int_equal(files("metrics.[0-9]*", false), 0);
    metrics_close(&file);
    close(pipes[0]);
    close(pipes[1]);
    close(stderr_before);
}

static void no_sum_while_somebody_holds_the_lock(void **state)
{
    struct metrics_file file;
    struct metrics_sum sum;
    char path[256];
    int fd;
    (void)state;
    start(&file);
    snprintf(path, sizeof(path), "%s/metrics.lock", directory);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_false(metrics_sum_up(&file, &sum));
    close(fd);
    assert_true(metrics_sum_up(&file, &sum));
    metrics_close(&file);
}

static void a_killed_process_loses_nothing(void **state)
{
    struct metrics_file file, child;
    int status;
    (void)state;
    start(&file);
    pid_t pid = fork();
    if (pid == 0) {
        if (metrics_open(&child, directory))
            child.metrics->requests[1][0] = 42;
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(total(&file), 42);
    metrics_close(&file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_workers_are_added_up),
        TEST(the_dead_count_on_but_their_gauges_do_not),
        TEST(what_is_folded_is_not_folded_again),
        TEST(other_versions_are_added_as_far_as_they_go),
        TEST(strange_files_are_left_alone),
        TEST(without_a_directory_a_worker_counts_alone),
        TEST(without_room_a_worker_counts_alone_and_says_why),
        TEST(no_sum_while_somebody_holds_the_lock),
        TEST(a_killed_process_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
