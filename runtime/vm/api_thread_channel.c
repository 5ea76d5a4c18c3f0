/* Channels of moonlet.thread for hosts: strings of bytes. A task waits at a port of its runtime, a
 * thread without tasks blocks. */
#include "vm/api_thread_channel.h"

#include "base/error.h"
#include "bindings/core/lua_strand.h"
#include "bindings/thread/parcel.h"
#include "bindings/thread/thread_channel.h"
#include "hub/on/thread_lone.h"
#include "hub/on/thread_port.h"
#include "hub/state/scope.h"
#include "vm/runtimes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A task's place at a channel while it waits. Lies on the heap: other threads ring it. */
struct host_port {
    struct ml_link link; /* in m->ports */
    struct ml_port port;
};

static struct ml_thread_channel *inner(struct moonlet_thread_channel *channel)
{
    return (struct ml_thread_channel *)channel;
}

struct moonlet_thread_channel *moonlet_thread_channel_new(unsigned capacity)
{
    return (struct moonlet_thread_channel *)ml_thread_channel_new(capacity);
}

struct moonlet_thread_channel *moonlet_thread_channel_retain(struct moonlet_thread_channel *channel)
{
    if (channel != NULL)
        ml_thread_channel_retain(inner(channel));
    return channel;
}

void moonlet_thread_channel_release(struct moonlet_thread_channel *channel)
{
    if (channel != NULL)
        ml_thread_channel_release(inner(channel));
}

void moonlet_thread_channel_close(struct moonlet_thread_channel *channel)
{
    if (channel != NULL)
        ml_thread_channel_close(inner(channel), NULL);
}

/* Stack: the channel. */
static int push_object(lua_State *L)
{
    ml_push_thread_channel(L, lua_touserdata(L, 1));
    return 1;
}

int moonlet_thread_channel_push(struct moonlet *m, lua_State *L,
                                struct moonlet_thread_channel *channel)
{
    int error = channel != NULL ? ml_runtime_check(m) : -EINVAL;
    if (error == 0 && (L == NULL || ml_lua_of(L) != &m->lua))
        error = -EINVAL;
    if (error != 0)
        return error;
    if (!lua_checkstack(L, 4))
        return -ENOMEM;
    lua_pushcfunction(L, push_object);
    lua_pushlightuserdata(L, channel);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK)
        return 0;
    lua_pop(L, 1);
    return -ENOMEM;
}

/* ---- waiting ---- */

/* The runtime of which the caller is a task; NULL: it is none. */
static struct moonlet *running(void)
{
    if (ml_bank_current == NULL)
        return NULL;
    struct ml_hub *hub = ml_container_of(ml_bank_current, struct ml_hub, bank);
    return hub->current != NULL && hub->owner != NULL ? ml_moonlet_of(hub->owner) : NULL;
}

static ml_time blocking_deadline(double limit)
{
    if (!(limit >= 0))
        return ML_FOREVER;
    ml_time span = ml_time_from_seconds(limit);
    return span > 0 ? ml_time_after(ml_clock_now(), span) : ML_NEVER_WAIT;
}

static void close_port(struct host_port *place)
{
    ml_list_remove(&place->link);
    ml_port_close(&place->port);
    free(place);
}

void ml_host_ports_close(struct moonlet *m)
{
    while (!ml_list_is_empty(&m->ports))
        close_port(ml_container_of(m->ports.next, struct host_port, link));
}

/* Opens a port for the running task. NULL: no memory. */
static struct host_port *open_port(struct moonlet *m, struct ml_thread_channel *channel)
{
    struct host_port *place = calloc(1, sizeof *place);
    if (place == NULL || ml_port_open(&m->lua.hub, &place->port, channel) != 0) {
        free(place);
        return NULL;
    }
    ml_list_insert(&m->ports, &place->link);
    return place;
}

/* Gets *message, or puts it. */
static int wait_in_task(struct moonlet *m, struct ml_thread_channel *channel, bool gets,
                        struct ml_message **message, double limit)
{
    int error = ml_runtime_begin_wait(m);
    if (error != 0)
        return error;
    ml_time deadline = ml_runtime_deadline(m, limit);
    error = ml_cancel_point_until(&m->lua.hub, deadline);
    struct host_port *place = error == 0 ? open_port(m, channel) : NULL;
    if (error == 0 && place == NULL)
        error = -ENOMEM;
    if (error == 0 && gets)
        error = ml_port_get(&m->lua.hub, &place->port, message, deadline);
    else if (error == 0)
        error = ml_port_put(&m->lua.hub, &place->port, *message, deadline);
    if (place != NULL)
        close_port(place);
    return ml_runtime_end_wait(m, error);
}

int moonlet_thread_channel_put(struct moonlet_thread_channel *channel, const void *data,
                               size_t size, double limit)
{
    if (channel == NULL || (data == NULL && size > 0))
        return -EINVAL;
    struct ml_parcel *parcel = ml_parcel_of_string(data, size);
    if (parcel == NULL)
        return -ENOMEM;
    struct moonlet *m = running();
    struct ml_message *message = &parcel->message;
    int error = m != NULL ? wait_in_task(m, inner(channel), false, &message, limit)
                          : ml_thread_channel_put_blocking(inner(channel), message,
                                                           blocking_deadline(limit));
    if (error != 0)
        ml_parcel_release(parcel);
    return error;
}

/* A copy of the message's string. The message is released; without memory for the copy it is put
 * back. */
static int take_string(struct ml_thread_channel *channel, struct ml_message *message, char **data,
                       size_t *size)
{
    const char *bytes = ml_parcel_string(ml_parcel_of(message), size);
    int error = bytes != NULL ? 0 : -EBADMSG;
    *data = error == 0 ? malloc(*size + 1) : NULL;
    if (error == 0 && *data == NULL) {
        ml_thread_channel_put_back(channel, message);
        return -ENOMEM;
    }
    if (error == 0) {
        memcpy(*data, bytes, *size);
        (*data)[*size] = '\0';
    }
    message->release(message);
    return error;
}

int moonlet_thread_channel_get(struct moonlet_thread_channel *channel, char **data, size_t *size,
                               double limit)
{
    if (channel == NULL || data == NULL || size == NULL)
        return -EINVAL;
    struct moonlet *m = running();
    struct ml_message *message = NULL;
    int error = m != NULL ? wait_in_task(m, inner(channel), true, &message, limit)
                          : ml_thread_channel_get_blocking(inner(channel), &message,
                                                           blocking_deadline(limit));
    return error == 0 ? take_string(inner(channel), message, data, size) : error;
}
