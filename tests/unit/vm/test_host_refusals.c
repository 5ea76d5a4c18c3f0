/*
 * Every function of the public header, called at every wrong moment that it can tell: after the
 * runtime was closed, from another thread, by nobody who could wait, inside of a task, inside of a
 * callback. Each call is refused with the number that says why, and each number has a text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "moonlet.h"

#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

/* What the calls are made with. */
struct host {
    struct moonlet *m;
    struct lua_State *L;
    struct moonlet_task *task; /* it waits */
    struct moonlet_promise *promise;
    struct moonlet_channel *channel;
    struct ev_loop *loop;
    int refusal; /* what is expected */
    int calls;
};

static int sleep_long(struct moonlet *m, void *argument)
{
    (void)argument;
    return moonlet_sleep(m, 1000);
}

static int do_nothing(struct moonlet *m, void *argument)
{
    (void)m;
    (void)argument;
    return 0;
}

static bool is_done(void *context)
{
    (void)context;
    return true;
}

/* ---- the calls; each gives a negative error ---- */

static char word[] = "word";

static int set_arguments(struct host *h)
{
    char *words[] = {word, NULL};
    return moonlet_set_arguments(h->m, 1, words, 0);
}

static int load_string(struct host *h)
{
    return moonlet_load_string(h->m, "", "=x");
}

static int load_buffer(struct host *h)
{
    return moonlet_load_buffer(h->m, "", 0, "=x");
}

static int load_file(struct host *h)
{
    return moonlet_load_file(h->m, "x");
}

static int load_script(struct host *h)
{
    return moonlet_load_script(h->m, "x");
}

static int load_library(struct host *h)
{
    return moonlet_load_library(h->m, "x");
}

static int run(struct host *h)
{
    return moonlet_run(h->m);
}

static int start(struct host *h)
{
    return moonlet_start(h->m);
}

static int step(struct host *h)
{
    return moonlet_step(h->m, 0, 0);
}

static int run_until(struct host *h)
{
    return moonlet_run_until(h->m, is_done, NULL, 0);
}

static int fd(struct host *h)
{
    return moonlet_fd(h->m);
}

static int attach(struct host *h)
{
    return moonlet_attach(h->m, h->loop, 0);
}

/* It says no more than NULL. */
static int lua(struct host *h)
{
    return moonlet_lua(h->m) == NULL ? h->refusal : 0;
}

static int spawn(struct host *h)
{
    return moonlet_spawn(h->m, NULL, do_nothing, NULL, NULL);
}

static int spawn_lua(struct host *h)
{
    return moonlet_spawn_lua(h->m, h->L, 0, NULL);
}

static int join(struct host *h)
{
    return moonlet_join(h->task, 0, NULL);
}

static int cancel(struct host *h)
{
    return moonlet_cancel(h->task);
}

static int release(struct host *h)
{
    return moonlet_release(h->task);
}

static int sleep_a_little(struct host *h)
{
    return moonlet_sleep(h->m, 0.001);
}

static int yield(struct host *h)
{
    return moonlet_yield(h->m);
}

static int wait_fd(struct host *h)
{
    return moonlet_wait_fd(h->m, 0, MOONLET_READABLE, 0);
}

static int promise_new(struct host *h)
{
    return moonlet_promise_new(h->m) == NULL ? -errno : 0;
}

static int promise_await(struct host *h)
{
    return moonlet_promise_await(h->promise, 0, NULL);
}

static int channel_new(struct host *h)
{
    return moonlet_channel_new(h->m, 1) == NULL ? -errno : 0;
}

static int channel_put(struct host *h)
{
    return moonlet_channel_put(h->channel, h, 0);
}

static int channel_get(struct host *h)
{
    void *value;
    return moonlet_channel_get(h->channel, &value, 0);
}

static int channel_close(struct host *h)
{
    return moonlet_channel_close(h->channel);
}

static int channel_free(struct host *h)
{
    return moonlet_channel_free(h->channel);
}

static int close_runtime(struct host *h)
{
    return moonlet_close(h->m);
}

typedef int call(struct host *h);

#define RUNS run, start, step, run_until
#define WAITS sleep_a_little, yield, wait_fd, promise_await, channel_put, channel_get
#define OTHERS                                                                                     \
    set_arguments, load_string, load_buffer, load_file, load_script, load_library, fd, attach,     \
        lua, spawn, spawn_lua, join, cancel, promise_new, channel_new, channel_close

static void expect(struct host *h, call *const *calls, size_t count, int refusal)
{
    h->refusal = refusal;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(calls[i](h), refusal);
        h->calls++;
    }
    assert_true(strlen(moonlet_error_text(refusal)) > 0);
    assert_null(strstr(moonlet_error_text(refusal), "nknown"));
}

