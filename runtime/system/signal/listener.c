#include "system/signal/listener.h"

#include "base/check.h"
#include "base/error.h"
#include "hub/state/waiters.h"
#include "hub/wait/wait.h"
#include "system/signal/inbox.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct ml_wait_kind signal_kind = {
    .text = "a signal", .external = true, .is_lasting = true};

/* The queue has room for every standard signal at any time; with real-time signals it grows, up to
 * the most. */
enum { ROOM_LEAST = 64, ROOM_MOST = 1 << 20, STANDARD = ML_SIGNAL_STANDARD_PLACES };

/* ---- the queue ---- */

static void append(struct ml_signal_listener *listener, struct ml_signal signal)
{
    uint32_t place = (listener->first + listener->count) % listener->room;
    listener->queue[place] = signal;
    listener->count++;
}

/* False: no memory, or no more is allowed. */
static bool grow(struct ml_signal_listener *listener)
{
    uint32_t room = listener->room * 2;
    struct ml_signal *queue = room <= ROOM_MOST ? malloc(room * sizeof *queue) : NULL;
    if (queue == NULL)
        return false;
    uint32_t upper = listener->room - listener->first;
    memcpy(queue, listener->queue + listener->first, upper * sizeof *queue);
    memcpy(queue + upper, listener->queue, listener->first * sizeof *queue);
    free(listener->queue);
    listener->queue = queue;
    listener->first = 0;
    listener->room = room;
    return true;
}

static void append_standard(struct ml_signal_listener *listener, struct ml_signal signal)
{
    uint64_t bit = ml_signal_bit(signal.number);
    if ((listener->held & bit) == 0)
        append(listener, signal);
    listener->held |= bit;
}

static void append_queued(struct ml_signal_listener *listener, struct ml_signal signal)
{
    bool has_room = listener->count + STANDARD < listener->room || grow(listener);
    if (has_room)
        append(listener, signal);
    else
        listener->lost++;
}

/* All tasks that wait look: the one that is granted may be cancelled, or take another case of its
 * select. */
static void give(struct ml_signal_inbox *inbox, struct ml_signal signal)
{
    struct ml_link *link = inbox->listeners.next;
    for (; link != &inbox->listeners; link = link->next) {
        struct ml_signal_listener *listener =
            ml_container_of(link, struct ml_signal_listener, link);
        if ((listener->signals & ml_signal_bit(signal.number)) == 0)
            continue;
        if (signal.number < SIGRTMIN)
            append_standard(listener, signal);
        else
            append_queued(listener, signal);
        ml_wake_all(inbox->hub, &listener->waiters);
    }
}

/* ---- fetching ---- */

int ml_signal_listener_look(struct ml_signal_listener *listener)
{
    if (listener->inbox == NULL)
        return -ML_ECLOSED;
    ml_signal_inbox_empty(listener->inbox);
    return listener->count > 0 ? 0 : -EAGAIN;
}

int ml_signal_listener_try(struct ml_signal_listener *listener, struct ml_signal *signal)
{
    int error = ml_signal_listener_look(listener);
    if (error != 0)
        return error;
    *signal = listener->queue[listener->first];
    listener->first = (listener->first + 1) % listener->room;
    listener->count--;
    if (signal->number < SIGRTMIN)
        listener->held &= ~ml_signal_bit(signal->number);
    return 0;
}

int ml_signal_listener_wait(struct ml_signal_listener *listener, struct ml_signal *signal,
                            ml_time deadline)
{
    int error = ml_signal_listener_try(listener, signal);
    while (error == -EAGAIN) {
        error = ml_wait(listener->inbox->hub, &signal_kind, 0, &listener->waiters, deadline);
        if (error == 0)
            error = ml_signal_listener_try(listener, signal);
    }
    return error;
}

uint64_t ml_signal_listener_lost(const struct ml_signal_listener *listener)
{
    uint64_t in_inbox = listener->inbox != NULL ? listener->inbox->lost - listener->lost_before : 0;
    return listener->lost + in_inbox;
}

/* ---- life ---- */

int ml_signal_listener_open(struct ml_signal_listener *listener, struct ml_signal_inbox *inbox,
                            uint64_t signals)
{
    *listener = (struct ml_signal_listener){.room = ROOM_LEAST, .signals = signals};
    ml_list_init(&listener->waiters);
    listener->queue = malloc(ROOM_LEAST * sizeof *listener->queue);
    if (listener->queue == NULL)
        return -ENOMEM;
    ml_signal_inbox_empty(inbox); /* what has arrived before is not for this one */
    int error = ml_signal_inbox_add(inbox, signals);
    if (error != 0) {
        free(listener->queue);
        return error;
    }
    listener->lost_before = inbox->lost;
    listener->inbox = inbox;
    inbox->give = give;
    ml_list_insert(&inbox->listeners, &listener->link);
    return 0;
}

void ml_signal_listener_close(struct ml_signal_listener *listener)
{
    struct ml_signal_inbox *inbox = listener->inbox;
    if (inbox == NULL)
        return;
    ml_signal_inbox_empty(inbox); /* what has arrived is for others, too */
    ml_list_remove(&listener->link);
    listener->lost = ml_signal_listener_lost(listener);
    listener->inbox = NULL;
    ml_signal_inbox_remove(inbox, listener->signals);
    ml_turn_all_away(inbox->hub, &listener->waiters);
    free(listener->queue);
    listener->queue = NULL;
}
