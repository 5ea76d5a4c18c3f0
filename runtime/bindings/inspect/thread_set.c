#include "bindings/inspect/thread_set.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

static const lua_State **slot_of(const lua_State **slots, uint32_t capacity, const lua_State *L)
{
    uint32_t i = (uint32_t)((uintptr_t)L >> 4) * 2654435769u >> 8;
    while (slots[i & (capacity - 1)] != NULL && slots[i & (capacity - 1)] != L)
        i++;
    return &slots[i & (capacity - 1)];
}

static bool grow(struct ml_thread_set *set)
{
    uint32_t capacity = set->capacity > 0 ? set->capacity * 2 : FIRST_CAPACITY;
    const lua_State **slots = calloc(capacity, sizeof(const lua_State *));
    if (slots == NULL)
        return false;
    for (uint32_t i = 0; i < set->capacity; i++)
        if (set->slots[i] != NULL)
            *slot_of(slots, capacity, set->slots[i]) = set->slots[i];
    free(set->slots);
    set->slots = slots;
    set->capacity = capacity;
    return true;
}

bool ml_thread_set_add(struct ml_thread_set *set, const lua_State *L)
{
    if (set->count * 2 >= set->capacity && !grow(set))
        return true;
    const lua_State **slot = slot_of(set->slots, set->capacity, L);
    if (*slot == L)
        return false;
    *slot = L;
    set->count++;
    return true;
}

void ml_thread_set_clear(struct ml_thread_set *set)
{
    free(set->slots);
    memset(set, 0, sizeof *set);
}
