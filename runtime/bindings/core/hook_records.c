#include "bindings/core/hook_records.h"

#include <stdint.h>
#include <stdlib.h>

static struct ml_hooked **bucket_of(struct ml_hooks *hooks, const lua_State *L)
{
    return &hooks->buckets[((uintptr_t)L >> 6) % ML_HOOK_BUCKETS];
}

struct ml_hooked *ml_hook_record_find(struct ml_hooks *hooks, const lua_State *L)
{
    struct ml_hooked *hooked = *bucket_of(hooks, L);
    while (hooked != NULL && hooked->L != L)
        hooked = hooked->next;
    return hooked;
}

struct ml_hooked *ml_hook_record_obtain(struct ml_hooks *hooks, lua_State *L)
{
    struct ml_hooked *hooked = ml_hook_record_find(hooks, L);
    if (hooked != NULL)
        return hooked;
    hooked = calloc(1, sizeof *hooked);
    if (hooked == NULL)
        return NULL;
    hooked->L = L;
    hooked->next = *bucket_of(hooks, L);
    *bucket_of(hooks, L) = hooked;
    hooks->count++;
    return hooked;
}

void ml_hook_record_drop(struct ml_hooks *hooks, const lua_State *L)
{
    struct ml_hooked **link = bucket_of(hooks, L);
    while (*link != NULL && (*link)->L != L)
        link = &(*link)->next;
    struct ml_hooked *hooked = *link;
    if (hooked == NULL)
        return;
    *link = hooked->next;
    free(hooked);
    hooks->count--;
}

struct ml_hooked *ml_hook_record_next(struct ml_hooks *hooks, const struct ml_hooked *hooked)
{
    if (hooked != NULL && hooked->next != NULL)
        return hooked->next;
    struct ml_hooked **bucket = hooks->buckets;
    if (hooked != NULL)
        bucket = bucket_of(hooks, hooked->L) + 1;
    while (bucket < hooks->buckets + ML_HOOK_BUCKETS && *bucket == NULL)
        bucket++;
    return bucket < hooks->buckets + ML_HOOK_BUCKETS ? *bucket : NULL;
}

void ml_hook_records_release(struct ml_hooks *hooks)
{
    for (int i = 0; i < ML_HOOK_BUCKETS; i++)
        while (hooks->buckets[i] != NULL)
            ml_hook_record_drop(hooks, hooks->buckets[i]->L);
}
