#include "hub/on/thread_channel_state.h"

#include "base/error.h"
#include "hub/state/waiters.h"

#include <errno.h>

bool ml_thread_channel_is_out_of_reach(void)
{
    return ml_bank_current != NULL &&
           ml_unlikely(ml_container_of(ml_bank_current, struct ml_hub, bank)->life.is_forked);
}

/* ---- ringing ---- */

/* Wakes tasks as the rings of a port demand. The mutex is locked, on the hub's own thread. */
static void answer(struct ml_port *port, struct ml_hub *hub)
{
    struct ml_port_side *sides[] = {&port->getters, &port->putters};
    for (int i = 0; i < 2; i++) {
        for (; sides[i]->rings > 0; sides[i]->rings--)
            ml_wake_first(hub, &sides[i]->waiters);
        if (port->looks_again)
            ml_wake_all(hub, &sides[i]->waiters);
    }
    port->looks_again = false;
}

void ml_port_deliver(struct ml_letter *letter)
{
    struct ml_port *port = ml_container_of(letter, struct ml_port, letter);
    pthread_mutex_lock(&port->channel->mutex);
    answer(port, ml_mailbox_hub(port->box));
    pthread_mutex_unlock(&port->channel->mutex);
}

/* The mutex is locked. */
static void ring(struct ml_port *port)
{
    if (port->box == NULL)
        pthread_cond_signal(&ml_container_of(port, struct ml_lone_port, port)->rung);
    else if (ml_mailbox_is_here(port->box) && !port->is_entering)
        answer(port, ml_mailbox_hub(port->box));
    else
        ml_mailbox_post(port->box, &port->letter);
}

/* Rings for one task, of the port whose turn it is. The mutex is locked. */
static void ring_one(struct ml_crowd *crowd)
{
    struct ml_port_side *side = ml_container_of(crowd->sides.next, struct ml_port_side, link);
    ml_list_remove(&side->link);
    crowd->wanted--;
    if (--side->wanted > 0)
        ml_list_insert(&crowd->sides, &side->link);
    side->rings++;
    ring(side->port);
}

/* Rings for as many tasks as can go on and were not rung for. The mutex is locked. */
static void ring_for(struct ml_crowd *crowd, uint32_t possible)
{
    while (crowd->wanted > 0 && crowd->waiting - crowd->wanted < possible)
        ring_one(crowd);
}

uint32_t ml_thread_channel_room(const struct ml_thread_channel *channel)
{
    uint32_t most = channel->capacity > 0 ? channel->capacity : channel->getters.waiting;
    return channel->count < most ? most - channel->count : 0;
}

/* How many tasks can put now. Without capacity each needs another task that gets, which no message
 * is for yet: a select that both gets and puts does not meet itself. */
static uint32_t puts_possible(const struct ml_thread_channel *channel)
{
    uint32_t room = ml_thread_channel_room(channel);
    if (channel->capacity > 0 || channel->doubles == 0)
        return room;
    uint32_t tasks = channel->getters.waiting + channel->putters.waiting - channel->doubles;
    uint32_t meetings = tasks > channel->count ? (tasks - channel->count) / 2 : 0;
    return room < meetings ? room : meetings;
}

/* To be called after each change. The mutex is locked. */
void ml_thread_channel_settle(struct ml_thread_channel *channel)
{
    ring_for(&channel->getters, channel->count);
    ring_for(&channel->putters, puts_possible(channel));
}

void ml_thread_channel_ring_all(struct ml_thread_channel *channel)
{
    for (struct ml_link *link = channel->ports.next; link != &channel->ports; link = link->next) {
        struct ml_port *port = ml_container_of(link, struct ml_port, link);
        port->looks_again = true;
        ring(port);
    }
}

/* ---- waits at a port ---- */

void ml_port_side_open(struct ml_port *port, struct ml_port_side *side)
{
    *side = (struct ml_port_side){.port = port};
    ml_list_init(&side->waiters);
}

static struct ml_crowd *crowd_of(const struct ml_port *port, const struct ml_port_side *side)
{
    return side == &port->getters ? &port->channel->getters : &port->channel->putters;
}

/* One more task of the side is about to wait. The mutex is locked. */
void ml_port_side_begin(struct ml_port *port, struct ml_port_side *side)
{
    struct ml_crowd *crowd = crowd_of(port, side);
    side->waiting++, crowd->waiting++;
    side->wanted++, crowd->wanted++;
    if (!ml_link_is_in_list(&side->link))
        ml_list_insert(&crowd->sides, &side->link);
    ml_thread_channel_settle(port->channel);
}

/* It waits no more, for whatever reason. The mutex is locked. */
void ml_port_side_end(struct ml_port *port, struct ml_port_side *side)
{
    struct ml_crowd *crowd = crowd_of(port, side);
    side->waiting--, crowd->waiting--;
    if (side->wanted > side->waiting) {
        side->wanted--, crowd->wanted--;
        if (side->wanted == 0)
            ml_list_remove(&side->link);
    }
}
