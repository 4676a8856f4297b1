/* The request headers that have a grammar of their own. Pure but for the arena. */
#ifndef INVOICEGATE_FRONT_HEADER_H
#define INVOICEGATE_FRONT_HEADER_H

#include <stdbool.h>

#include "base/arena.h"

/* Whether a Content-Type is application/json, in UTF-8 where it names a charset. */
bool header_is_json(struct text content_type);
/* Likewise application/x-www-form-urlencoded. */
bool header_is_form(struct text content_type);

/* The API key in an Authorization header: bare, or behind the scheme Bearer. Whether it is a good key is not
 * looked at; another scheme stays in front and makes it none. */
struct text header_api_key(struct text authorization);

/* Room for what Basic credentials decode to: any API key and its colon. */
#define HEADER_BASIC_MAX_BYTES 96

/* The API key in Basic credentials (RFC 7617): the user name, with an empty password. A view of the room,
 * which holds a secret afterwards. False when the header has another scheme, or anything is out of place. */
MUST_CHECK bool header_basic_key(struct text authorization, char room[HEADER_BASIC_MAX_BYTES],
                                 struct text *key);

/* Whether this is a version of the upstream's interface: a date, perhaps with a name behind a full stop. */
bool header_is_version(struct text version);

#define IDEMPOTENCY_KEY_MAX_BYTES 255

/* The key that an Idempotency-Key header names, bare or as a quoted string (RFC 8941): a view of the header,
 * or a copy in the arena where escapes had to go. False when it is malformed, empty, too long, or a list. */
MUST_CHECK bool header_idempotency_key(struct arena *arena, struct text header, struct text *key);
/* The same by the upstream's convention: a bare key is taken as it is, commas included. */
MUST_CHECK bool header_upstream_idempotency_key(struct arena *arena, struct text header, struct text *key);

#endif
