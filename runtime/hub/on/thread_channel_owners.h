/*
 * The owners of channels between threads: ports, hosts, and messages, on their way or in a channel.
 * The last one that leaves has the channel freed, and so do channels that have no owners but
 * messages in each other. Knows nothing of waits.
 */
#ifndef ML_HUB_ON_THREAD_CHANNEL_OWNERS_H
#define ML_HUB_ON_THREAD_CHANNEL_OWNERS_H

#include "hub/on/thread_channel_state.h"

/* Of a channel with one owner. */
void ml_channel_owners_init(struct ml_channel_owners *owned);

/* The channel's mutex is locked for these: one owner more; one that is a port; no port any more,
 * but an owner still. */
void ml_thread_channel_add_owner(struct ml_thread_channel *channel);
void ml_thread_channel_add_port(struct ml_thread_channel *channel);
void ml_thread_channel_drop_port(struct ml_thread_channel *channel);

/* The same: the message has come into the channel, or has left it. */
void ml_thread_channel_note_carrier(struct ml_thread_channel *channel, struct ml_message *message);
void ml_thread_channel_forget_carrier(struct ml_thread_channel *channel,
                                      struct ml_message *message);

/* The same: whether one owner has it, apart from messages in it. */
bool ml_thread_channel_is_alone(const struct ml_thread_channel *channel);

/* An owner leaves; the mutex is not locked. Frees the channel, and others that were in it, if that
 * was the last one. */
void ml_thread_channel_leave(struct ml_thread_channel *channel);

#endif
