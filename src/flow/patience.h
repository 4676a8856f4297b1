/* How long a job waits, and for whom: the client's deadline, its leaving, and the time after both. */
#ifndef INVOICEGATE_FLOW_PATIENCE_H
#define INVOICEGATE_FLOW_PATIENCE_H

#include "flow/job.h"

/* After delay_ms whoever still waits is told the truth, and what nobody waits for is parked. */
void patience_start(struct job *job, int64_t delay_ms);
/* The client has left before it was answered. */
void patience_client_left(struct job *job);

#endif