#define EXPECT(h, calls, refusal) expect(h, calls, sizeof(calls) / sizeof *(calls), refusal)

/* ---- the moments ---- */

static void open_host(struct host *h, struct moonlet_options options)
{
    options.ignore_environment = true;
    *h = (struct host){.m = moonlet_create(&options), .loop = ev_loop_new(EVFLAG_AUTO)};
    assert_non_null(h->m);
    h->L = moonlet_lua(h->m);
    h->promise = moonlet_promise_new(h->m);
    h->channel = moonlet_channel_new(h->m, 1);
    assert_int_equal(moonlet_spawn(h->m, NULL, sleep_long, NULL, &h->task), 0);
    assert_int_equal(moonlet_step(h->m, 0, 1), 1);
}

static void close_host(struct host *h)
{
    assert_int_equal(moonlet_close(h->m), 0);
    assert_int_equal(moonlet_release(h->task), 0);
    assert_int_equal(moonlet_channel_free(h->channel), 0);
    moonlet_promise_release(h->promise);
    ev_loop_destroy(h->loop);
}

/* ASan sees who looks at what was freed. */
static void test_a_closed_runtime_refuses_everything(void **state)
{
    (void)state;
    static call *const calls[] = {RUNS, WAITS, OTHERS, close_runtime};
    struct host h;
    open_host(&h, (struct moonlet_options){0});
    assert_int_equal(moonlet_close(h.m), 0);
    EXPECT(&h, calls, -MOONLET_ECLOSED);
    assert_false(moonlet_interrupt(h.m, SIGINT));
    assert_false(moonlet_is_interactive(h.m));
    assert_false(moonlet_exit_asked(h.m));
    assert_int_equal(moonlet_promise_keep(h.promise, NULL), 0);
    assert_int_equal(moonlet_release(h.task), 0);
    assert_int_equal(moonlet_channel_free(h.channel), 0);
    moonlet_promise_release(h.promise);
    ev_loop_destroy(h.loop);
}

static void *call_from_here(void *host)
{
    static call *const calls[] = {RUNS, WAITS, OTHERS, release, channel_free, close_runtime};
    EXPECT((struct host *)host, calls, -MOONLET_ETHREAD);
    return NULL;
}

static int put_and_get(struct moonlet *m, void *argument)
{
    struct host *h = argument;
    void *value = NULL;
    (void)m;
    assert_int_equal(moonlet_channel_put(h->channel, h, -1), 0);
    assert_int_equal(moonlet_channel_get(h->channel, &value, -1), 0);
    assert_ptr_equal(value, h);
    return 0;
}

/* A channel was freed under those who waited for it. */
static void test_another_thread_is_refused_everything(void **state)
{
    (void)state;
    struct host h;
    pthread_t thread;
    open_host(&h, (struct moonlet_options){0});
    assert_int_equal(pthread_create(&thread, NULL, call_from_here, &h), 0);
    pthread_join(thread, NULL);
    assert_true(h.calls > 25);
    struct moonlet_task *task;
    int result = -1;
    assert_int_equal(moonlet_spawn(h.m, NULL, put_and_get, &h, &task), 0);
    assert_int_equal(moonlet_step(h.m, 0, 1), 1);
    assert_int_equal(moonlet_join(task, 0, &result), 0);
    assert_int_equal(result, 0);
    moonlet_release(task);
    close_host(&h);
}

static void test_outside_of_tasks_nobody_waits(void **state)
{
    (void)state;
    static call *const calls[] = {WAITS, join};
    struct host h;
    open_host(&h, (struct moonlet_options){0});
    EXPECT(&h, calls, -MOONLET_ENOTASK);
    close_host(&h);
}

static int call_inside(struct moonlet *m, void *argument)
{
    static call *const calls[] = {RUNS, close_runtime};
    (void)m;
    EXPECT((struct host *)argument, calls, -MOONLET_EINTASK);
    return 0;
}

static void test_inside_of_a_task_nobody_runs_or_closes(void **state)
{
    (void)state;
    struct host h;
    open_host(&h, (struct moonlet_options){0});
    assert_int_equal(moonlet_spawn(h.m, NULL, call_inside, &h, NULL), 0);
    assert_int_equal(moonlet_step(h.m, 0, 1), 1);
    assert_int_equal(h.calls, 5);
    close_host(&h);
}

static bool call_in_question(void *host)
{
    static call *const calls[] = {RUNS, close_runtime};
    static call *const waits[] = {WAITS};
    EXPECT((struct host *)host, calls, -MOONLET_ERUNNING);
    EXPECT((struct host *)host, waits, -MOONLET_ENOTASK);
    return true;
}

