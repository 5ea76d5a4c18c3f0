/*
 * Connections between this worker and the others, which the master hands out: those that were asked
 * for here, and what others have asked for and become, in the order in which the master said it.
 * Knows nothing of what goes over them.
 */
#ifndef ML_BINDINGS_CORE_LUA_PEERS_H
#define ML_BINDINGS_CORE_LUA_PEERS_H

#include "worker/client.h"

/* What of them is not taken yet, in a worker. */
struct ml_lua_peers {
    struct ml_worker_client *client;
    struct ml_link notices;
    unsigned notice_count;
    struct ml_link waiters;
};

/* What the master has said of another worker. */
struct ml_lua_peer_notice {
    struct ml_control_peer peer;
    int fd; /* the end of a connection that it has asked for, the receiver's; -1: it is the one that
               now serves in its slot */
};

/* From now on notices are kept until they are taken. */
void ml_lua_peers_open(struct ml_lua_peers *peers, struct ml_worker_client *client);

/* Drops those that were not taken. */
void ml_lua_peers_close(struct ml_lua_peers *peers);

/* Takes the next notice; waits for one. 0, or an error of ml_wait(). */
int ml_lua_peers_next(struct ml_lua_peers *peers, struct ml_lua_peer_notice *notice);

/*
 * A connection to the worker that serves in a slot; waits for the master. 0, with the descriptor,
 * which is the caller's, and the worker's place. -ESRCH: there is no such slot; -EPIPE: nobody
 * serves there now, or there is no master any more; -EMFILE and the like.
 */
int ml_lua_peers_connect(struct ml_lua_peers *peers, uint32_t slot, struct ml_control_peer *peer,
                         int *fd);

#endif
