/*
 * The addresses of a pool's arenas: one thread adds and removes them, any thread may look one up.
 * Knows nothing of the arenas' content.
 */
#ifndef ML_BASE_ARENA_SET_H
#define ML_BASE_ARENA_SET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ml_arena_table;

/* An empty set is zeroed. */
struct ml_arena_set {
    struct ml_arena_table *_Atomic table;
    uint32_t used; /* places of the table that are not fresh */
};

/* Adds an address greater than 1. 0 or -ENOMEM. */
int ml_arena_set_add(struct ml_arena_set *set, uintptr_t address);

/* Removes an address that was added. To be called before its memory is given back: a later mapping
 * may come to lie there. */
void ml_arena_set_remove(struct ml_arena_set *set, uintptr_t address);

/* From any thread. The answer is certain if the caller knows that the address is not being added or
 * removed meanwhile. */
bool ml_arena_set_has(const struct ml_arena_set *set, uintptr_t address);

/* Frees the tables; no thread reads them any more. */
void ml_arena_set_release(struct ml_arena_set *set);

#endif