static void test_inside_of_a_run_there_is_no_second_one(void **state)
{
    (void)state;
    struct host h;
    open_host(&h, (struct moonlet_options){0});
    assert_int_equal(moonlet_run_until(h.m, call_in_question, &h, 1), 1);
    assert_int_equal(h.calls, 11);
    close_host(&h);
}

static double call_in_clock(void *context)
{
    struct host *h = context;
    if (h->m != NULL)
        call_in_question(h);
    return 1;
}

/* The loop reads it on the thread's own stack, while no task runs. */
static void test_inside_of_the_clock_nobody_waits(void **state)
{
    (void)state;
    struct host h = {0};
    struct moonlet_options options = {.clock = call_in_clock, .clock_context = &h};
    h.m = moonlet_create(&options);
    h.promise = moonlet_promise_new(h.m);
    h.channel = moonlet_channel_new(h.m, 1);
    struct moonlet *m = h.m;
    assert_int_equal(moonlet_run(m), 0);
    assert_true(h.calls > 0);
    moonlet_promise_release(h.promise);
    h.m = NULL;
    assert_int_equal(moonlet_close(m), 0);
    assert_int_equal(moonlet_channel_free(h.channel), 0);
}

/* ---- channels ---- */

static int get_in_vain(struct moonlet *m, void *channel)
{
    void *value;
    (void)m;
    return moonlet_channel_get(channel, &value, -1);
}

static int put_in_vain(struct moonlet *m, void *channel)
{
    (void)m;
    int error = moonlet_channel_put(channel, m, -1);
    return error == 0 ? moonlet_channel_put(channel, m, -1) : error;
}

/* Whoever waited went on with the freed memory. */
static void test_a_channel_is_freed_while_tasks_wait_for_it(void **state)
{
    (void)state;
    moonlet_function *const functions[] = {get_in_vain, put_in_vain};
    for (int i = 0; i < 2; i++) {
        struct host h;
        struct moonlet_task *tasks[3];
        int result = 0;
        open_host(&h, (struct moonlet_options){0});
        struct moonlet_channel *channel = moonlet_channel_new(h.m, 1);
        for (int k = 0; k < 3; k++)
            assert_int_equal(moonlet_spawn(h.m, NULL, functions[i], channel, &tasks[k]), 0);
        assert_int_equal(moonlet_step(h.m, 0, 1), 1);
        assert_int_equal(moonlet_channel_free(channel), 0);
        assert_int_equal(moonlet_step(h.m, 0, 1), 1);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(moonlet_join(tasks[k], 0, &result), 0);
            assert_int_equal(result, -MOONLET_ECLOSED);
            moonlet_release(tasks[k]);
        }
        close_host(&h);
    }
}

/* A host that slept in poll() was not told that there was something to do. */
static void test_a_channel_that_the_host_closes_makes_the_descriptor_readable(void **state)
{
    (void)state;
    struct host h;
    open_host(&h, (struct moonlet_options){0});
    assert_int_equal(moonlet_spawn(h.m, NULL, get_in_vain, h.channel, NULL), 0);
    struct pollfd ready = {.fd = moonlet_fd(h.m), .events = POLLIN};
    assert_int_equal(moonlet_step(h.m, 0, 1), 1);
    assert_int_equal(poll(&ready, 1, 0), 0);
    assert_int_equal(moonlet_channel_close(h.channel), 0);
    assert_int_equal(poll(&ready, 1, 0), 1);
    close_host(&h);
}

/* More than one shelf of them. */
static void test_many_runtimes_are_open_at_once(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    struct moonlet *all[COUNT];
    for (int i = 0; i < COUNT; i++)
        assert_non_null(all[i] = moonlet_create(NULL));
    for (int i = 0; i < COUNT; i += 2)
        assert_int_equal(moonlet_close(all[i]), 0);
    for (int i = 1; i < COUNT; i += 2)
        assert_int_equal(moonlet_step(all[i], 0, 0), 0);
    for (int i = 1; i < COUNT; i += 2)
        assert_int_equal(moonlet_close(all[i]), 0);
    assert_int_equal(moonlet_step(all[1], 0, 0), -MOONLET_ECLOSED);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_closed_runtime_refuses_everything),
        cmocka_unit_test(test_another_thread_is_refused_everything),
        cmocka_unit_test(test_outside_of_tasks_nobody_waits),
        cmocka_unit_test(test_inside_of_a_task_nobody_runs_or_closes),
        cmocka_unit_test(test_inside_of_a_run_there_is_no_second_one),
        cmocka_unit_test(test_inside_of_the_clock_nobody_waits),
        cmocka_unit_test(test_a_channel_is_freed_while_tasks_wait_for_it),
        cmocka_unit_test(test_a_channel_that_the_host_closes_makes_the_descriptor_readable),
        cmocka_unit_test(test_many_runtimes_are_open_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
