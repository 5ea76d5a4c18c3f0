/*
 * The timer heap against a model: whatever is added, popped and swept, entries come out in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "random_sequence.h"

#include "hub/state/timers.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 200, STEPS = 400, MOST = 512 };

/* The model: entries in order of time. */
struct model {
    struct ml_timer_entry entries[MOST];
    unsigned count;
};

static uint64_t seed = 1;

static void model_add(struct model *model, struct ml_timer_entry entry)
{
    unsigned place = model->count++;
    for (; place > 0 && model->entries[place - 1].at > entry.at; place--)
        model->entries[place] = model->entries[place - 1];
    model->entries[place] = entry;
}

/* Takes out the entry with this slot, which must be among the earliest. */
static void model_take(struct model *model, struct ml_timer_entry entry)
{
    unsigned place = 0;
    while (place < model->count && model->entries[place].slot != entry.slot)
        place++;
    assert_true(place < model->count);
    assert_int_equal(model->entries[place].at, model->entries[0].at);
    assert_int_equal(model->entries[place].generation, entry.generation);
    memmove(&model->entries[place], &model->entries[place + 1],
            (--model->count - place) * sizeof *model->entries);
}

static void add(struct ml_timers *timers, struct model *model, uint32_t slot)
{
    struct ml_timer_entry entry = {.at = (ml_time)random_below(&seed, 200),
                                   .slot = slot,
                                   .generation = random_below(&seed, 1000)};
    assert_int_equal(ml_timers_add(timers, entry), 0);
    model_add(model, entry);
}

static void pop(struct ml_timers *timers, struct model *model)
{
    const struct ml_timer_entry *first = ml_timers_first(timers);
    assert_int_equal(first == NULL, model->count == 0);
    if (first == NULL)
        return;
    model_take(model, *first);
    ml_timers_pop(timers);
}

static bool is_kept(void *context, const struct ml_timer_entry *entry)
{
    return entry->generation % *(unsigned *)context != 0;
}

static void sweep(struct ml_timers *timers, struct model *model)
{
    unsigned divisor = 1 + random_below(&seed, 4);
    unsigned kept = 0;
    for (unsigned i = 0; i < model->count; i++)
        if (is_kept(&divisor, &model->entries[i]))
            model->entries[kept++] = model->entries[i];
    model->count = kept;
    timers->stale = 7;
    ml_timers_sweep(timers, is_kept, &divisor);
    assert_int_equal(timers->count, kept);
    assert_int_equal(timers->stale, 0);
}

static void test_entries_come_out_in_order_whatever_is_done_before(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct ml_timers timers = {0};
        struct model model = {.count = 0};
        for (uint32_t step = 0; step < STEPS; step++) {
            unsigned choice = random_below(&seed, 100);
            if (choice < 60)
                add(&timers, &model, step);
            else if (choice < 98)
                pop(&timers, &model);
            else
                sweep(&timers, &model);
            assert_int_equal(timers.count, model.count);
        }
        while (model.count > 0)
            pop(&timers, &model);
        assert_null(ml_timers_first(&timers));
        ml_timers_release(&timers);
    }
}

static void test_an_empty_heap_has_no_first_and_can_be_swept(void **state)
{
    (void)state;
    struct ml_timers timers = {0};
    unsigned divisor = 1;
    assert_null(ml_timers_first(&timers));
    ml_timers_sweep(&timers, is_kept, &divisor);
    assert_null(ml_timers_first(&timers));
    ml_timers_release(&timers);
    assert_int_equal(timers.capacity, 0);
}

static void test_a_hundred_thousand_entries_come_out_in_order(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    struct ml_timers timers = {0};
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(
            ml_timers_add(&timers,
                          (struct ml_timer_entry){.at = random_below(&seed, 1u << 30), .slot = i}),
            0);
    ml_time last = 0;
    for (int i = 0; i < COUNT; i++) {
        assert_true(ml_timers_first(&timers)->at >= last);
        last = ml_timers_first(&timers)->at;
        ml_timers_pop(&timers);
    }
    ml_timers_release(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_come_out_in_order_whatever_is_done_before),
        cmocka_unit_test(test_an_empty_heap_has_no_first_and_can_be_swept),
        cmocka_unit_test(test_a_hundred_thousand_entries_come_out_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
