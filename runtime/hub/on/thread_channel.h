/*
 * Channels between threads: messages from tasks of any hub to tasks of any hub. Bounded; messages
 * keep their order. A hub has a port (hub/on/thread_port.h) to each channel that its tasks use, and
 * another thread rings the port when a task of its may go on. Knows nothing of the messages.
 */
#ifndef ML_HUB_ON_THREAD_CHANNEL_H
#define ML_HUB_ON_THREAD_CHANNEL_H

#include "hub/on/thread_channel_state.h"

/* Capacity 0: a message goes in when a task waits for one. NULL: no memory. The caller owns it. */
struct ml_thread_channel *ml_thread_channel_new(uint32_t capacity);

/* One more owner, and one fewer: the last one frees the channel with the messages in it. Messages
 * in it that own the channel itself do not keep it, nor do messages in channels that nobody else
 * owns (hub/on/thread_channel_owners.h). */
struct ml_thread_channel *ml_thread_channel_retain(struct ml_thread_channel *channel);
void ml_thread_channel_release(struct ml_thread_channel *channel);

/* From any thread, without a wait. 0; -EAGAIN: it is empty, or full; -ML_ECLOSED. A message that
 * was put belongs to the channel, one that was got to the caller. */
int ml_thread_channel_try_put(struct ml_thread_channel *channel, struct ml_message *message);
int ml_thread_channel_try_get(struct ml_thread_channel *channel, struct ml_message **message);

/* A message that was got goes back to where it came from, ahead of the others; also into a channel
 * that is full or closed. */
void ml_thread_channel_put_back(struct ml_thread_channel *channel, struct ml_message *message);

/* Nothing goes in any more; messages in it can still be got. `reason`: kept for
 * ml_thread_channel_reason(), NULL: none. Of a channel that was closed before it is released. */
void ml_thread_channel_close(struct ml_thread_channel *channel, struct ml_message *reason);

/* Of a channel that was closed; it lives as long as the channel. NULL: none was given. */
const struct ml_message *ml_thread_channel_reason(struct ml_thread_channel *channel);

struct ml_thread_channel_state {
    uint32_t capacity, count;
    bool is_closed;
};
struct ml_thread_channel_state ml_thread_channel_state(struct ml_thread_channel *channel);

#endif
