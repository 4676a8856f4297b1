/* SIGHUP: settings and upstream keys are read anew while requests go on. */
#ifndef INVOICEGATE_RELOAD_H
#define INVOICEGATE_RELOAD_H

#include "config.h"
#include "flow/gateway.h"

/* What is wrong keeps all as it was, and is said in one log line. */
void reload_settings(struct config *config, struct gateway *gateway,
                     struct gateway_settings *gateway_settings, struct store_settings *store_settings);
/* A warning for each name that looks like a setting and is none: of a worker that begins. */
void reload_tell_strays(const struct config *config);

#endif
