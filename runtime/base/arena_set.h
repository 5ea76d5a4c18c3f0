/*
 * The addresses of a pool's arenas: one thread adds and removes, any thread asks. Knows nothing of
 * what lies there.
 */
#ifndef ML_BASE_ARENA_SET_H
#define ML_BASE_ARENA_SET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ml_arena_table;

/* Zeroed, it is empty. */
struct ml_arena_set {
    struct ml_arena_table *_Atomic table;
    uint32_t used; /* places of the table that are not fresh */
};

/* An address, of more than 1. 0 or -ENOMEM. */
int ml_arena_set_add(struct ml_arena_set *set, uintptr_t address);

/* One that was added. Before its memory is given back, so that nobody takes what comes to lie there
 * for it. */
void ml_arena_set_remove(struct ml_arena_set *set, uintptr_t address);

/* From any thread. Certain for an address that the caller knows not to be added or removed
 * meanwhile. */
bool ml_arena_set_has(const struct ml_arena_set *set, uintptr_t address);

/* Nobody asks any more. */
void ml_arena_set_release(struct ml_arena_set *set);

#endif
