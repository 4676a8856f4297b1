#include "sandbox/store.h"

#include <stdio.h>
#include <string.h>

#include "sandbox/seeds.h"

enum { SCOPE_ID_BYTES = 256 };

static struct scope *make_scope(struct store *store, const char *id, const char *account, bool livemode)
{
    struct scope *scope = arena_alloc(&store->arena, sizeof *scope);
    char prefix[16];
    uint64_t hash = hash_bytes(id, strlen(id), 1);
    snprintf(prefix, sizeof prefix, "%08X", (unsigned)(hash & 0xffffffffU));
    scope->id = arena_copy(&store->arena, id);
    scope->account = arena_copy(&store->arena, account);
    scope->prefix = arena_copy(&store->arena, prefix);
    scope->livemode = livemode;
    scope->next_number = 1;
    seeds_plant(&store->arena, scope);
    table_put(&store->scopes, scope);
    list_add(&store->arena, &store->scope_list, scope);
    return scope;
}

struct scope *store_scope(struct store *store, const char *account, bool livemode)
{
    char id[SCOPE_ID_BYTES];
    snprintf(id, sizeof id, "%s:%s", livemode ? "live" : "test", account);
    struct scope *scope = table_find(&store->scopes, id);
    return scope != NULL ? scope : make_scope(store, id, account, livemode);
}

void store_free(struct store *store)
{
    for (size_t i = 0; i < store->scope_list.count; i++) {
        struct scope *scope = store->scope_list.items[i];
        table_free(&scope->products);
        table_free(&scope->prices);
        table_free(&scope->customers);
        table_free(&scope->invoices);
        table_free(&scope->items);
        table_free(&scope->keys);
    }
    table_free(&store->scopes);
    arena_free(&store->arena);
    *store = (struct store){0};
}

void store_forget_keys(struct store *store)
{
    for (size_t i = 0; i < store->scope_list.count; i++) {
        struct scope *scope = store->scope_list.items[i];
        for (size_t k = 0; k < scope->key_list.count; k++) {
            struct saved *saved = scope->key_list.items[k];
            saved->forgotten = true;
        }
    }
}
