/* What each station needs of the configuration. */
#ifndef INVOICEGATE_SETTINGS_H
#define INVOICEGATE_SETTINGS_H

#include "config.h"
#include "flow/gateway.h"
#include "store/store.h"
#include "upstream/upstream.h"

#ifndef INVOICEGATE_VERSION
#define INVOICEGATE_VERSION "0.1"
#endif

/* Texts stay the configuration's. */
struct gateway_settings settings_gateway(const struct config *config);
/* How many nginx may keep. */
uint32_t settings_connections(const struct config *config);
struct store_settings settings_store(const struct config *config);
struct upstream_settings settings_upstream(const struct config *config);

#endif
