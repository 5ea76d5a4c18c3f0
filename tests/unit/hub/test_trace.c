/*
 * The ring of a trace: what happened to the tasks of a hub, in order and at its time, the last of
 * it, in memory that does not grow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "failing_calls.h"
#include "hub_fixture.h"

#include "hub/state/trace.h"
#include "hub/wait/wait.h"

#include <errno.h>
#include <stdio.h>

struct reading {
    char text[4096];
    size_t length;
    uint64_t at;
};

static void say(struct reading *r, const char *what, unsigned number)
{
    int room = (int)(sizeof r->text - r->length);
    r->length += (size_t)snprintf(r->text + r->length, (size_t)room, "%s%u ", what, number);
}

/* A switch reads as the pause and the run that it stands for. */
static void read_record(struct reading *r, const struct ml_trace *trace,
                        const struct ml_trace_record *record)
{
    static const char *const words[] = {
        [ML_TRACE_SPAWN] = "spawn", [ML_TRACE_RUN] = "run",     [ML_TRACE_SWITCH] = "run",
        [ML_TRACE_WAKE] = "wake",   [ML_TRACE_PAUSE] = "pause", [ML_TRACE_END] = "end",
        [ML_TRACE_MARK] = "mark",   [ML_TRACE_ERROR] = "error", [ML_TRACE_DEADLINE] = "late"};
    bool pauses = record->event == ML_TRACE_SWITCH || record->event == ML_TRACE_PAUSE;
    if (record->event == ML_TRACE_GAP || record->event == ML_TRACE_TEXT)
        return;
    r->at += record->delta;
    if (pauses)
        say(r, record->more == 0 ? "ready" : trace->kinds[record->more]->text, record->argument);
    if (record->event != ML_TRACE_PAUSE)
        say(r, words[record->event], record->task);
    if (record->event == ML_TRACE_WAKE)
        say(r, "by", record->argument == ML_TRACE_NO_TASK ? 99 : record->argument);
}

static const char *read_all(struct reading *r, struct ml_trace *trace)
{
    *r = (struct reading){.length = 0};
    ml_trace_settle(trace);
    struct ml_trace_part part = ml_trace_find(trace, 0);
    r->at = part.at;
    for (uint64_t number = part.first; number < trace->written; number++)
        read_record(r, trace, ml_trace_at(trace, number));
    return r->text;
}

static void yield_once(struct c_task *self)
{
    assert_int_equal(ml_yield(hub_of(self)), 0);
}

static void join_other(struct c_task *self)
{
    struct c_task *other = self->data;
    assert_int_equal(ml_join(hub_of(self), &other->task, ML_FOREVER), 0);
}

static void test_what_happens_to_tasks_is_written_in_order(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct reading r;
    struct c_task one = {.number = 1}, two = {.number = 2};
    open_hub(&hub);
    hub.waits.spurious = true; /* the hostile build wakes the next wait but this one */
    assert_int_equal(ml_trace_open(&hub, ML_TRACE_SIZE), 0);
    spawn(&hub, &one, join_other, &two);
    spawn(&hub, &two, yield_once, NULL);
    assert_int_equal(run_all(&hub), 0);
    assert_string_equal(read_all(&r, hub.trace),
                        "spawn0 spawn1 run0 the end of task2 run1 ready0 run1 end1 wake0 by1 run0 "
                        "end0 ");
    assert_int_equal(r.at, hub.trace->last);
    ml_trace_close(&hub);
    assert_null(hub.observers);
    assert_null(hub.trace);
    close_hub(&hub);
}

static void sleep_a_little(struct c_task *self)
{
    assert_int_equal(ml_sleep_until(hub_of(self), in_ms(20)), 0);
}

static void test_the_time_that_passes_is_measured(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task one = {.number = 1};
    open_hub(&hub);
    assert_int_equal(ml_trace_open(&hub, 0), 0);
    spawn(&hub, &one, sleep_a_little, NULL);
    ml_time before = ml_clock_now();
    uint64_t ticks = ml_trace_now(hub.trace);
    assert_int_equal(run_all(&hub), 0);
    double span = (double)(ml_clock_now() - before);
    double measured = (double)(ml_trace_now(hub.trace) - ticks) * ml_trace_tick(hub.trace);
    assert_true(measured > span * 0.8 && measured < span * 1.2);
    ml_trace_close(&hub);
    close_hub(&hub);
}

static void yield_often(struct c_task *self)
{
    for (int i = 0; i < 10000; i++)
        assert_int_equal(ml_yield(hub_of(self)), 0);
}

