/*
 * The state of a master: the places for workers, their processes, the sockets they share. The files
 * of this room that make up the master work on it; worker/master.h is what others see.
 *
 * The master has one thread that waits in one poll(). Everything else is a step that never waits:
 * what comes is handled at once, what is due later has a time in this state (worker/clockwork.c).
 */
#ifndef ML_WORKER_MASTER_STATE_H
#define ML_WORKER_MASTER_STATE_H

#include "base/buffer.h"
#include "base/clock.h"
#include "base/list.h"
#include "io/local.h"
#include "worker/control.h"
#include "worker/master_options.h"
#include "worker/protocol.h"

#include <poll.h>
#include <sys/types.h>

enum ml_worker_state {
    ML_WORKER_STARTING, /* its code runs, and does not serve yet */
    ML_WORKER_READY,
    ML_WORKER_DRAINING /* it was told to end */
};

/* The process of a worker, from its start until it was waited for. */
struct ml_worker_process {
    struct ml_link link;         /* in master->processes */
    struct ml_worker_slot *slot; /* NULL: it is no place's any more, and ends */
    uint32_t slot_id;
    uint32_t generation;
    uint32_t serial; /* never used again */
    pid_t pid;
    int pidfd; /* -1: the kernel has none */
    struct ml_control control;
    enum ml_worker_state state;
    ml_time started_at;
    ml_time ready_at;
    ml_time heard_at; /* the last beat */
    ml_time term_at;  /* when it gets SIGTERM, and SIGKILL; ML_FOREVER: not */
    ml_time kill_at;
    bool was_dumped;             /* it did not answer: it was asked for a dump */
    bool is_replaceable;         /* it has served as much as it may */
    const char *reason;          /* for its end, if the master has ended it; NULL otherwise */
    uint64_t most_requests;      /* 0: no limit */
    uint64_t most_memory;        /* bytes; 0: no limit */
    uint64_t memory;             /* bytes at the last beat */
    struct ml_control_beat beat; /* the last one */
    bool owes_figures;           /* it was asked for its metrics; worker/figures.h */
    bool has_answered;           /* with them, to the last question */
    struct ml_buffer figures;    /* the last that it has said */
};

/* A place for a worker. */
struct ml_worker_slot {
    struct ml_link link; /* in master->slots, in the order of the numbers */
    uint32_t id;
    struct ml_worker_process *current; /* that serves, or will; NULL: it is to be started */
    struct ml_worker_process *next;    /* that is to replace it; NULL: none */
    ml_time start_at;                  /* when current is started; ML_FOREVER: not */
    ml_time replace_at;                /* the earliest start of a replacement */
    double tokens;                     /* restarts that it may have at once */
    ml_time tokens_at;
    unsigned level; /* of the back-off; 0: none */
    uint64_t restarts;
    bool is_done; /* its program has ended well before it served: it is not started again */
};

/* A request for a reload, or for metrics, that is not answered yet. */
struct ml_reload_waiter {
    struct ml_link link;
    uint32_t serial;
    uint64_t request;
};

struct ml_reload {
    bool is_under_way;
    bool is_wanted_again; /* it was asked for while one was under way */
    uint32_t generation;  /* the new one */
    struct ml_link waiters;
};

/* Metrics that are being collected: worker/figures.h */
struct ml_figures {
    bool is_under_way;
    uint64_t number;          /* of the last collection; 0: there was none */
    ml_time until;            /* then those that have not answered are left out */
    struct ml_link waiters;   /* struct ml_reload_waiter */
    struct ml_buffer retired; /* the last lines of workers that are gone */
    uint64_t epoch;           /* how many times these were put together */
};

enum { ML_MASTER_POLLS = 2 }; /* descriptors besides those of the processes */

struct ml_master {
    struct ml_master_options options;
    struct ml_link slots;
    struct ml_link processes;
    unsigned process_count;
    uint32_t count;      /* of slots */
    uint32_t generation; /* that serves */
    uint32_t last_generation;
    uint32_t last_serial;
    struct ml_reload reload;
    struct ml_figures figures;
    struct ml_link shares; /* worker/shares.h */
    uint64_t last_share;
    struct ml_link stores; /* worker/kept_stores.h */
    int signals;           /* a signalfd */
    int report;            /* worker/report_socket.h; -1: none */
    struct pollfd *polls;  /* for the two above, then two for each process */
    unsigned poll_room;
    ml_time now;      /* of this turn */
    ml_time began_at; /* this run */
    bool has_booted;  /* the first generation is ready */
    bool is_stopping;
    int status;                                     /* then: of the program */
    uint64_t retired_requests, retired_connections; /* of processes that are gone */
    uint64_t random;                                /* for jitter */
    struct ml_ticket_secrets tickets;               /* in memory only */
    ml_time tickets_at;                             /* when they change */
    uint64_t mask;       /* of the signals that were blocked when the user started the program */
    char *program;       /* its file; NULL: not found */
    pid_t check;         /* the process that says whether a new program can take over; 0: none */
    ml_time check_until; /* then it is killed */
};

/* One line for people, without its end. */
__attribute__((format(printf, 2, 3))) void ml_master_log(const struct ml_master *master,
                                                         const char *format, ...);

/* The process of that serial number; NULL: it is gone. */
struct ml_worker_process *ml_master_process(const struct ml_master *master, uint32_t serial);

static inline struct ml_worker_process *ml_process_at(struct ml_link *link)
{
    return (struct ml_worker_process *)((char *)link - offsetof(struct ml_worker_process, link));
}

static inline struct ml_worker_slot *ml_slot_at(struct ml_link *link)
{
    return (struct ml_worker_slot *)((char *)link - offsetof(struct ml_worker_slot, link));
}

#endif
