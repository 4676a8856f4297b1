#include "sandbox/call.h"

#include <stdio.h>
#include <string.h>

enum { ID_LETTERS = 24 };

void call_reset(struct call *call)
{
    struct form form = call->form;
    struct text form_bytes = call->form_bytes;
    struct text answer = call->answer;
    form_clear(&form);
    text_clear(&form_bytes);
    text_clear(&answer);
    memset(call, 0, sizeof *call);
    call->form = form;
    call->form_bytes = form_bytes;
    call->answer = answer;
    call->retry_after_s = -1;
}

void call_free(struct call *call)
{
    form_free(&call->form);
    text_free(&call->form_bytes);
    text_free(&call->answer);
}

static uint64_t next_random(struct call *call)
{
    call->random += 0x9e3779b97f4a7c15ULL;
    uint64_t z = call->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

void call_make_id(struct call *call, const char *prefix, char *id)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const uint64_t base = sizeof letters - 1;
    size_t len = strlen(prefix);
    memcpy(id, prefix, len);
    uint64_t random = 0;
    for (size_t i = 0; i < ID_LETTERS; i++) {
        if (i % 8 == 0)
            random = next_random(call);
        id[len + i] = letters[random % base];
        random /= base;
    }
    id[len + ID_LETTERS] = '\0';
}

const char *call_new_id(struct call *call, const char *prefix)
{
    char id[ID_BYTES];
    call_make_id(call, prefix, id);
    return call_keep(call, id);
}

const char *call_keep(struct call *call, const char *string)
{
    return arena_copy(&call->store->arena, string);
}

const char *call_keep_text(struct call *call, const struct text *text)
{
    return arena_copy_bytes(&call->store->arena, text->data, text->len);
}

const char *call_keep_field(struct call *call, const char *name)
{
    return call_keep(call, form_text(&call->form, name));
}

void call_update_text(struct call *call, const char *name, const char **member)
{
    if (form_has(&call->form, name))
        *member = call_keep_field(call, name);
}

void call_answer(struct call *call, enum shape shape, const void *object)
{
    call->status = 200;
    shape_write(&call->answer, shape, object, call->view);
}
