#include "hub/on/thread_channel.h"

#include "base/error.h"
#include "hub/state/waiters.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

static const struct ml_wait_kind get_kind = {.text = "a value from another thread",
                                             .external = true};
static const struct ml_wait_kind put_kind = {.text = "room in a channel between threads",
                                             .external = true};
/* The same while no other thread has the channel. */
static const struct ml_wait_kind lone_get_kind = {
    .text = "a value from a channel that no other thread has"};
static const struct ml_wait_kind lone_put_kind = {.text =
                                                      "room in a channel that no other thread has"};

/* The sides of all ports where tasks wait for the same. */
struct crowd {
    struct ml_link sides; /* those that may be rung */
    uint32_t waiting, wanted;
};

struct ml_thread_channel {
    pthread_mutex_t mutex;
    uint32_t capacity;
    uint32_t count;
    uint32_t owners; /* ports, messages on their way, hosts */
    uint32_t self;   /* those of them that are messages in this channel */
    bool is_closed;
    bool is_dying; /* its messages are being freed */
    struct ml_message *first, **end;
    struct ml_message *reason;
    struct ml_link ports;
    struct crowd getters, putters;
    uint32_t doubles; /* waiters beyond the first of each task: a select may have several */
};

/* Whether this process was forked by a task: another thread of the parent may have had the mutex,
 * and never gives it back here. Channels are out of reach then, and their messages are not freed.
 */
static bool is_out_of_reach(void)
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

static void on_letter(struct ml_letter *letter)
{
    struct ml_port *port = ml_container_of(letter, struct ml_port, letter);
    pthread_mutex_lock(&port->channel->mutex);
    answer(port, ml_mailbox_hub(port->box));
    pthread_mutex_unlock(&port->channel->mutex);
}

/* The port of a thread that runs no hub, and blocks. */
struct lone_port {
    struct ml_port port; /* without a mailbox */
    pthread_cond_t rung;
};

/* The mutex is locked. */
static void ring(struct ml_port *port)
{
    if (port->box == NULL)
        pthread_cond_signal(&ml_container_of(port, struct lone_port, port)->rung);
    else if (ml_mailbox_is_here(port->box) && !port->is_entering)
        answer(port, ml_mailbox_hub(port->box));
    else
        ml_mailbox_post(port->box, &port->letter);
}

/* Rings for one task, of the port whose turn it is. The mutex is locked. */
static void ring_one(struct crowd *crowd)
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
static void ring_for(struct crowd *crowd, uint32_t possible)
{
    while (crowd->wanted > 0 && crowd->waiting - crowd->wanted < possible)
        ring_one(crowd);
}

static uint32_t room_of(const struct ml_thread_channel *channel)
{
    uint32_t most = channel->capacity > 0 ? channel->capacity : channel->getters.waiting;
    return channel->count < most ? most - channel->count : 0;
}

/* How many tasks can put now. Without capacity each needs another task that gets, which no message
 * is for yet: a select that both gets and puts does not meet itself. */
static uint32_t puts_possible(const struct ml_thread_channel *channel)
{
    uint32_t room = room_of(channel);
    if (channel->capacity > 0 || channel->doubles == 0)
        return room;
    uint32_t tasks = channel->getters.waiting + channel->putters.waiting - channel->doubles;
    uint32_t meetings = tasks > channel->count ? (tasks - channel->count) / 2 : 0;
    return room < meetings ? room : meetings;
}

/* To be called after each change. The mutex is locked. */
static void settle(struct ml_thread_channel *channel)
{
    ring_for(&channel->getters, channel->count);
    ring_for(&channel->putters, puts_possible(channel));
}

/* The mutex is locked. */
static void ring_all(struct ml_thread_channel *channel)
{
    for (struct ml_link *link = channel->ports.next; link != &channel->ports; link = link->next) {
        struct ml_port *port = ml_container_of(link, struct ml_port, link);
        port->looks_again = true;
        ring(port);
    }
}

/* ---- the channel ---- */

struct ml_thread_channel *ml_thread_channel_new(uint32_t capacity)
{
    struct ml_thread_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL)
        return NULL;
    pthread_mutexattr_t adaptive;
    pthread_mutexattr_init(&adaptive);
    pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&channel->mutex, &adaptive);
    pthread_mutexattr_destroy(&adaptive);
    channel->capacity = capacity;
    channel->owners = 1;
    channel->end = &channel->first;
    ml_list_init(&channel->ports);
    ml_list_init(&channel->getters.sides);
    ml_list_init(&channel->putters.sides);
    return channel;
}

