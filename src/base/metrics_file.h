/* A worker's counters in a file that all workers of the host can read, so that any of them tells the sum.
 *
 * Each worker maps a file of its own, metrics.PID.INCARNATION, and holds a lock on it as long as it lives:
 * counting is plain memory, and the kernel keeps what a killed worker had counted. Who asks for the sum finds
 * the files that nobody holds any more, adds them to metrics.past and removes them: a restart takes nothing
 * back. */
#ifndef INVOICEGATE_BASE_METRICS_FILE_H
#define INVOICEGATE_BASE_METRICS_FILE_H

#include <stdbool.h>

#include "base/metrics.h"

struct metrics_file {
    struct metrics *metrics; /* this worker's, never NULL once open */
    struct gauges *gauges;
    struct metrics_sheet *sheet; /* what is mapped: both, behind a head */
    int directory_fd; /* -1: no directory that could be used, so the figures are this worker's alone */
    int file_fd;
    char name[64];
};

struct metrics_sum {
    struct metrics metrics;
    struct gauges gauges; /* added up; what is known of the database is the newest */
    int workers;
};

/* False only when memory is out. A directory that cannot be used is said in one log line; NULL is none. */
MUST_CHECK bool metrics_open(struct metrics_file *file, const char *directory);
/* Everything counted so far by all workers, living or not. False when the lock is not to be had for a moment:
 * the sum of a part would look like counters that went back. */
MUST_CHECK bool metrics_sum_up(struct metrics_file *file, struct metrics_sum *sum);
/* What was counted stays in the file. Harmless on one that is all zero. */
void metrics_close(struct metrics_file *file);

#endif
