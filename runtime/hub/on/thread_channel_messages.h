/* The messages in a channel between threads: how they come and go, while its mutex is locked. */
#ifndef ML_HUB_ON_THREAD_CHANNEL_MESSAGES_H
#define ML_HUB_ON_THREAD_CHANNEL_MESSAGES_H

#include "hub/on/thread_channel_state.h"

/* A try to get or put: 0; -EAGAIN: not now; -ML_ECLOSED. */
typedef int ml_port_attempt(struct ml_thread_channel *channel, void *message);
int ml_thread_channel_take(struct ml_thread_channel *channel, void *message);
int ml_thread_channel_add(struct ml_thread_channel *channel, void *message);

/* Ahead of the others, also into a channel that is full or closed. */
void ml_thread_channel_add_first(struct ml_thread_channel *channel, struct ml_message *message);

#endif