/* The mutex is locked. */
static bool is_alone(const struct ml_thread_channel *channel)
{
    return channel->owners - channel->self == 1;
}

/* Tasks that wait learn whether another thread can end their wait. The mutex is locked. */
static void count_owner(struct ml_thread_channel *channel, int change)
{
    bool was_alone = is_alone(channel);
    channel->owners += (uint32_t)change;
    if (was_alone != is_alone(channel))
        ring_all(channel);
}

struct ml_thread_channel *ml_thread_channel_retain(struct ml_thread_channel *channel)
{
    if (is_out_of_reach())
        return channel;
    pthread_mutex_lock(&channel->mutex);
    count_owner(channel, 1);
    pthread_mutex_unlock(&channel->mutex);
    return channel;
}

static void free_channel(struct ml_thread_channel *channel)
{
    struct ml_message *message;
    channel->is_dying = true;
    while ((message = channel->first) != NULL) {
        channel->first = message->next;
        message->release(message);
    }
    if (channel->reason != NULL)
        channel->reason->release(channel->reason);
    pthread_mutex_destroy(&channel->mutex);
    free(channel);
}

void ml_thread_channel_release(struct ml_thread_channel *channel)
{
    if (is_out_of_reach())
        return;
    pthread_mutex_lock(&channel->mutex);
    count_owner(channel, -1);
    bool is_last = channel->owners == channel->self && !channel->is_dying;
    pthread_mutex_unlock(&channel->mutex);
    if (is_last)
        free_channel(channel);
}

/* How often the message owns the channel. */
static uint32_t count_self(const struct ml_thread_channel *channel,
                           const struct ml_message *message)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < message->channel_count; i++)
        count += message->channels[i] == channel;
    return count;
}

/* The mutex is locked. */
static int add(struct ml_thread_channel *channel, struct ml_message *message)
{
    if (channel->is_closed)
        return -ML_ECLOSED;
    if (room_of(channel) == 0)
        return -EAGAIN;
    message->next = NULL;
    *channel->end = message;
    channel->end = &message->next;
    channel->count++;
    channel->self += count_self(channel, message);
    settle(channel);
    return 0;
}

/* The mutex is locked. */
static int take(struct ml_thread_channel *channel, struct ml_message **message)
{
    if (channel->count == 0)
        return channel->is_closed ? -ML_ECLOSED : -EAGAIN;
    *message = channel->first;
    channel->first = (*message)->next;
    if (channel->first == NULL)
        channel->end = &channel->first;
    channel->count--;
    channel->self -= count_self(channel, *message);
    settle(channel);
    return 0;
}

int ml_thread_channel_try_put(struct ml_thread_channel *channel, struct ml_message *message)
{
    if (is_out_of_reach())
        return -ECHILD;
    pthread_mutex_lock(&channel->mutex);
    int error = add(channel, message);
    pthread_mutex_unlock(&channel->mutex);
    return error;
}

int ml_thread_channel_try_get(struct ml_thread_channel *channel, struct ml_message **message)
{
    if (is_out_of_reach())
        return -ECHILD;
    pthread_mutex_lock(&channel->mutex);
    int error = take(channel, message);
    pthread_mutex_unlock(&channel->mutex);
    return error;
}

void ml_thread_channel_put_back(struct ml_thread_channel *channel, struct ml_message *message)
{
    pthread_mutex_lock(&channel->mutex);
    message->next = channel->first;
    if (channel->first == NULL)
        channel->end = &message->next;
    channel->first = message;
    channel->count++;
    channel->self += count_self(channel, message);
    settle(channel);
    pthread_mutex_unlock(&channel->mutex);
}

/* Takes the reason of the first call. */
static void close_once(struct ml_thread_channel *channel, struct ml_message **reason)
{
    pthread_mutex_lock(&channel->mutex);
    if (!channel->is_closed) {
        channel->is_closed = true;
        channel->reason = *reason;
        *reason = NULL;
        ring_all(channel);
    }
    pthread_mutex_unlock(&channel->mutex);
}

void ml_thread_channel_close(struct ml_thread_channel *channel, struct ml_message *reason)
{
    if (!is_out_of_reach())
        close_once(channel, &reason);
    if (reason != NULL)
        reason->release(reason);
}

