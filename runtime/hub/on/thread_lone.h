/* Threads without a hub at a channel between threads: they block. */
#ifndef ML_HUB_ON_THREAD_LONE_H
#define ML_HUB_ON_THREAD_LONE_H

#include "base/clock.h"
#include "hub/on/thread_channel.h"

/* Gets or puts a message. 0; -ML_ECLOSED; -ETIMEDOUT; -ECHILD: in a process that a task forked. */
int ml_thread_channel_get_blocking(struct ml_thread_channel *channel, struct ml_message **message,
                                   ml_time deadline);
int ml_thread_channel_put_blocking(struct ml_thread_channel *channel, struct ml_message *message,
                                   ml_time deadline);

#endif
