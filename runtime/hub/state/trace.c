#include "hub/state/trace.h"

#include "base/check.h"
#include "hub/state/ready.h"
#include "hub/state/waiters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct ml_trace_record) == 16, "a record has 16 bytes");
_Static_assert(sizeof(struct ml_trace_text) == sizeof(struct ml_trace_record), "text is a record");

/* ---- writing ---- */

static inline struct ml_trace_record *next_place(struct ml_trace *trace)
{
    return &trace->records[trace->written++ & trace->mask];
}

/* More time has passed than a record can say, or the counter of another core is behind. */
static __attribute__((noinline)) void pass_gap(struct ml_trace *trace, uint64_t delta, uint64_t now)
{
    if ((int64_t)delta < 0)
        return;
    *next_place(trace) = (struct ml_trace_record){
        .event = ML_TRACE_GAP, .task = (uint32_t)delta, .argument = (uint32_t)(delta >> 32)};
    trace->last = now;
}

/* The ticks since the last record, as the next one has them. */
static inline uint32_t advance(struct ml_trace *trace)
{
    uint64_t now = ml_trace_now(trace), delta = now - trace->last;
    if (ml_unlikely(delta > UINT32_MAX)) {
        pass_gap(trace, delta, now);
        return 0;
    }
    trace->last = now;
    return (uint32_t)delta;
}

static void add(struct ml_trace *trace, struct ml_trace_record record)
{
    record.delta = advance(trace);
    *next_place(trace) = record;
}

__attribute__((noinline)) void ml_trace_settle(struct ml_trace *trace)
{
    if (!trace->is_staged)
        return;
    trace->is_staged = false;
    add(trace, (struct ml_trace_record){.event = ML_TRACE_PAUSE,
                                        .more = trace->paused_kind,
                                        .task = trace->paused,
                                        .argument = trace->paused_on});
}

void ml_trace_add(struct ml_trace *trace, struct ml_trace_record record)
{
    ml_trace_settle(trace);
    add(trace, record);
}

void ml_trace_add_text(struct ml_trace *trace, const char *text, size_t size, size_t most)
{
    enum { WHOLE = sizeof((struct ml_trace_text *)0)->first + ML_TRACE_TEXT_SIZE };
    size = size < most ? size : most;
    while (size > 0) {
        size_t part = size < WHOLE ? size : WHOLE;
        struct ml_trace_text piece = {.event = ML_TRACE_TEXT, .size = (uint8_t)part};
        size_t first = part < sizeof piece.first ? part : sizeof piece.first;
        memcpy(piece.first, text, first);
        memcpy(piece.rest, text + first, part - first);
        memcpy(next_place(trace), &piece, sizeof piece);
        text += part;
        size -= part;
    }
}

void ml_trace_tell(struct ml_trace *trace, enum ml_trace_event event, const char *text)
{
    enum { MOST = 98 };
    struct ml_trace_record record = {.event = (uint8_t)event, .task = ml_trace_running(trace->hub)};
    ml_trace_add(trace, record);
    if (text != NULL)
        ml_trace_add_text(trace, text, strlen(text), MOST);
    trace->errors += event == ML_TRACE_ERROR;
    trace->deadlines += event == ML_TRACE_DEADLINE;
    ml_wake_all(trace->hub, &trace->watchers);
}

/* ---- what happens to tasks ---- */

/* The number of a kind of waits, from `index` on; 0 when there are too many. */
static __attribute__((noinline)) uint16_t look_for(struct ml_trace *trace,
                                                   const struct ml_wait_kind *kind, unsigned index)
{
    for (unsigned tries = 0; tries < ML_TRACE_KINDS; tries++, index++) {
        const struct ml_wait_kind **place = &trace->kinds[index % ML_TRACE_KINDS];
        if (*place == NULL && index % ML_TRACE_KINDS != 0)
            *place = kind;
        if (*place == kind)
            return (uint16_t)(index % ML_TRACE_KINDS);
    }
    return 0;
}

static inline uint16_t number_of(struct ml_trace *trace, const struct ml_wait_kind *kind)
{
    unsigned index = (unsigned)((uintptr_t)kind >> 4) % ML_TRACE_KINDS;
    return ml_likely(trace->kinds[index] == kind) ? (uint16_t)index : look_for(trace, kind, index);
}

/* Whether the next task runs as soon as this one has paused: the hub does nothing in between. */
static inline bool is_followed(const struct ml_hub *hub)
{
    return hub->ready.count > 0 && hub->pace.budget > 1 && !ml_hub_wants_attention(hub);
}

static inline void pause(struct ml_trace *trace, const struct ml_task *task)
{
    bool waits = task->state == ML_TASK_WAITING;
    trace->paused = task->waiter.slot;
    trace->paused_kind = waits ? number_of(trace, task->waits_for) : 0;
    trace->paused_on = waits ? task->waits_on : 0;
    trace->is_staged = true;
    if (ml_unlikely(!is_followed(trace->hub)))
        ml_trace_settle(trace);
}

