/*
 * Memory set aside for copies of frames. When a coroutine has to go on and there is no memory to
 * move another's frames out of its way, they are moved here. Mappings that cost only address space
 * until they are needed. Knows no coroutines.
 */
#ifndef ML_CORO_RESERVE_H
#define ML_CORO_RESERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A block takes whole units of so many bytes. */
enum { ML_RESERVE_UNIT = 1024 };

struct ml_reserve_region;

/* Zeroed: empty. */
struct ml_reserve {
    struct ml_reserve_region *regions; /* mapped, the last one first */
    size_t units;                      /* of all regions */
    size_t blocks;                     /* in use */
};

/* Ensures that there are at least `units`. 0 or -ENOMEM. */
int ml_reserve_grow(struct ml_reserve *reserve, size_t units);

/* Gives back units that are free and were mapped last, as long as `units` are left. */
void ml_reserve_shrink(struct ml_reserve *reserve, size_t units);

/* Gives all of it back; harmless without any. */
void ml_reserve_release(struct ml_reserve *reserve);

/* A block of `size` bytes, size > 0. NULL: there is no room for it. */
void *ml_reserve_take(struct ml_reserve *reserve, size_t size);

/* Frees the block if it is one of the reserve's, and returns whether it is. `size` as it was taken.
 */
bool ml_reserve_give_back(struct ml_reserve *reserve, void *block, size_t size);

#endif
