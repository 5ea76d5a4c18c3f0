#include "hub/state/slots.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

void ml_slots_init(struct ml_slots *slots)
{
    *slots = (struct ml_slots){.first_free = ML_NO_SLOT};
}

void ml_slots_release(struct ml_slots *slots)
{
    free(slots->entries);
    ml_slots_init(slots);
}

static int grow(struct ml_slots *slots)
{
    enum { MOST = ML_NO_SLOT / 2 + 1 }; /* the last power of two at which no slot is ML_NO_SLOT */
    size_t size;
    uint32_t capacity = slots->capacity > 0 ? slots->capacity * 2 : FIRST_CAPACITY;
    if (capacity > MOST || __builtin_mul_overflow(capacity, sizeof *slots->entries, &size))
        return -ENOMEM;
    uintptr_t *entries = realloc(slots->entries, size);
    if (entries == NULL)
        return -ENOMEM;
    slots->entries = entries;
    slots->capacity = capacity;
    return 0;
}

int ml_slots_take(struct ml_slots *slots, struct ml_task *task, uint32_t *slot)
{
    if (slots->first_free != ML_NO_SLOT) {
        *slot = slots->first_free;
        slots->first_free = (uint32_t)(slots->entries[*slot] >> 1);
    } else {
        if (slots->count == slots->capacity && grow(slots) != 0)
            return -ENOMEM;
        *slot = slots->count++;
    }
    slots->entries[*slot] = (uintptr_t)task;
    return 0;
}

void ml_slots_give_back(struct ml_slots *slots, uint32_t slot)
{
    slots->entries[slot] = ((uintptr_t)slots->first_free << 1) | 1;
    slots->first_free = slot;
}