/* Measured with it: the cost of a switch. Each field goes straight to its place. */
static inline void run(struct ml_trace *trace, const struct ml_task *task)
{
    uint32_t delta = advance(trace);
    struct ml_trace_record *record = next_place(trace);
    bool is_switch = trace->is_staged;
    record->delta = delta;
    record->event = is_switch ? ML_TRACE_SWITCH : ML_TRACE_RUN;
    record->detail = 0;
    record->more = is_switch ? trace->paused_kind : 0;
    record->task = task->waiter.slot;
    record->argument = is_switch ? trace->paused_on : 0;
    trace->is_staged = false;
}

static __attribute__((noinline)) void tell_rest(struct ml_trace *trace, const struct ml_task *task,
                                                enum ml_task_event event)
{
    struct ml_trace_record record = {.task = task->waiter.slot,
                                     .argument = ml_trace_running(task->hub)};
    record.event = event == ML_TASK_SPAWNED ? ML_TRACE_SPAWN
                   : event == ML_TASK_WOKEN ? ML_TRACE_WAKE
                                            : ML_TRACE_END;
    if (event == ML_TASK_WOKEN)
        record.detail = task->wake;
    else if (event == ML_TASK_FINISHED)
        record.argument = (uint32_t)task->id;
    ml_trace_add(trace, record);
}

static void on_event(struct ml_observer *observer, struct ml_task *task, enum ml_task_event event)
{
    struct ml_trace *trace = ml_container_of(observer, struct ml_trace, observer);
    if (event == ML_TASK_RESUMED)
        run(trace, task);
    else if (event == ML_TASK_PAUSED)
        pause(trace, task);
    else
        tell_rest(trace, task, event);
}

/* ---- life ---- */

static size_t round_up(size_t size)
{
    size_t result = ML_TRACE_LEAST;
    while (result < size && result < ML_TRACE_MOST)
        result *= 2;
    return result;
}

int ml_trace_open(struct ml_hub *hub, size_t size)
{
    if (hub->trace != NULL)
        return -EBUSY;
    struct ml_trace *trace = calloc(1, sizeof *trace);
    if (trace == NULL)
        return -ENOMEM;
    size = round_up(size);
    trace->records = malloc(size);
    if (trace->records == NULL) {
        free(trace);
        return -ENOMEM;
    }
    trace->mask = size / sizeof *trace->records - 1;
    trace->hub = hub;
    trace->counts_cycles = ml_cycles_are_even();
    trace->last = trace->opened_ticks = ml_trace_now(trace);
    trace->opened_at = ml_clock_now();
    ml_list_init(&trace->watchers);
    trace->observer.on_event = on_event;
    ml_observer_add(hub, &trace->observer);
    hub->trace = trace;
    if (hub->current != NULL)
        run(trace, hub->current);
    return 0;
}

void ml_trace_close(struct ml_hub *hub)
{
    struct ml_trace *trace = hub->trace;
    if (trace == NULL)
        return;
    ml_observer_remove(hub, &trace->observer);
    hub->trace = NULL;
    ml_wake_all(hub, &trace->watchers);
    free(trace->records);
    free(trace);
}

/* ---- reading ---- */

double ml_trace_tick(const struct ml_trace *trace)
{
    if (!trace->counts_cycles)
        return 1;
    uint64_t ticks = ml_trace_now(trace) - trace->opened_ticks;
    ml_time span = ml_clock_now() - trace->opened_at;
    return span > 0 && (int64_t)ticks > 0 ? (double)span / (double)ticks : 1;
}

static uint64_t span_of(const struct ml_trace_record *record)
{
    if (record->event == ML_TRACE_GAP)
        return (uint64_t)record->argument << 32 | record->task;
    return record->event == ML_TRACE_TEXT ? 0 : record->delta;
}

/* The number of the oldest record that is there. */
static uint64_t oldest(const struct ml_trace *trace)
{
    return trace->written > trace->mask ? trace->written - trace->mask - 1 : 0;
}

/* The task that ran before record `number`. */
static uint32_t running_before(const struct ml_trace *trace, uint64_t number)
{
    for (uint64_t first = oldest(trace); number > first; number--) {
        const struct ml_trace_record *record = ml_trace_at(trace, number - 1);
        if (record->event == ML_TRACE_RUN || record->event == ML_TRACE_SWITCH)
            return record->task;
        if (record->event == ML_TRACE_PAUSE || record->event == ML_TRACE_END)
            break;
    }
    return ML_TRACE_NO_TASK;
}

struct ml_trace_part ml_trace_find(const struct ml_trace *trace, uint64_t ticks)
{
    uint64_t number = trace->written, first = oldest(trace), at = trace->last;
    for (; number > first && at >= ticks; number--)
        at -= span_of(ml_trace_at(trace, number - 1));
    /* The text of a record that is not among them. */
    while (number < trace->written && ml_trace_at(trace, number)->event == ML_TRACE_TEXT)
        number++;
    return (struct ml_trace_part){.first = number,
                                  .count = trace->written - number,
                                  .at = at,
                                  .running = running_before(trace, number)};
}

struct ml_trace_part ml_trace_copy(const struct ml_trace *trace, uint64_t ticks, void *to,
                                   size_t room)
{
    struct ml_trace_part part = ml_trace_find(trace, ticks);
    for (; part.count > room; part.first++, part.count--)
        part.at += span_of(ml_trace_at(trace, part.first));
    struct ml_trace_record *records = to;
    for (uint64_t i = 0; i < part.count; i++)
        records[i] = *ml_trace_at(trace, part.first + i);
    return part;
}