const struct ml_message *ml_thread_channel_reason(struct ml_thread_channel *channel)
{
    if (is_out_of_reach())
        return NULL;
    pthread_mutex_lock(&channel->mutex);
    const struct ml_message *reason = channel->reason;
    pthread_mutex_unlock(&channel->mutex);
    return reason;
}

struct ml_thread_channel_state ml_thread_channel_state(struct ml_thread_channel *channel)
{
    if (is_out_of_reach())
        return (struct ml_thread_channel_state){.is_closed = true};
    pthread_mutex_lock(&channel->mutex);
    struct ml_thread_channel_state state = {channel->capacity, channel->count, channel->is_closed};
    pthread_mutex_unlock(&channel->mutex);
    return state;
}

/* ---- ports ---- */

static void open_side(struct ml_port *port, struct ml_port_side *side)
{
    *side = (struct ml_port_side){.port = port};
    ml_list_init(&side->waiters);
}

int ml_port_open(struct ml_hub *hub, struct ml_port *port, struct ml_thread_channel *channel)
{
    struct ml_mailbox *box = ml_mailbox_of(hub);
    if (box == NULL)
        return -ENOMEM;
    *port = (struct ml_port){.channel = channel, .box = box, .letter.deliver = on_letter};
    open_side(port, &port->getters);
    open_side(port, &port->putters);
    pthread_mutex_lock(&channel->mutex);
    ml_list_insert(&channel->ports, &port->link);
    count_owner(channel, 1);
    pthread_mutex_unlock(&channel->mutex);
    return 0;
}

void ml_port_close(struct ml_port *port)
{
    struct ml_thread_channel *channel = port->channel;
    if (ml_mailbox_hub(port->box)->life.is_forked)
        return; /* another thread of the parent may have had the mutex */
    struct ml_port_side *sides[] = {&port->getters, &port->putters};
    struct crowd *crowds[] = {&channel->getters, &channel->putters};
    pthread_mutex_lock(&channel->mutex);
    for (int i = 0; i < 2; i++) { /* tasks that were dropped in a wait are still counted */
        crowds[i]->waiting -= sides[i]->waiting;
        crowds[i]->wanted -= sides[i]->wanted;
        if (ml_link_is_in_list(&sides[i]->link))
            ml_list_remove(&sides[i]->link);
    }
    channel->doubles -= port->doubles;
    ml_list_remove(&port->link);
    settle(channel);
    pthread_mutex_unlock(&channel->mutex);
    ml_mailbox_take_back(port->box, &port->letter);
    port->channel = NULL;
    ml_thread_channel_release(channel);
}

static struct crowd *crowd_of(const struct ml_port *port, const struct ml_port_side *side)
{
    return side == &port->getters ? &port->channel->getters : &port->channel->putters;
}

/* One more task of the side is about to wait. The mutex is locked. */
static void begin_wait(struct ml_port *port, struct ml_port_side *side)
{
    struct crowd *crowd = crowd_of(port, side);
    side->waiting++, crowd->waiting++;
    side->wanted++, crowd->wanted++;
    if (!ml_link_is_in_list(&side->link))
        ml_list_insert(&crowd->sides, &side->link);
    settle(port->channel);
}

/* It waits no more, for whatever reason. The mutex is locked. */
static void end_wait(struct ml_port *port, struct ml_port_side *side)
{
    struct crowd *crowd = crowd_of(port, side);
    side->waiting--, crowd->waiting--;
    if (side->wanted > side->waiting) {
        side->wanted--, crowd->wanted--;
        if (side->wanted == 0)
            ml_list_remove(&side->link);
    }
}

/* A try to get or put. The mutex is locked. */
typedef int attempt(struct ml_thread_channel *channel, void *message);

static int attempt_get(struct ml_thread_channel *channel, void *message)
{
    return take(channel, message);
}

static int attempt_put(struct ml_thread_channel *channel, void *message)
{
    return add(channel, message);
}

/* Waits once and tries again. 0 or an error; -EAGAIN: once more. */
static int wait_and_try(struct ml_hub *hub, struct ml_port *port, struct ml_port_side *side,
                        attempt *try, void *message, ml_time deadline)
{
    struct ml_thread_channel *channel = port->channel;
    bool gets = side == &port->getters;
    const struct ml_wait_kind *kind = gets ? &get_kind : &put_kind;
    if (is_alone(channel))
        kind = gets ? &lone_get_kind : &lone_put_kind;
    else if (gets && port->awaited != NULL)
        kind = port->awaited;
    begin_wait(port, side);
    pthread_mutex_unlock(&channel->mutex);
    int error = ml_wait(hub, kind, 0, &side->waiters, deadline);
    pthread_mutex_lock(&channel->mutex);
    int result = try(channel, message);
    end_wait(port, side);
    settle(channel);
    return result == 0 || error == 0 ? result : error;
}

