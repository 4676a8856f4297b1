/* What monitoring asks, on a listener of nginx's own: /metrics, /livez, /readyz. */
#ifndef INVOICEGATE_FLOW_ADMIN_H
#define INVOICEGATE_FLOW_ADMIN_H

#include "base/loop.h"
#include "base/metrics_file.h"
#include "front/conn.h"
#include "store/store.h"

struct gateway;

struct admin {
    struct metrics_file file;
    struct timer tick;
    int ticks;
    struct store_task count; /* of what is unresolved */
};

/* Opens the counters; gateway->metrics is there from now on. False when memory is out. */
MUST_CHECK bool admin_init(struct gateway *gateway, const char *runtime_dir);
/* Once the stations are open: figures that are so now are written down every second. */
void admin_start(struct gateway *gateway);
void admin_stop(struct gateway *gateway);
/* A request that came through the admin listener. */
void admin_arrived(struct gateway *gateway, struct ref conn, const struct http_request *http);
/* PostgreSQL has counted. */
void admin_counted(struct gateway *gateway, const struct store_answer *answer);

#endif
