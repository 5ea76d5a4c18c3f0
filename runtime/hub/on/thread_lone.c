#include "hub/on/thread_lone.h"

#include "base/error.h"
#include "hub/on/thread_channel_messages.h"
#include "hub/on/thread_channel_state.h"

#include <errno.h>
#include <time.h>

static void open_lone(struct ml_thread_channel *channel, struct ml_lone_port *lone)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&lone->rung, &monotonic);
    pthread_condattr_destroy(&monotonic);
    lone->port = (struct ml_port){.channel = channel};
    ml_port_side_open(&lone->port, &lone->port.getters);
    ml_port_side_open(&lone->port, &lone->port.putters);
    ml_list_insert(&channel->ports, &lone->port.link);
}

/* Waits for a ring and tries again. The mutex is locked. */
static int block_and_try(struct ml_lone_port *lone, struct ml_port_side *side, ml_port_attempt *try,
                         void *message, ml_time deadline)
{
    struct ml_thread_channel *channel = lone->port.channel;
    struct timespec until = {deadline / ML_SECOND, deadline % ML_SECOND};
    int error = 0;
    ml_port_side_begin(&lone->port, side);
    if (deadline == ML_FOREVER)
        pthread_cond_wait(&lone->rung, &channel->mutex);
    else
        error = -pthread_cond_timedwait(&lone->rung, &channel->mutex, &until);
    int result = try(channel, message);
    ml_port_side_end(&lone->port, side);
    ml_thread_channel_settle(channel);
    return result == -EAGAIN && error == -ETIMEDOUT ? error : result;
}

static int do_or_block(struct ml_thread_channel *channel, bool gets, ml_port_attempt *try,
                       void *message, ml_time deadline)
{
    struct ml_lone_port lone;
    if (ml_thread_channel_is_out_of_reach())
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
    return do_or_block(channel, true, ml_thread_channel_take, message, deadline);
}

int ml_thread_channel_put_blocking(struct ml_thread_channel *channel, struct ml_message *message,
                                   ml_time deadline)
{
    return do_or_block(channel, false, ml_thread_channel_add, message, deadline);
}
