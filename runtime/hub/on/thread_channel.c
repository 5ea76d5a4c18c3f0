#include "hub/on/thread_channel.h"

#include "base/error.h"
#include "hub/on/thread_channel_messages.h"
#include "hub/on/thread_channel_owners.h"
#include "hub/on/thread_channel_state.h"
#include "hub/state/waiters.h"

#include <errno.h>
#include <stdlib.h>

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
    ml_channel_owners_init(&channel->owned);
    channel->end = &channel->first;
    ml_list_init(&channel->ports);
    ml_list_init(&channel->getters.sides);
    ml_list_init(&channel->putters.sides);
    return channel;
}

struct ml_thread_channel *ml_thread_channel_retain(struct ml_thread_channel *channel)
{
    if (ml_thread_channel_is_out_of_reach())
        return channel;
    pthread_mutex_lock(&channel->mutex);
    ml_thread_channel_add_owner(channel);
    pthread_mutex_unlock(&channel->mutex);
    return channel;
}

void ml_thread_channel_release(struct ml_thread_channel *channel)
{
    if (!ml_thread_channel_is_out_of_reach())
        ml_thread_channel_leave(channel);
}

int ml_thread_channel_try_put(struct ml_thread_channel *channel, struct ml_message *message)
{
    if (ml_thread_channel_is_out_of_reach())
        return -ECHILD;
    pthread_mutex_lock(&channel->mutex);
    int error = ml_thread_channel_add(channel, message);
    pthread_mutex_unlock(&channel->mutex);
    return error;
}

int ml_thread_channel_try_get(struct ml_thread_channel *channel, struct ml_message **message)
{
    if (ml_thread_channel_is_out_of_reach())
        return -ECHILD;
    pthread_mutex_lock(&channel->mutex);
    int error = ml_thread_channel_take(channel, message);
    pthread_mutex_unlock(&channel->mutex);
    return error;
}

void ml_thread_channel_put_back(struct ml_thread_channel *channel, struct ml_message *message)
{
    pthread_mutex_lock(&channel->mutex);
    ml_thread_channel_add_first(channel, message);
    pthread_mutex_unlock(&channel->mutex);
}

/* Takes the reason of the first call. */
static void close_once(struct ml_thread_channel *channel, struct ml_message **reason)
{
    pthread_mutex_lock(&channel->mutex);
    if (!channel->is_closed) {
        channel->is_closed = true;
        channel->reason = *reason;
        if (*reason != NULL)
            ml_thread_channel_note_carrier(channel, *reason);
        *reason = NULL;
        ml_thread_channel_ring_all(channel);
    }
    pthread_mutex_unlock(&channel->mutex);
}

void ml_thread_channel_close(struct ml_thread_channel *channel, struct ml_message *reason)
{
    if (!ml_thread_channel_is_out_of_reach())
        close_once(channel, &reason);
    if (reason != NULL)
        reason->release(reason);
}

const struct ml_message *ml_thread_channel_reason(struct ml_thread_channel *channel)
{
    if (ml_thread_channel_is_out_of_reach())
        return NULL;
    pthread_mutex_lock(&channel->mutex);
    const struct ml_message *reason = channel->reason;
    pthread_mutex_unlock(&channel->mutex);
    return reason;
}

struct ml_thread_channel_state ml_thread_channel_state(struct ml_thread_channel *channel)
{
    if (ml_thread_channel_is_out_of_reach())
        return (struct ml_thread_channel_state){.is_closed = true};
    pthread_mutex_lock(&channel->mutex);
    struct ml_thread_channel_state state = {channel->capacity, channel->count, channel->is_closed};
    pthread_mutex_unlock(&channel->mutex);
    return state;
}