static void test_only_the_last_records_are_kept(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task one = {.number = 1}, two = {.number = 2};
    open_hub(&hub);
    assert_int_equal(ml_trace_open(&hub, 1), 0);
    struct ml_trace *trace = hub.trace;
    assert_int_equal((trace->mask + 1) * sizeof(struct ml_trace_record), ML_TRACE_LEAST);
    spawn(&hub, &one, yield_often, NULL);
    spawn(&hub, &two, yield_often, NULL);
    assert_int_equal(run_all(&hub), 0);
    struct ml_trace_part part = ml_trace_find(trace, 0);
    uint64_t at = part.at;
    assert_true(trace->written > 20000);
    assert_int_equal(part.count, trace->mask + 1);
    assert_int_equal(part.first + part.count, trace->written);
    for (uint64_t i = part.first; i < trace->written; i++)
        at += ml_trace_at(trace, i)->delta;
    assert_int_equal(at, trace->last);
    ml_trace_close(&hub);
    close_hub(&hub);
}

/* An empty trace to which a test adds records. */
static struct ml_trace *open_trace(struct ml_hub *hub)
{
    open_hub(hub);
    assert_int_equal(ml_trace_open(hub, ML_TRACE_LEAST), 0);
    return hub->trace;
}

static void close_trace(struct ml_hub *hub)
{
    ml_trace_close(hub);
    close_hub(hub);
}

static void add(struct ml_trace *trace, enum ml_trace_event event, uint32_t task)
{
    struct ml_trace_record record = {.event = (uint8_t)event, .task = task};
    ml_trace_add(trace, record);
}

static void test_a_part_begins_where_it_is_asked_for(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct ml_trace *trace = open_trace(&hub);
    add(trace, ML_TRACE_RUN, 7);
    for (int i = 1; i < 10; i++)
        add(trace, ML_TRACE_MARK, 7);
    struct ml_trace_part part = ml_trace_find(trace, trace->last + 1);
    assert_int_equal(part.count, 0);
    assert_int_equal(part.at, trace->last);
    assert_int_equal(part.running, 7);
    uint64_t fifth = trace->last;
    for (uint64_t i = 9; i > 4; i--)
        fifth -= ml_trace_at(trace, i)->delta;
    part = ml_trace_find(trace, fifth);
    assert_true(part.first <= 4); /* records of the same tick come along */
    part = ml_trace_find(trace, fifth + 1);
    assert_int_equal(part.first, 5);
    assert_int_equal(part.at, fifth);
    assert_int_equal(ml_trace_find(trace, 0).running, ML_TRACE_NO_TASK);
    close_trace(&hub);
}

static void test_a_copy_has_the_last_records(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct ml_trace *trace = open_trace(&hub);
    struct ml_trace_record records[10];
    for (uint32_t i = 0; i < 1000; i++)
        add(trace, ML_TRACE_MARK, i);
    struct ml_trace_part part = ml_trace_copy(trace, 0, records, 10);
    assert_int_equal(part.count, 10);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(records[i].task, 990 + i);
        part.at += records[i].delta;
    }
    assert_int_equal(part.at, trace->last);
    close_trace(&hub);
}

static void test_long_pauses_and_a_clock_that_goes_back_are_told_apart(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct ml_trace *trace = open_trace(&hub);
    uint64_t long_ago = trace->last - ((uint64_t)5 << 32);
    trace->last = long_ago;
    add(trace, ML_TRACE_MARK, 0);
    assert_int_equal(trace->written, 2);
    assert_int_equal(ml_trace_at(trace, 0)->event, ML_TRACE_GAP);
    assert_true(trace->last - long_ago >= (uint64_t)5 << 32);
    assert_int_equal(ml_trace_find(trace, 0).first, 0);
    assert_int_equal(ml_trace_find(trace, 0).at, long_ago);

    uint64_t ahead = trace->last += (uint64_t)1 << 40;
    add(trace, ML_TRACE_MARK, 0);
    assert_int_equal(ml_trace_at(trace, 2)->delta, 0);
    assert_int_equal(trace->last, ahead);
    close_trace(&hub);
}

/* The text of the records from `number` on. */
static const char *text_at(const struct ml_trace *trace, uint64_t number, char *text)
{
    size_t length = 0;
    for (; number < trace->written; number++) {
        struct ml_trace_text piece;
        memcpy(&piece, ml_trace_at(trace, number), sizeof piece);
        assert_int_equal(piece.event, ML_TRACE_TEXT);
        size_t first = piece.size < 4 ? piece.size : 4;
        memcpy(text + length, piece.first, first);
        memcpy(text + length + first, piece.rest, piece.size - first);
        length += piece.size;
    }
    text[length] = '\0';
    return text;
}

