/*
 * Small numbers for live tasks: slot -> task, O(1) both ways. Timer entries and other tables name a
 * task by its slot, so that none of them holds a pointer to a task that has ended.
 */
#ifndef ML_HUB_STATE_SLOTS_H
#define ML_HUB_STATE_SLOTS_H

#include <stdint.h>

struct ml_task;

/* No slot. Slots are smaller: twice a slot plus one fits into a pointer, also where that has 32
 * bits. */
#define ML_NO_SLOT ((uint32_t)INT32_MAX)

struct ml_slots {
    uintptr_t *entries; /* a task, or twice the next free slot plus one */
    uint32_t count;     /* entries in use or free; the slots are 0..count-1 */
    uint32_t capacity;
    uint32_t first_free; /* ML_NO_SLOT when none */
};

void ml_slots_init(struct ml_slots *slots);
void ml_slots_release(struct ml_slots *slots);

/* The slot that the next ml_slots_take() will give. */
static inline uint32_t ml_slots_next(const struct ml_slots *slots)
{
    return slots->first_free != ML_NO_SLOT ? slots->first_free : slots->count;
}

/* Gives `task` a slot and stores it in *slot. 0 or -ENOMEM. */
int ml_slots_take(struct ml_slots *slots, struct ml_task *task, uint32_t *slot);

void ml_slots_give_back(struct ml_slots *slots, uint32_t slot);

/* The task in `slot`, NULL when it is free. slot < slots->count. */
static inline struct ml_task *ml_slots_task(const struct ml_slots *slots, uint32_t slot)
{
    uintptr_t entry = slots->entries[slot];
    return entry & 1 ? (struct ml_task *)0 : (struct ml_task *)entry;
}

#endif
