/*
 * Each place has a turn. In round r (the number of times that the ring has been filled) a place
 * with the turn 2r is free, and with 2r + 1 filled. So zeroed memory is an empty ring, of which no
 * page is touched before it is used.
 */
#include "system/signal/ring.h"

#include <stddef.h>

/* The turn at which the place for that position is free. */
static uint32_t turn_of(const struct ml_signal_ring *ring, uint64_t position)
{
    return (uint32_t)(position / ring->count * 2);
}

static struct ml_signal_place *place_of(const struct ml_signal_ring *ring, uint64_t position)
{
    return &ring->places[position & (ring->count - 1)];
}

/* A place that is behind its turn holds a signal of the round before: the ring is full. One that is
 * ahead was taken by another handler meanwhile. */
static struct ml_signal_place *reserve(struct ml_signal_ring *ring, uint64_t *position)
{
    *position = ring->last;
    for (;;) {
        struct ml_signal_place *place = place_of(ring, *position);
        int32_t ahead = (int32_t)(place->turn - turn_of(ring, *position));
        if (ahead < 0)
            return NULL;
        if (ahead > 0)
            *position = ring->last;
        else if (atomic_compare_exchange_weak(&ring->last, position, *position + 1))
            return place;
    }
}

/* A handler that interrupts another between its two steps takes a later place; the thread that
 * takes signals out stops at the place that is not filled yet. */
bool ml_signal_ring_put(struct ml_signal_ring *ring, struct ml_signal signal)
{
    uint64_t position;
    struct ml_signal_place *place = reserve(ring, &position);
    if (place == NULL)
        return false;
    place->number = (uint8_t)signal.number;
    place->has_value = signal.has_value;
    place->value = signal.value;
    place->turn = turn_of(ring, position) + 1;
    return true;
}

bool ml_signal_ring_take(struct ml_signal_ring *ring, struct ml_signal *signal)
{
    struct ml_signal_place *place = place_of(ring, ring->first);
    uint32_t turn = turn_of(ring, ring->first);
    if (place->turn != turn + 1)
        return false;
    *signal = (struct ml_signal){place->number, place->has_value, place->value};
    place->turn = turn + 2;
    ring->first++;
    return true;
}