static void test_text_fills_records_and_is_cut(void **state)
{
    (void)state;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    struct ml_hub hub;
    struct ml_trace *trace = open_trace(&hub);
    char text[64];
    for (size_t size = 0; size <= 26; size++) {
        for (size_t most = 0; most <= 26; most++) {
            uint64_t before = trace->written;
            size_t length = size < most ? size : most;
            ml_trace_add_text(trace, letters, size, most);
            assert_int_equal(trace->written - before, (length + 13) / 14);
            text_at(trace, before, text);
            assert_int_equal(strlen(text), length);
            assert_memory_equal(text, letters, length);
            assert_int_equal(ml_trace_find(trace, 0).at, trace->opened_ticks);
            assert_int_equal(ml_trace_find(trace, 0).count, 0);
        }
    }
    close_trace(&hub);
}

static void watch(struct c_task *self)
{
    static const struct ml_wait_kind kind = {.text = "an error", .external = true};
    struct ml_hub *hub = hub_of(self);
    int error = 0;
    while (error == 0 && hub->trace != NULL && hub->trace->errors == 0)
        error = ml_wait(hub, &kind, 0, &hub->trace->watchers, in_ms(10000));
    self->result = error;
}

static void fail_there(struct c_task *self)
{
    let_wait(self, self->data);
    ml_trace_tell(hub_of(self)->trace, ML_TRACE_ERROR, "it failed");
}

static void stop(struct c_task *self)
{
    let_wait(self, self->data);
    ml_trace_close(hub_of(self));
}

static void test_errors_wake_tasks_that_watch(void **state)
{
    (void)state;
    void (*const ends[])(struct c_task *) = {fail_there, stop};
    for (int i = 0; i < 2; i++) {
        struct ml_hub hub;
        struct c_task watcher = {.number = 1}, other = {.number = 2};
        open_hub(&hub);
        assert_int_equal(ml_trace_open(&hub, 0), 0);
        spawn(&hub, &watcher, watch, NULL);
        spawn(&hub, &other, ends[i], &watcher);
        assert_int_equal(run_all(&hub), 0);
        assert_int_equal(watcher.result, 0);
        ml_trace_close(&hub);
        ml_trace_close(&hub);
        close_hub(&hub);
    }
}

static void test_there_is_one_trace_and_memory_may_be_out(void **state)
{
    (void)state;
    struct ml_hub hub;
    open_hub(&hub);
    for (unsigned i = 1; i <= 2; i++) {
        fail_calls(FAIL_MEMORY, i, 1);
        assert_int_equal(ml_trace_open(&hub, 0), -ENOMEM);
        assert_int_equal(end_failing(), 1);
        assert_null(hub.trace);
        assert_null(hub.observers);
    }
    assert_int_equal(ml_trace_open(&hub, SIZE_MAX), 0);
    assert_int_equal((hub.trace->mask + 1) * sizeof(struct ml_trace_record), ML_TRACE_MOST);
    assert_int_equal(ml_trace_open(&hub, 0), -EBUSY);
    ml_trace_close(&hub);
    close_hub(&hub);
}

/* More kinds than there is room for, all at once: those that found none are "ready". */
static void wait_for_many_things(struct c_task *self)
{
    static struct ml_wait_kind kinds[ML_TRACE_KINDS + 10];
    for (int i = 0; i < ML_TRACE_KINDS + 10; i++) {
        kinds[i].text = "a thing";
        while (ml_wait(hub_of(self), &kinds[i], (uint32_t)i, NULL, in_ms(1)) == 0)
            ; /* woken for nothing */
    }
}

static void test_more_kinds_of_waits_than_have_numbers(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct c_task one = {.number = 1};
    open_hub(&hub);
    assert_int_equal(ml_trace_open(&hub, ML_TRACE_SIZE), 0);
    spawn(&hub, &one, wait_for_many_things, NULL);
    run_all(&hub);
    assert_null(hub.trace->kinds[0]);
    for (int i = 1; i < ML_TRACE_KINDS; i++)
        assert_non_null(hub.trace->kinds[i]);
    ml_trace_close(&hub);
    close_hub(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_happens_to_tasks_is_written_in_order),
        cmocka_unit_test(test_the_time_that_passes_is_measured),
        cmocka_unit_test(test_only_the_last_records_are_kept),
        cmocka_unit_test(test_a_part_begins_where_it_is_asked_for),
        cmocka_unit_test(test_a_copy_has_the_last_records),
        cmocka_unit_test(test_long_pauses_and_a_clock_that_goes_back_are_told_apart),
        cmocka_unit_test(test_text_fills_records_and_is_cut),
        cmocka_unit_test(test_errors_wake_tasks_that_watch),
        cmocka_unit_test(test_there_is_one_trace_and_memory_may_be_out),
        cmocka_unit_test(test_more_kinds_of_waits_than_have_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
