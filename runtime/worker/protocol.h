/*
 * The payloads of the messages between the master and its workers (worker/control.h). Plain data of
 * fixed size; a text at the end is as long as the rest of the payload.
 */
#ifndef ML_WORKER_PROTOCOL_H
#define ML_WORKER_PROTOCOL_H

#include "io/address.h"
#include "io/io.h"

#include <stdbool.h>
#include <stdint.h>

/* The variable of the environment that a worker begins with, and removes: "DESCRIPTOR:PID", the
 * number of its end of the control channel and the process that is its master. */
#define ML_WORKER_VARIABLE "MOONLET_WORKER"

/* The place of a worker. */
struct ml_control_place {
    uint32_t slot; /* from 1 on: worker.id */
    uint32_t count;
    uint32_t generation; /* from 1 on */
    uint32_t serial;     /* of the process, never used again */
    uint64_t beat;       /* nanoseconds between two beats */
    uint64_t dead_after; /* nanoseconds without its hub's turning after which it ends by itself */
    uint64_t grace;      /* nanoseconds that it has to drain when there is no master any more */
    struct ml_ticket_secrets tickets; /* of all workers; io/io.h */
    uint32_t reuseport;               /* listeners get a socket per slot without asking for it */
};

struct ml_control_beat {
    uint64_t connections; /* accepted so far */
    uint64_t requests;    /* answered so far */
    uint64_t open;        /* connections that are open */
    uint64_t late;        /* nanoseconds by which this beat is late */
};

struct ml_control_drain {
    uint64_t grace;        /* nanoseconds until what still runs is cancelled */
    uint32_t others_serve; /* clients that come back find another worker */
};

/* INHERITED: a listener of the service manager's, the one of that ordinal, from 1 on; without an
 * address. */
enum ml_share_kind { ML_SHARE_STREAM, ML_SHARE_DATAGRAM, ML_SHARE_INHERITED };

enum { ML_SHARE_NAME = 256 }; /* bytes of a name of the service manager's at most, with its end */

struct ml_control_listen {
    uint32_t kind; /* enum ml_share_kind */
    uint32_t is_per_slot;
    int32_t backlog;  /* 0: the largest */
    uint32_t ordinal; /* of port 0: which of the worker's calls it is */
    uint32_t flags;   /* of datagrams: ML_SHARE_... */
    struct ml_address address;
};

/* Settings of a datagram socket that must stand before bind(). */
enum { ML_SHARE_BROADCAST = 1, ML_SHARE_REUSE = 2 };

/* Shared memory, made at the first request for the name. */
struct ml_control_store {
    uint64_t size; /* of the memory if it is made now; bytes */
    char name[64]; /* ends with zero */
};

/* With the file of all metrics: lines of those that have answered, a line "-", last lines of those
 * that have not, and at the end `retired` bytes of lines of those that are gone. */
struct ml_control_figures {
    uint64_t retired;
    uint64_t epoch; /* of these bytes */
};

struct ml_control_peer {
    uint32_t slot;
    uint32_t generation; /* asked for: 0: the one that serves now */
    uint32_t serial;     /* of the process */
    int32_t pid;
};

#endif
