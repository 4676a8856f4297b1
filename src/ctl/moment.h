/* Moments as PostgreSQL writes them (ISO, UTC) in the forms that people and programs read. */
#ifndef INVOICEGATE_CTL_MOMENT_H
#define INVOICEGATE_CTL_MOMENT_H

#include "base/text.h"

#define MOMENT_BYTES 48

/* "2026-01-31 12:00:00.123+00" to "2026-01-31T12:00:00.123Z". */
void moment_iso(struct text moment, char iso[MOMENT_BYTES]);
/* The same to "2026-01-31 12:00:00": seconds are enough for a table, and its title says UTC. */
void moment_short(struct text moment, char seconds[MOMENT_BYTES]);

#endif
