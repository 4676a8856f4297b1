#include "flow/shortage.h"

#include "flow/ending.h"
#include "flow/gateway.h"
#include "flow/read.h"

bool shortage_is(const struct job *job)
{
    return arena_overflowed(&job->arena) || arena_overflowed(&job->gateway->scratch);
}

void shortage_end(struct job *job)
{
    if (read_is(job)) {
        read_unreachable(job);
    } else if (job_invoice_possible(job)) {
        if (!job->answered)
            ending_answer_unresolved(job);
        ending_park(job);
    } else {
        ending_fail(job, "overloaded");
    }
}
