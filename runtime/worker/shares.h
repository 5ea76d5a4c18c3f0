/*
 * The sockets that workers share: bound by the master when the first worker asks, kept while a
 * worker of the generation that serves uses them. With a socket per place each worker gets its own,
 * which stays when the worker is replaced: no connection in its queue is lost.
 */
#ifndef ML_WORKER_SHARES_H
#define ML_WORKER_SHARES_H

#include "worker/master_state.h"

struct ml_share {
    struct ml_link link;
    uint64_t number;
    struct ml_control_listen asked;
    struct ml_address bound; /* with the port that the system chose */
    struct ml_local_path path;
    uint32_t generation;      /* that has set it up last */
    bool is_inherited;        /* the service manager has opened it: it is never closed */
    char name[ML_SHARE_NAME]; /* that it gave it; empty: none */
    int *fds;                 /* by place, or one; -1: none */
    uint32_t fd_count;
    struct ml_link users;
};

struct ml_share_user {
    struct ml_link link;
    uint32_t serial, slot, generation;
};

/* The socket that a worker asks for; *number: of the share. A negated errno: EINVAL: there is one
 * with other options; ENOENT: the service manager has passed no more; EADDRINUSE and the like. The
 * descriptor stays the master's. */
int ml_shares_listen(struct ml_master *master, const struct ml_worker_process *process,
                     const struct ml_control_listen *asked, uint64_t *number);

/* The name of the share of that number; empty: it has none. */
const char *ml_shares_name(const struct ml_master *master, uint64_t number);

/* A worker has closed it. */
void ml_shares_unlisten(struct ml_master *master, const struct ml_worker_process *process,
                        uint64_t number);

/* A process has ended. is_final: no other one follows in its place that would ask anew. */
void ml_shares_process_ended(struct ml_master *master, uint32_t serial, bool is_final);

/* A worker serves: what processes before it in its place used is forgotten. */
void ml_shares_slot_ready(struct ml_master *master, const struct ml_worker_process *process);

/* A place is no more. */
void ml_shares_forget_slot(struct ml_master *master, uint32_t slot);

/* The generation serves: closes what only older ones used. Or: it never will, the reload is rolled
 * back: closes what only it used. */
void ml_shares_generation(struct ml_master *master, uint32_t generation);
void ml_shares_roll_back(struct ml_master *master, uint32_t generation);

/* Takes the sockets that a service manager has passed (sd_listen_fds(3)), and removes its variables
 * from the environment. */
void ml_shares_take_inherited(struct ml_master *master);

/* Closes them all. */
void ml_shares_release(struct ml_master *master);

#endif
