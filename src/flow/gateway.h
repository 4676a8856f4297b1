/* The stations joined: what arrives in front becomes a job, and the job goes its way. */
#ifndef INVOICEGATE_FLOW_GATEWAY_H
#define INVOICEGATE_FLOW_GATEWAY_H

#include "base/loop.h"
#include "base/slots.h"
#include "flow/admin.h"
#include "flow/admission.h"
#include "flow/job.h"
#include "flow/ready.h"
#include "flow/recover.h"
#include "flow/traffic.h"
#include "front/conn.h"
#include "store/store.h"
#include "upstream/upstream.h"

struct gateway_settings {
    struct text digest_key;
    struct request_rules rules;
    int deadline_ms;
    uint32_t max_inflight;
    int lease_ms;
    int background_ms;   /* how long memory waits once nobody else does */
    int park_ms;         /* then PostgreSQL, until somebody takes it up again */
    int lookup_pause_ms; /* between two looks for an invoice */
    int account_posts_per_s;
    int wrong_keys_per_min; /* of one address, before its answers are slowed down; 0: any number */
    const char *runtime_dir;
    bool serves[MODE_COUNT];
};

struct gateway {
    struct loop *loop;
    const struct gateway_settings *settings;
    struct front *front;
    struct store *store;
    struct upstream *upstream;
    struct slots jobs;
    uint32_t reads; /* among them */
    struct recovery recovery;
    struct traffic traffic;
    struct admission admission;
    struct arena scratch; /* what one answer of the upstream is read into */
    bool draining;
    struct metrics *metrics; /* what is counted */
    struct admin admin;
    struct ready ready;
};

MUST_CHECK bool gateway_init(struct gateway *gateway, struct loop *loop,
                             const struct gateway_settings *settings);
/* Callbacks for the three stations; owner is the gateway. */
void gateway_arrived(void *owner, struct ref conn, const struct http_request *http);
void gateway_client_left(void *owner, struct ref conn);
void gateway_stored(void *owner, struct store_task *task, const struct store_answer *answer);
void gateway_called(void *owner, struct ref ref, const struct reply *reply);
/* Begins a request that was admitted. */
void gateway_begin(struct job *job);
/* Jobs that are not at their end. */
uint32_t gateway_inflight(const struct gateway *gateway);
void gateway_free(struct gateway *gateway);

#endif
