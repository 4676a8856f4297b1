/* What the commands on API keys share. */
#ifndef INVOICEGATE_CTL_KEY_H
#define INVOICEGATE_CTL_KEY_H

#include "base/apikey.h"
#include "ctl/ctl.h"

#define KEY_NAME_BYTES_MAX 200
#define KEY_HINT_BYTES 4

/* A fresh key and its digest; says what is missing. The caller wipes the key. */
enum ctl_exit key_make(struct ctl *ctl, enum mode mode, char key[APIKEY_BYTES + 1],
                       uint8_t digest[DIGEST_BYTES]) MUST_CHECK;
/* Shows the key, once. The first row has key_id and agency_id in its first two columns. */
void key_print(const struct ctl *ctl, const char *key, const PGresult *rows);
/* A moment that is no date (the 31st of February) or already past is the operator's slip, not the database's.
 */
enum ctl_exit key_check_expiry(struct ctl *ctl, const char *expires) MUST_CHECK;
/* The command's one argument as the number of a key; false with a complaint. */
MUST_CHECK bool key_id_given(struct ctl *ctl, int64_t *key_id);
void key_say_not_found(int64_t agency_id, int64_t key_id);

/* 'key rotate', which has a file of its own. */
extern const struct option key_rotate_options[];
enum ctl_exit key_rotate(struct ctl *ctl);

#endif