static int do_or_wait(struct ml_hub *hub, struct ml_port *port, struct ml_port_side *side,
                      attempt *try, void *message, ml_time deadline)
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
    return do_or_wait(hub, port, &port->getters, attempt_get, message, deadline);
}

int ml_port_put(struct ml_hub *hub, struct ml_port *port, struct ml_message *message,
                ml_time deadline)
{
    return do_or_wait(hub, port, &port->putters, attempt_put, message, deadline);
}

/* ---- threads without a hub ---- */

static void open_lone(struct ml_thread_channel *channel, struct lone_port *lone)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&lone->rung, &monotonic);
    pthread_condattr_destroy(&monotonic);
    lone->port = (struct ml_port){.channel = channel};
    open_side(&lone->port, &lone->port.getters);
    open_side(&lone->port, &lone->port.putters);
    ml_list_insert(&channel->ports, &lone->port.link);
}

/* Waits for a ring and tries again. The mutex is locked. */
static int block_and_try(struct lone_port *lone, struct ml_port_side *side, attempt *try,
                         void *message, ml_time deadline)
{
    struct ml_thread_channel *channel = lone->port.channel;
    struct timespec until = {deadline / ML_SECOND, deadline % ML_SECOND};
    int error = 0;
    begin_wait(&lone->port, side);
    if (deadline == ML_FOREVER)
        pthread_cond_wait(&lone->rung, &channel->mutex);
    else
        error = -pthread_cond_timedwait(&lone->rung, &channel->mutex, &until);
    int result = try(channel, message);
    end_wait(&lone->port, side);
    settle(channel);
    return result == -EAGAIN && error == -ETIMEDOUT ? error : result;
}

static int do_or_block(struct ml_thread_channel *channel, bool gets, attempt *try, void *message,
                       ml_time deadline)
{
    struct lone_port lone;
    if (is_out_of_reach())
        return -ECHILD;
    pthread_mutex_lock(&channel->mutex);
    int error = try(channel, message);
    if (error == -EAGAIN && deadline == ML_NEVER_WAIT)
        error = -ETIMEDOUT;
    bool blocks = error == -EAGAIN;
    if (blocks)
        open_lone(channel, &lone);
    while (error == -EAGAIN)
        error = block_and_try(&lone, gets ? &lone.port.getters : &lone.port.putters, try, message,
                              deadline);
    if (blocks) {
        ml_list_remove(&lone.port.link);
        pthread_cond_destroy(&lone.rung);
    }
    pthread_mutex_unlock(&channel->mutex);
    return error;
}

int ml_thread_channel_get_blocking(struct ml_thread_channel *channel, struct ml_message **message,
                                   ml_time deadline)
{
    return do_or_block(channel, true, attempt_get, message, deadline);
}

int ml_thread_channel_put_blocking(struct ml_thread_channel *channel, struct ml_message *message,
                                   ml_time deadline)
{
    return do_or_block(channel, false, attempt_put, message, deadline);
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
    if (is_out_of_reach())
        return;
    pthread_mutex_lock(&port->channel->mutex);
    port->doubles += again;
    port->channel->doubles += again;
    port->is_entering = true;
    begin_wait(port, side);
    port->is_entering = false;
    pthread_mutex_unlock(&port->channel->mutex);
}

void ml_port_unwatch(struct ml_port *port, struct ml_port_side *side)
{
    if (is_out_of_reach())
        return;
    bool again = does_again(port, false);
    pthread_mutex_lock(&port->channel->mutex);
    port->doubles -= again;
    port->channel->doubles -= again;
    end_wait(port, side);
    settle(port->channel);
    pthread_mutex_unlock(&port->channel->mutex);
}

bool ml_port_is_shared(struct ml_port *port)
{
    if (is_out_of_reach())
        return false;
    pthread_mutex_lock(&port->channel->mutex);
    bool is_shared = !is_alone(port->channel);
    pthread_mutex_unlock(&port->channel->mutex);
    return is_shared;
}
