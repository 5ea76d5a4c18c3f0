#include "hub/on/thread_channel_messages.h"

#include "base/error.h"
#include "hub/on/thread_channel_owners.h"

#include <errno.h>

static int add(struct ml_thread_channel *channel, struct ml_message *message)
{
    if (channel->is_closed)
        return -ML_ECLOSED;
    if (ml_thread_channel_room(channel) == 0)
        return -EAGAIN;
    message->next = NULL;
    *channel->end = message;
    channel->end = &message->next;
    channel->count++;
    ml_thread_channel_note_carrier(channel, message);
    ml_thread_channel_settle(channel);
    return 0;
}

static int take(struct ml_thread_channel *channel, struct ml_message **message)
{
    if (channel->count == 0)
        return channel->is_closed ? -ML_ECLOSED : -EAGAIN;
    *message = channel->first;
    channel->first = (*message)->next;
    if (channel->first == NULL)
        channel->end = &channel->first;
    channel->count--;
    ml_thread_channel_forget_carrier(channel, *message);
    ml_thread_channel_settle(channel);
    return 0;
}

void ml_thread_channel_add_first(struct ml_thread_channel *channel, struct ml_message *message)
{
    message->next = channel->first;
    if (channel->first == NULL)
        channel->end = &message->next;
    channel->first = message;
    channel->count++;
    ml_thread_channel_note_carrier(channel, message);
    ml_thread_channel_settle(channel);
}

int ml_thread_channel_take(struct ml_thread_channel *channel, void *message)
{
    return take(channel, message);
}

int ml_thread_channel_add(struct ml_thread_channel *channel, void *message)
{
    return add(channel, message);
}
