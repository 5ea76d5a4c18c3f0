/*
 * A trace: what happened to the tasks of a hub, the last of it, in a ring of records of 16 bytes.
 * Knows neither Lua nor a format: names are resolved, and text is made, when a trace is taken.
 *
 * Tasks are named by slot. The slot of a task serves others when it has ended; ML_TRACE_END, which
 * comes after all else of a task, has its id. So whatever the ring still holds of a task, its id is
 * found: there, or, while it lives, in its slot.
 */
#ifndef ML_HUB_STATE_TRACE_H
#define ML_HUB_STATE_TRACE_H

#include "base/cycles.h"
#include "hub/state/observer.h"

enum ml_trace_event {
    ML_TRACE_GAP = 1,    /* time passed: task and argument are the low and the high half of it */
    ML_TRACE_TEXT,       /* up to ML_TRACE_TEXT_SIZE bytes that belong to the record before */
    ML_TRACE_SPAWN,      /* task; argument: the one that spawned it */
    ML_TRACE_RUN,        /* task runs; before, none did */
    ML_TRACE_SWITCH,     /* the one that ran pauses, see below; task runs */
    ML_TRACE_PAUSE,      /* task pauses; more: the kind of its wait, 0: it is ready; argument: the
                            number that it waits for */
    ML_TRACE_WAKE,       /* task; detail: enum ml_wake; argument: the one that woke it */
    ML_TRACE_NAME,       /* task is about to end; more: its source line; text: its name */
    ML_TRACE_END,        /* task; argument: its id */
    ML_TRACE_SPAN_BEGIN, /* task; more: number of the name; argument: a serial number; detail: 1:
                            it does not nest with others of the task */
    ML_TRACE_SPAN_END,   /* the same */
    ML_TRACE_MARK,       /* task; more: number of the name */
    ML_TRACE_COLLECTED,  /* the collector has ended a cycle; task; argument: KiB in use */
    ML_TRACE_HTTP_BEGIN, /* task; argument: a number of the exchange; detail as above; text: method
                            and target */
    ML_TRACE_HTTP_END,   /* the same; more: the status; text: the route */
    ML_TRACE_ERROR,      /* an error of task was reported; text: the message */
    ML_TRACE_DEADLINE    /* task has missed the deadline of a scope */
};

/* No task: as the one that woke or spawned another. */
#define ML_TRACE_NO_TASK UINT32_MAX

struct ml_trace_record {
    uint32_t delta; /* ticks since the record before */
    uint8_t event;  /* enum ml_trace_event */
    uint8_t detail;
    uint16_t more;
    uint32_t task; /* its slot */
    uint32_t argument;
};

/* As ML_TRACE_TEXT fills a record. */
enum { ML_TRACE_TEXT_SIZE = 10 };
struct ml_trace_text {
    char first[4];
    uint8_t event;
    uint8_t size; /* of the bytes in this record */
    char rest[ML_TRACE_TEXT_SIZE];
};

enum {
    ML_TRACE_SIZE = 1 << 20, /* bytes, if nothing else is asked for */
    ML_TRACE_LEAST = 1 << 12,
    ML_TRACE_MOST = 1 << 24,
    ML_TRACE_KINDS = 256 /* kinds of waits; moonlet has 60 */
};

struct ml_trace {
    struct ml_observer observer;
    struct ml_hub *hub;
    struct ml_trace_record *records; /* `mask` + 1 of them, a power of two */
    uint64_t mask;
    uint64_t written;   /* since it was opened; the last `mask` + 1 are there */
    uint64_t last;      /* ticks at the last record */
    bool counts_cycles; /* a tick is a cycle; else a nanosecond */
    bool is_staged;     /* a task has paused, and the next runs at once: one record for both */
    uint16_t paused_kind;
    uint32_t paused;
    uint32_t paused_on;
    /* When it was opened, by both clocks. */
    uint64_t opened_ticks;
    ml_time opened_at;
    const struct ml_wait_kind *kinds[ML_TRACE_KINDS]; /* the number of a kind is its index */
    /* Tasks that wait for errors and missed deadlines, and how many there were. */
    struct ml_link watchers;
    uint32_t errors, deadlines;
};

/* From now on hub->trace is a new trace of `size` bytes, rounded up to a power of two within its
 * limits. 0, or -ENOMEM; -EBUSY: there is one. */
int ml_trace_open(struct ml_hub *hub, size_t size);

/* Ends it, frees hub->trace, wakes the watchers. Harmless without one. */
void ml_trace_close(struct ml_hub *hub);

/* Adds a record. */
void ml_trace_add(struct ml_trace *trace, struct ml_trace_record record);

/* Adds the text of the last record, `most` bytes at most. */
void ml_trace_add_text(struct ml_trace *trace, const char *text, size_t size, size_t most);

/* Adds ML_TRACE_ERROR or ML_TRACE_DEADLINE of the running task, with a text or NULL, and wakes the
 * watchers. */
void ml_trace_tell(struct ml_trace *trace, enum ml_trace_event event, const char *text);

/* The slot of the running task. */
static inline uint32_t ml_trace_running(const struct ml_hub *hub)
{
    return hub->current != NULL ? hub->current->waiter.slot : ML_TRACE_NO_TASK;
}

/* Ends a switch that is half told, so that the ring is complete. */
void ml_trace_settle(struct ml_trace *trace);

/* The nanoseconds of a tick, measured from the opening until now. */
double ml_trace_tick(const struct ml_trace *trace);

/* A part of the ring, up to its last record. */
struct ml_trace_part {
    uint64_t first;   /* number of its first record */
    uint64_t count;   /* of its records */
    uint64_t at;      /* ticks at the record before */
    uint32_t running; /* slot of the task that ran then; ML_TRACE_NO_TASK: none, or unknown */
};

/* The records that are in the ring and not older than `ticks`. */
struct ml_trace_part ml_trace_find(const struct ml_trace *trace, uint64_t ticks);

/* Copies these, the last `room` of them at most. */
struct ml_trace_part ml_trace_copy(const struct ml_trace *trace, uint64_t ticks, void *to,
                                   size_t room);

/* Record `number`. */
static inline const struct ml_trace_record *ml_trace_at(const struct ml_trace *trace,
                                                        uint64_t number)
{
    return &trace->records[number & trace->mask];
}

/* The ticks now. */
static inline uint64_t ml_trace_now(const struct ml_trace *trace)
{
    return ml_likely(trace->counts_cycles) ? ml_cycles_now() : (uint64_t)ml_clock_now();
}

#endif
