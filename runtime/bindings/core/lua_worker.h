/*
 * This runtime as a worker (worker/client.h): sockets that it shares with the other workers, what
 * it tells its master, and the order to drain. Knows no listener and no server.
 */
#ifndef ML_BINDINGS_CORE_LUA_WORKER_H
#define ML_BINDINGS_CORE_LUA_WORKER_H

#include "bindings/core/lua_peers.h"
#include "bindings/core/lua_runtime.h"
#include "io/balance.h"
#include "worker/client.h"

struct ml_lua_worker {
    struct ml_worker_client *client;
    struct ml_lua *lua;
    uint64_t accepted;      /* connections so far */
    uint32_t ordinal;       /* of calls for port 0 so far */
    bool has_inherited;     /* the listeners of the service manager were asked for */
    struct ml_link sockets; /* shared ones that are open */
    struct ml_lua_peers peers;
    struct ml_balance balance; /* of connections over the workers */
    bool is_draining;
    bool was_asked; /* for its metrics */
};

/* A shared socket in the hands of this worker; all zero: it is none. */
struct ml_shared_socket {
    struct ml_link link; /* in worker->sockets; in no list: it is none, or closed */
    struct ml_lua *lua;
    uint64_t number;
    bool is_spread; /* all workers accept from this one: io/balance.h spreads the connections */
    void (*close)(struct ml_shared_socket *shared); /* the owner's: closes all of it */
};

/* If this process was started as a worker, and no other runtime has taken that, this one does. 0,
 * also if it was not; or a negated errno. */
int ml_lua_worker_open(struct ml_lua *lua);

void ml_lua_worker_close(struct ml_lua *lua);

/*
 * The socket for an address that all workers share; may wait. 0, with a descriptor that is the
 * caller's, and *shared filled in but for `close`. -EINVAL: another worker has asked for it with
 * other options; -ENOENT: the service manager has passed no more; errors of bind() and listen();
 * -EPIPE: there is no master any more; -ECANCELED and the like. name: that the service manager gave
 * it, ML_SHARE_NAME bytes; empty: it has none; or NULL.
 */
int ml_lua_worker_listen(struct ml_lua *lua, const struct ml_control_listen *asked, int *fd,
                         struct ml_shared_socket *shared, char *name);

/* Closes all that are open, so that this worker gets nothing new. Returns how many. Never waits. */
unsigned ml_lua_worker_close_sockets(struct ml_lua *lua);

unsigned ml_lua_worker_count_sockets(const struct ml_lua *lua);

/* It is closed. Harmless for one that is none. Never waits. */
void ml_shared_socket_close(struct ml_shared_socket *shared);

/* The runtime ends: tells the master what this worker has counted since it said so last. Outside of
 * tasks; never waits. */
void ml_lua_worker_say_last(struct ml_lua *lua);

/* The worker has begun to serve. Never waits. */
void ml_lua_worker_serves(struct ml_lua *lua);

/* It has accepted a connection. */
static inline void ml_lua_worker_accepted(struct ml_lua *lua)
{
    if (lua->worker != NULL)
        lua->worker->accepted++;
}

#endif
