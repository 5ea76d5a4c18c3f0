/*
 * What the connections of one HTTP server share: its handler, limits, counters, blocks of memory.
 * Knows no listener and no Lua.
 */
#ifndef ML_HTTP_SERVER_H
#define ML_HTTP_SERVER_H

#include "base/list.h"
#include "http/date.h"
#include "http/exchange.h"

#include <time.h>

struct ml_http_timeouts {
    ml_time head;       /* from the first byte of a head to its last; of a connection's first one
                           from its begin */
    ml_time read;       /* a single wait for a body */
    ml_time write;      /* a single wait for room */
    ml_time keep_alive; /* idle between requests */
    ml_time age;        /* of a connection; then the next answer is its last */
};

struct ml_http_counters {
    uint64_t connections; /* so far */
    uint64_t requests;
    uint64_t errors;    /* heads that were none, answered 4xx or 5xx without the handler */
    uint64_t refused;   /* answered 503 because of too many in flight */
    uint32_t open;      /* connections now */
    uint32_t in_flight; /* exchanges now */
};

/* Blocks of one size that were given back. */
struct ml_http_spares {
    void *first; /* each holds the next */
    uint32_t count;
};

/* A connection's place among those of its server, whatever version it speaks. */
struct ml_http_connection_link {
    struct ml_link link;
    /* The server stops: the connection ends now if its peer is silent, else with what runs. Never
     * waits. */
    void (*stop)(struct ml_http_connection_link *link);
};

/* The work of a task that carries exchanges; one of the two is called. */
struct ml_http_job {
    /* The context is one for handle(). */
    void (*run)(void *context, void *argument);
    /* The task ends and has not begun: it was cancelled, or there is no memory. Never waits. */
    void (*drop)(void *argument);
};

struct ml_http2_memory;

struct ml_http_server {
    struct ml_io *io;
    /* Answers an exchange, in its task: 0 once the answer is complete, hijacked or broken; an error
     * ends the connection, or the task if that is one of spawn(). What is not complete is cut off.
     */
    int (*handle)(void *context, struct ml_http_exchange *x);
    /* Runs the job in a task of its own: for carriers of several exchanges at a time. 0 or an
     * error; then neither of its functions is called. */
    int (*spawn)(struct ml_http_server *server, const struct ml_http_job *job, void *argument);
    struct ml_http_limits limits;
    struct ml_http_timeouts timeouts;
    struct ml_http_counters counters;
    uint64_t max_body;
    uint32_t max_in_flight; /* exchanges; beyond them 503 */
    enum ml_http_on_gone on_gone;
    bool is_stopping;
    bool is_leaving;    /* or about to stop: no answer keeps its connection */
    bool wants_refused; /* handle() is also given exchanges that have their answer: is_refused */
    struct ml_link connections; /* all that are open */
    struct ml_link memory;      /* all pieces, those that are spare among them */
    struct ml_http_spares blocks, requests, streams;
    struct ml_http2_memory *http2_memory; /* NULL: HTTP/2 was never spoken */
    time_t date_second;
    char date[ML_HTTP_DATE_SIZE];
};

/* Blocks of memory for a request with its head, and for answers. */
enum { ML_HTTP_BLOCK = 8 * 1024 };

/* With the defaults; `handle` is still to be set. */
void ml_http_server_init(struct ml_http_server *server, struct ml_io *io);

/* No connection is open any more, and no task of one runs. Frees also what tasks held that were
 * dropped where they stood: see ml_task_drop(). */
void ml_http_server_release(struct ml_http_server *server);

/* Memory that the server frees at its end, if it was not given back: for what a task holds while
 * it waits. NULL: no memory; giving that is allowed. */
void *ml_http_memory_take(struct ml_http_server *server, size_t size);
void ml_http_memory_give(void *memory);

/* One of them, or a new block of `size` bytes, which is the same each time and no less than a
 * pointer's; NULL: no memory. The last that were given are kept. NULL may be given, too. */
void *ml_http_spare_take(struct ml_http_server *server, struct ml_http_spares *spares, size_t size);
void ml_http_spare_give(struct ml_http_spares *spares, void *block);

/* A block of ML_HTTP_BLOCK bytes; NULL: no memory. */
void *ml_http_block_take(struct ml_http_server *server);
void ml_http_block_give(struct ml_http_server *server, void *block);

/* No answer keeps its connection from now on. Silent peers are left until the server stops: the
 * request of one may be on its way. Never waits. */
void ml_http_server_leave(struct ml_http_server *server);

/* The same, and connections of silent peers are closed: those
 * that wait for a request or for the rest of a head, of which nothing has come. Never waits. */
void ml_http_server_stop(struct ml_http_server *server);

/* Now as `date` fields have it, ML_HTTP_DATE_SIZE characters; formatted once a second. */
const char *ml_http_server_date(struct ml_http_server *server);

#endif
