#include "hub/on/thread_port.h"

#include "base/error.h"
#include "hub/on/thread_channel.h"
#include "hub/on/thread_channel_messages.h"
#include "hub/on/thread_channel_owners.h"
#include "hub/on/thread_channel_state.h"

#include <errno.h>

static const struct ml_wait_kind get_kind = {.text = "a value from another thread",
                                             .external = true};
static const struct ml_wait_kind put_kind = {.text = "room in a channel between threads",
                                             .external = true};
/* The same while no other thread has the channel. */
static const struct ml_wait_kind lone_get_kind = {
    .text = "a value from a channel that no other thread has"};
static const struct ml_wait_kind lone_put_kind = {.text =
                                                      "room in a channel that no other thread has"};

int ml_port_open(struct ml_hub *hub, struct ml_port *port, struct ml_thread_channel *channel)
{
    struct ml_mailbox *box = ml_mailbox_of(hub);
    if (box == NULL)
        return -ENOMEM;
    *port = (struct ml_port){.channel = channel, .box = box, .letter.deliver = ml_port_deliver};
    ml_port_side_open(port, &port->getters);
    ml_port_side_open(port, &port->putters);
    pthread_mutex_lock(&channel->mutex);
    ml_list_insert(&channel->ports, &port->link);
    ml_thread_channel_add_port(channel);
    pthread_mutex_unlock(&channel->mutex);
    return 0;
}

void ml_port_close(struct ml_port *port)
{
    struct ml_thread_channel *channel = port->channel;
    if (ml_mailbox_hub(port->box)->life.is_forked)
        return; /* another thread of the parent may have had the mutex */
    struct ml_port_side *sides[] = {&port->getters, &port->putters};
    struct ml_crowd *crowds[] = {&channel->getters, &channel->putters};
    pthread_mutex_lock(&channel->mutex);
    for (int i = 0; i < 2; i++) { /* tasks that were dropped in a wait are still counted */
        crowds[i]->waiting -= sides[i]->waiting;
        crowds[i]->wanted -= sides[i]->wanted;
        if (ml_link_is_in_list(&sides[i]->link))
            ml_list_remove(&sides[i]->link);
    }
    channel->doubles -= port->doubles;
    ml_list_remove(&port->link);
    ml_thread_channel_drop_port(channel);
    ml_thread_channel_settle(channel);
    pthread_mutex_unlock(&channel->mutex);
    ml_mailbox_take_back(port->box, &port->letter);
    port->channel = NULL;
    ml_thread_channel_release(channel);
}

/* Waits once and tries again. 0 or an error; -EAGAIN: once more. */
static int wait_and_try(struct ml_hub *hub, struct ml_port *port, struct ml_port_side *side,
                        ml_port_attempt *try, void *message, ml_time deadline)
{
    struct ml_thread_channel *channel = port->channel;
    bool gets = side == &port->getters;
    const struct ml_wait_kind *kind = gets ? &get_kind : &put_kind;
    if (ml_thread_channel_is_alone(channel))
        kind = gets ? &lone_get_kind : &lone_put_kind;
    else if (gets && port->awaited != NULL)
        kind = port->awaited;
    ml_port_side_begin(port, side);
    pthread_mutex_unlock(&channel->mutex);
    int error = ml_wait(hub, kind, 0, &side->waiters, deadline);
    pthread_mutex_lock(&channel->mutex);
    int result = try(channel, message);
    ml_port_side_end(port, side);
    ml_thread_channel_settle(channel);
    return result == 0 || error == 0 ? result : error;
}

static int do_or_wait(struct ml_hub *hub, struct ml_port *port, struct ml_port_side *side,
                      ml_port_attempt *try, void *message, ml_time deadline)
{
    struct ml_thread_channel *channel = port->channel;
    if (ml_unlikely(hub->life.is_forked))
        return -ECHILD;
    pthread_mutex_lock(&channel->mutex);
    int error = try(channel, message);
    if (error == -EAGAIN && deadline == ML_NEVER_WAIT)
        error = -ETIMEDOUT;
    while (error == -EAGAIN)
        error = wait_and_try(hub, port, side, try, message, deadline);
    pthread_mutex_unlock(&channel->mutex);
    return error;
}

int ml_port_get(struct ml_hub *hub, struct ml_port *port, struct ml_message **message,
                ml_time deadline)
{
    return do_or_wait(hub, port, &port->getters, ml_thread_channel_take, message, deadline);
}

int ml_port_put(struct ml_hub *hub, struct ml_port *port, struct ml_message *message,
                ml_time deadline)
{
    return do_or_wait(hub, port, &port->putters, ml_thread_channel_add, message, deadline);
}

/* ---- for select ---- */

/* Whether the running task has done the same last. */
static bool does_again(struct ml_port *port, bool enters)
{
    const struct ml_task *task = ml_mailbox_hub(port->box)->current;
    bool again = port->last.task == task && port->last.enters == enters;
    port->last.task = task;
    port->last.enters = enters;
    return again;
}

void ml_port_watch(struct ml_port *port, struct ml_port_side *side, struct ml_waiter *waiter)
{
    bool again = does_again(port, true);
    ml_list_insert(&side->waiters, &waiter->link);
    if (ml_thread_channel_is_out_of_reach())
        return;
    pthread_mutex_lock(&port->channel->mutex);
    port->doubles += again;
    port->channel->doubles += again;
    port->is_entering = true;
    ml_port_side_begin(port, side);
    port->is_entering = false;
    pthread_mutex_unlock(&port->channel->mutex);
}

void ml_port_unwatch(struct ml_port *port, struct ml_port_side *side)
{
    if (ml_thread_channel_is_out_of_reach())
        return;
    bool again = does_again(port, false);
    pthread_mutex_lock(&port->channel->mutex);
    port->doubles -= again;
    port->channel->doubles -= again;
    ml_port_side_end(port, side);
    ml_thread_channel_settle(port->channel);
    pthread_mutex_unlock(&port->channel->mutex);
}

bool ml_port_is_shared(struct ml_port *port)
{
    if (ml_thread_channel_is_out_of_reach())
        return false;
    pthread_mutex_lock(&port->channel->mutex);
    bool is_shared = !ml_thread_channel_is_alone(port->channel);
    pthread_mutex_unlock(&port->channel->mutex);
    return is_shared;
}
