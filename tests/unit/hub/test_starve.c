/* Tasks that share a stack, and no memory to move the frames of one out of another's way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "hub/switch/switch.h"
#include "hub/wait/wait.h"

#include <errno.h>

enum { TASKS = 12, FRAME = 200 * 1024 };

static struct {
    int ended, starved, collected;
    bool has_memory;
} seen;

static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    (void)context, (void)old_size;
    if (size > 0)
        return seen.has_memory ? realloc(block, size) : NULL;
    free(block);
    return NULL;
}

static void sleep_deep(struct c_task *self)
{
    volatile char frame[FRAME];
    frame[0] = (char)self->number;
    frame[FRAME - 1] = (char)self->number;
    assert_int_equal(ml_sleep_until(hub_of(self), in_ms(20)), 0);
    assert_int_equal(frame[0], self->number);
    assert_int_equal(frame[FRAME - 1], self->number);
    seen.ended++;
}

static bool collect(struct ml_hub *hub)
{
    (void)hub;
    seen.collected++;
    return seen.has_memory;
}

static bool find_memory(struct ml_hub *hub)
{
    (void)hub;
    return seen.has_memory = true;
}

static void starve(struct ml_task *task)
{
    seen.starved++;
    ml_task_drop(task->hub, task);
}

/* How many of the tasks have ended; false: each has a stack of its own here. */
static bool run_tasks(bool (*collects)(struct ml_hub *hub))
{
    struct ml_hub hub;
    struct c_task tasks[TASKS];
    memset(&seen, 0, sizeof seen);
    open_hub(&hub);
    ml_pool_set_allocator(&pool, allocate, NULL);
    hub.bank.limit = 1;
    hub.hooks.collect = collects;
    hub.hooks.starve = starve;
    for (int i = 0; i < TASKS; i++) {
        tasks[i].number = i + 1;
        spawn(&hub, &tasks[i], sleep_deep, NULL);
    }
    assert_int_equal(run_all(&hub), 0);
    bool shares = !hub.bank.all_private;
    close_hub(&hub);
    return shares;
}

static void test_those_that_cannot_go_on_are_ended_and_the_others_do(void **state)
{
    (void)state;
    bool shares = run_tasks(collect);
    assert_int_equal(seen.ended + seen.starved, TASKS);
    assert_true(seen.ended > 1); /* the reserve has room for some */
    assert_int_equal(seen.starved > 0, shares);
    assert_int_equal(seen.collected, seen.starved);
}

static void test_nobody_is_ended_if_memory_is_found(void **state)
{
    (void)state;
    run_tasks(find_memory);
    assert_int_equal(seen.ended, TASKS);
    assert_int_equal(seen.starved, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_those_that_cannot_go_on_are_ended_and_the_others_do),
        cmocka_unit_test(test_nobody_is_ended_if_memory_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
