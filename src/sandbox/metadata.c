#include <string.h>

#include "sandbox/errors.h"
#include "sandbox/params.h"

enum { MOST_PAIRS = 50 };

static size_t find_pair(const struct metadata *metadata, const char *key, size_t key_len)
{
    size_t i = 0;
    while (i < metadata->count &&
           (strncmp(metadata->pairs[i].key, key, key_len) != 0 || metadata->pairs[i].key[key_len] != '\0'))
        i++;
    return i;
}

static void set_pair(struct call *call, struct metadata *metadata, const char *key, size_t key_len,
                     const char *value)
{
    size_t at = find_pair(metadata, key, key_len);
    if (value[0] == '\0') {
        if (at < metadata->count)
            metadata->pairs[at] = metadata->pairs[--metadata->count];
        return;
    }
    if (at == metadata->count) {
        metadata->pairs[at].key = arena_copy_bytes(&call->store->arena, key, key_len);
        metadata->count++;
    }
    metadata->pairs[at].value = call_keep(call, value);
}

// How many fields begin with the prefix and a bracket.
static size_t count_fields(const struct form *form, const char *prefix, size_t prefix_len)
{
    size_t count = 0;
    for (size_t i = 0; i < form->count; i++) {
        const char *name = form->fields[i].name;
        count += strncmp(name, prefix, prefix_len) == 0 && name[prefix_len] == '[';
    }
    return count;
}

bool metadata_merge(struct call *call, const char *prefix, struct metadata *metadata)
{
    size_t prefix_len = strlen(prefix);
    const struct form *form = &call->form;
    size_t kept = form_has(form, prefix) ? 0 : metadata->count;
    size_t room = kept + count_fields(form, prefix, prefix_len);
    if (room == 0) {
        metadata->count = 0;
        return true;
    }
    struct metadata merged = {arena_alloc(&call->store->arena, room * sizeof *merged.pairs), kept};
    if (kept > 0)
        memcpy(merged.pairs, metadata->pairs, kept * sizeof *merged.pairs);
    for (size_t i = 0; i < form->count; i++) {
        const char *name = form->fields[i].name;
        if (strncmp(name, prefix, prefix_len) == 0 && name[prefix_len] == '[')
            set_pair(call, &merged, name + prefix_len + 1, strlen(name) - prefix_len - 2,
                     form->fields[i].value);
    }
    if (merged.count > MOST_PAIRS) {
        call_invalid(call, "parameter_invalid_hash", prefix, "You can have up to 50 metadata keys");
        return false;
    }
    *metadata = merged;
    return true;
}
