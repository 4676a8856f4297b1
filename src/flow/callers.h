/* Keys that opened something lately, and how much of this worker each agency takes up. Nothing here lets
 * anybody in: that is PostgreSQL's word each time. It says early whose a request will be, and later which
 * keys were used. */
#ifndef INVOICEGATE_FLOW_CALLERS_H
#define INVOICEGATE_FLOW_CALLERS_H

#include "base/digest.h"
#include "store/store.h"

#define CALLERS 4096 /* keys remembered at once; the least recently used of a bucket makes room */
#define CALLERS_SHARES 4096
#define CALLERS_FLOOR 64      /* requests that every agency may have here, however full it is */
#define CALLERS_WINDOW 64     /* of them so many may be under way while other agencies ask, too */
#define CALLERS_CROWD_MS 1000 /* so long ago another one has asked: then it still does */

struct caller {
    uint8_t digest[DIGEST_BYTES];
    int64_t agency_id; /* 0: free */
    int64_t used_ms;
    bool used; /* since it was last gathered */
};

struct callers {
    struct caller *list; /* CALLERS */
    struct share {
        uint32_t here; /* under way or waiting */
        uint32_t under_way;
    } shares[CALLERS_SHARES]; /* by a hash of the agency: a collision shares, nothing worse */
    struct asker {
        int64_t agency_id; /* 0: nobody yet */
        int64_t at_ms;
    } askers[2]; /* who has asked last, and the last one before who was another */
};

MUST_CHECK bool callers_init(struct callers *callers);
void callers_free(struct callers *callers);

/* Whose key it was when it last opened something; 0: not known. */
int64_t callers_agency(const struct callers *callers, const uint8_t digest[DIGEST_BYTES]);
/* The key has opened something now. */
void callers_opened(struct callers *callers, int64_t now_ms, const uint8_t digest[DIGEST_BYTES],
                    int64_t agency_id);
/* It opens nothing any more. */
void callers_closed(struct callers *callers, const uint8_t digest[DIGEST_BYTES]);
/* Fills in at most room keys that were used since they were last gathered; answers how many. */
int callers_gather(struct callers *callers, struct store_used_key *keys, int room);

/* Requests of an agency come, begin and go. Its place among the shares, for what else is kept by agency: */
size_t callers_share(int64_t agency_id);
/* Whether there is room for one more: each agency may have as many here as there are places free. So one
 * alone gets half of all, a second one half of the rest, and there is always room for those who ask for
 * little. */
bool callers_have_room(const struct callers *callers, int64_t agency_id, uint32_t used, uint32_t capacity);
void callers_come(struct callers *callers, int64_t now_ms, int64_t agency_id);
/* Whether one that is here may begin now. While several agencies ask, a window keeps each of them from
 * filling every queue on the way, so that what comes from the others finds them short. Who asks alone has no
 * window. */
bool callers_may_begin(const struct callers *callers, int64_t now_ms, int64_t agency_id);
void callers_begin(struct callers *callers, int64_t agency_id);
void callers_go(struct callers *callers, int64_t agency_id);

#endif
