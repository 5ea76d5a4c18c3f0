/*
 * What hosts do wrong, or at an odd moment: closing inside callbacks, joining oneself, spawning
 * from finalizers, a runtime inside a task of another, a process that is forked, a game that is
 * paused and closed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host_fixture.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- callbacks ---- */

struct closer {
    struct moonlet *m;
    int calls;
    int refused;
    double clock;
};

static void try_everything(struct closer *closer)
{
    closer->calls++;
    int results[] = {moonlet_close(closer->m), moonlet_step(closer->m, 0, 0),
                     moonlet_run(closer->m), moonlet_start(closer->m)};
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        closer->refused += results[i] == -MOONLET_EINTASK || results[i] == -MOONLET_ERUNNING;
}

static void close_in_report(void *context, const char *text)
{
    (void)text;
    try_everything(context);
}

static bool close_in_done(void *context)
{
    try_everything(context);
    return ((struct closer *)context)->calls < 0;
}

static double close_in_clock(void *context)
{
    struct closer *closer = context;
    if (closer->m != NULL)
        try_everything(closer);
    return closer->clock;
}

/* moonlet_close() reports tasks that do not end outside of any run: a close in there freed all
 * twice. */
static void test_callbacks_cannot_close_or_step(void **state)
{
    (void)state;
    struct closer closer = {0};
    struct moonlet_options options = {.report = close_in_report, .report_context = &closer};
    closer.m = moonlet_create(&options);
    assert_int_equal(run_string(closer.m, "error 'one'"), 1);
    start_string(closer.m, "local x <close> = setmetatable({}, {__close = function() "
                           "error 'two' end}) require 'moonlet.task'.sleep(100)");
    assert_int_equal(moonlet_run_until(closer.m, close_in_done, &closer, 0.02), -ETIMEDOUT);
    assert_int_equal(moonlet_close(closer.m), 0);
    assert_int_equal(closer.refused, 4 * closer.calls);
}

static void test_the_clock_cannot_close_or_step(void **state)
{
    (void)state;
    struct closer closer = {0};
    struct moonlet_options options = {.clock = close_in_clock, .clock_context = &closer};
    closer.m = moonlet_create(&options);
    assert_int_equal(moonlet_step(closer.m, 0, 0), 0);
    assert_int_equal(closer.calls, 1);
    assert_int_equal(closer.refused, 4);
    assert_int_equal(moonlet_close(closer.m), 0);
}

/* ---- tasks ---- */

static int join_itself(struct moonlet *m, void *argument)
{
    (void)m;
    return moonlet_join(*(struct moonlet_task **)argument, -1, NULL);
}

static void test_a_task_cannot_join_itself(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    struct moonlet_task *task;
    int result;
    assert_int_equal(moonlet_spawn(m, NULL, join_itself, &task, &task), 0);
    assert_int_equal(moonlet_run(m), 0);
    assert_int_equal(moonlet_join(task, 0, &result), 0);
    assert_int_equal(result, -EDEADLK);
    moonlet_release(task);
    moonlet_close(m);
}

static int count_up(struct moonlet *m, void *argument)
{
    (void)m;
    return ++*(int *)argument;
}

static int spawned;

/* Spawns a C function, and the Lua function `target` with the argument 20. */
static int l_spawn(lua_State *L)
{
    lua_settop(L, 0);
    assert_int_equal(moonlet_spawn(moonlet_of(L), "counter", count_up, &spawned, NULL), 0);
    lua_pushinteger(L, 10);
    lua_getglobal(L, "target");
    lua_pushinteger(L, 20);
    assert_int_equal(moonlet_spawn_lua(moonlet_of(L), L, 1, NULL), 0);
    assert_int_equal(lua_gettop(L), 1);
    assert_int_equal(lua_tointeger(L, 1), 10);
    return 0;
}

/* Functions of t:on_exit() run on the very Lua thread on which a spawn is prepared: the function
 * was called there and then, with two values too many, instead of being spawned. */
static void test_finalizers_and_exit_functions_spawn(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    spawned = 0;
    lua_register(moonlet_lua(m), "spawn", l_spawn);
    assert_int_equal(run_string(m, "local task = require 'moonlet.task'\n"
                                   "sum, calls = 0, 0\n"
                                   "function target(n, more) task.yield() calls = calls + 1\n"
                                   "  assert(more == nil) sum = sum + n end\n"
                                   "setmetatable({}, {__gc = spawn}) collectgarbage()\n"
                                   "task.spawn(function() end):on_exit(spawn)\n"
                                   "task.sleep(0.001)\n"
                                   "while calls < 2 do task.yield() end assert(sum == 40)"),
                     0);
    assert_int_equal(spawned, 2);
    moonlet_close(m);
}

static void test_a_function_of_another_runtime_is_refused(void **state)
{
    (void)state;
    struct moonlet *a = open_runtime((struct moonlet_options){0}),
                   *b = open_runtime((struct moonlet_options){0});
    lua_State *L = moonlet_lua(a);
    lua_getglobal(L, "print");
    assert_int_equal(moonlet_spawn_lua(b, L, 0, NULL), -EINVAL);
    lua_pop(L, 1);
    moonlet_close(a);
    moonlet_close(b);
}

static void *release_elsewhere(void *task)
{
    moonlet_release(task);
    return NULL;
}

static void test_another_thread_cannot_release_a_task(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    struct moonlet_task *task;
    pthread_t thread;
    spawned = 0;
    assert_int_equal(moonlet_spawn(m, NULL, count_up, &spawned, &task), 0);
    assert_int_equal(moonlet_run(m), 0);
    assert_int_equal(pthread_create(&thread, NULL, release_elsewhere, task), 0);
    pthread_join(thread, NULL);
    assert_int_equal(moonlet_join(task, 0, NULL), 0);
    moonlet_release(task);
    moonlet_close(m);
}

static int await_released(struct moonlet *m, void *argument)
{
    void *value = NULL;
    (void)m;
    assert_int_equal(moonlet_promise_await(argument, -1, &value), 0);
    return *(int *)value;
}

/* Whoever waits for a promise keeps it: its only owner may release it meanwhile. */
static void test_a_promise_is_released_while_a_task_waits_for_it(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    struct moonlet_promise *promise = moonlet_promise_new(m);
    struct moonlet_task *task;
    int value = 42, result = 0;
    assert_int_equal(moonlet_spawn(m, NULL, await_released, promise, &task), 0);
    assert_int_equal(moonlet_step(m, 0, 1), 1);
    assert_int_equal(moonlet_promise_keep(promise, &value), 0);
    moonlet_promise_release(promise);
    assert_int_equal(moonlet_run(m), 0);
    assert_int_equal(moonlet_join(task, 0, &result), 0);
    assert_int_equal(result, 42);
    moonlet_release(task);
    moonlet_close(m);
}

static int sleep_and_answer(struct moonlet *m, void *argument)
{
    return moonlet_sleep(m, *(double *)argument) == 0 ? 42 : 1;
}

static int join_for_ever(struct moonlet *m, void *argument)
{
    int result = 0, error = moonlet_join(argument, -1, &result);
    (void)m;
    return error == 0 ? result : error;
}

/* The last owner of a handle gave it back while another task joined through it, which then read
 * freed memory. */
static void test_a_task_is_released_while_another_joins_it(void **state)
{
    (void)state;
    for (int is_cancelled = 0; is_cancelled < 2; is_cancelled++) {
        struct moonlet *m = open_runtime((struct moonlet_options){0});
        struct moonlet_task *task, *joiners[2];
        double seconds = is_cancelled ? PATIENCE : 0.2; /* not over before the first step is */
        int result = 0;
        assert_int_equal(moonlet_spawn(m, NULL, sleep_and_answer, &seconds, &task), 0);
        for (int i = 0; i < 2; i++)
            assert_int_equal(moonlet_spawn(m, NULL, join_for_ever, task, &joiners[i]), 0);
        assert_int_equal(moonlet_step(m, 0, 1), 1);
        if (is_cancelled)
            moonlet_cancel(task);
        assert_int_equal(moonlet_release(task), 0);
        assert_int_equal(moonlet_run(m), 0);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(moonlet_join(joiners[i], 0, &result), 0);
            assert_int_equal(result, is_cancelled ? -ECANCELED : 42);
            moonlet_release(joiners[i]);
        }
        moonlet_close(m);
    }
}

/* ---- main chunks ---- */

/* A second main chunk took the pieces of the first from under its feet; and a task that came to lie
 * at the address of one that had ended took itself for the main chunk. */
static void test_a_main_chunk_is_started_once_at_a_time(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    start_string(m, "require 'moonlet.task'.sleep(0.001) first = true");
    assert_int_equal(moonlet_load_string(m, "assert(first) second = true", "=y"), 0);
    assert_int_equal(moonlet_start(m), -MOONLET_ERUNNING);
    assert_int_equal(moonlet_run(m), 0);
    assert_int_equal(run_string(m, "assert(second)"), 0);
    start_string(m, "assert(select(2, coroutine.running()))");
    while (moonlet_step(m, 1, 1) > 0)
        ;
    assert_int_equal(run_string(m, "assert(select(2, coroutine.running()))"), 0);
    moonlet_close(m);
}

/* A task that was spawned between two runs was cancelled before it began. */
static void test_tasks_spawned_between_two_runs_run(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    spawned = 0;
    assert_int_equal(run_string(m, "x = 1"), 0);
    assert_int_equal(moonlet_spawn(m, NULL, count_up, &spawned, NULL), 0);
    assert_int_equal(run_string(m, "x = 2"), 0);
    assert_int_equal(spawned, 1);
    assert_int_equal(moonlet_spawn(m, NULL, count_up, &spawned, NULL), 0);
    assert_int_equal(moonlet_step(m, 0, 1), 0);
    assert_int_equal(spawned, 2);
    moonlet_close(m);
}

static int misuse_null_in_task(struct moonlet *m, void *argument)
{
    struct moonlet_channel *c = argument;
    void *value = NULL;
    assert_int_equal(moonlet_sleep(moonlet_of(NULL), 1), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_wait_fd(m, 0, 0, 1), -EINVAL);
    assert_int_equal(moonlet_promise_await(NULL, 1, &value), -EINVAL);
    assert_int_equal(moonlet_channel_put(NULL, value, 1), -EINVAL);
    assert_int_equal(moonlet_channel_get(NULL, &value, 1), -EINVAL);
    assert_int_equal(moonlet_channel_get(c, NULL, 1), -EINVAL);
    assert_int_equal(moonlet_channel_put(c, &value, 0), 0);
    return moonlet_channel_get(c, &value, 0);
}

/* A library whose function failed hands on a NULL more often than not. */
static void test_null_is_an_error_where_a_pointer_must_be(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    struct moonlet_channel *c = moonlet_channel_new(m, 1);
    struct moonlet_task *task;
    assert_null(moonlet_of(NULL));
    assert_int_equal(moonlet_run(NULL), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_load_string(m, NULL, "="), -EINVAL);
    assert_int_equal(moonlet_load_buffer(m, NULL, 1, "="), -EINVAL);
    assert_int_equal(moonlet_load_library(m, NULL), -EINVAL);
    assert_int_equal(moonlet_run_until(m, NULL, NULL, 0), -EINVAL);
    assert_int_equal(moonlet_spawn(m, NULL, NULL, NULL, NULL), -EINVAL);
    assert_int_equal(moonlet_spawn_lua(m, NULL, 0, NULL), -EINVAL);
    assert_int_equal(moonlet_join(NULL, 0, NULL), -EINVAL);
    assert_int_equal(moonlet_cancel(NULL), -EINVAL);
    assert_int_equal(moonlet_release(NULL), 0);
    assert_int_equal(moonlet_promise_keep(NULL, NULL), -EINVAL);
    assert_null(moonlet_promise_retain(NULL));
    moonlet_promise_release(NULL);
    assert_int_equal(moonlet_channel_close(NULL), 0);
    assert_int_equal(moonlet_channel_free(NULL), 0);
    assert_int_equal(moonlet_spawn(m, NULL, misuse_null_in_task, c, &task), 0);
    assert_int_equal(moonlet_run(m), 0);
    int result = -1;
    assert_int_equal(moonlet_join(task, 0, &result), 0);
    assert_int_equal(result, 0);
    assert_string_equal(moonlet_error_text(-EINVAL), "Invalid argument");
    moonlet_release(task);
    moonlet_channel_free(c);
    moonlet_close(m);
}

static char word[] = "word";

static void test_arguments_of_a_closed_runtime_are_refused(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    char *words[] = {word, NULL};
    moonlet_close(m);
    assert_int_equal(moonlet_set_arguments(m, 1, words, 0), -MOONLET_ECLOSED);
}

/* ---- a runtime inside a task of another ---- */

static int step_the_outer(struct moonlet *inner, void *argument)
{
    struct moonlet *outer = argument;
    assert_int_equal(moonlet_step(outer, 0, 0), -MOONLET_ERUNNING);
    assert_int_equal(moonlet_close(outer), -MOONLET_ERUNNING);
    assert_int_equal(moonlet_sleep(outer, 1), -MOONLET_ENOTASK);
    assert_int_equal(moonlet_spawn(outer, NULL, count_up, &spawned, NULL), 0);
    return moonlet_sleep(inner, 0.001);
}

static int run_inner(struct moonlet *outer, void *argument)
{
    struct moonlet *inner = argument;
    assert_int_equal(moonlet_spawn(inner, NULL, step_the_outer, outer, NULL), 0);
    assert_int_equal(run_string(inner, "local task = require 'moonlet.task'\n"
                                       "for i = 1, 200 do task.spawn(task.sleep, 0.001) end"),
                     0);
    return moonlet_sleep(outer, 0.001);
}

static int run_inner_and_close(struct moonlet *outer, void *argument)
{
    struct moonlet *inner = open_runtime((struct moonlet_options){0});
    (void)argument;
    int result = run_inner(outer, inner);
    assert_int_equal(moonlet_close(inner), 0);
    return result;
}

static void test_a_runtime_runs_inside_a_task_of_another(void **state)
{
    (void)state;
    struct moonlet *outer = open_runtime((struct moonlet_options){0}),
                   *inner = open_runtime((struct moonlet_options){0});
    spawned = 0;
    assert_true(moonlet_fd(outer) >= 0);
    assert_int_equal(run_string(inner, "x = 1"), 0); /* on the thread's own stack first */
    assert_int_equal(moonlet_spawn(outer, NULL, run_inner, inner, NULL), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(moonlet_spawn(outer, NULL, run_inner_and_close, NULL, NULL), 0);
    assert_int_equal(moonlet_run(outer), 0);
    assert_int_equal(spawned, 6);
    assert_int_equal(run_string(inner, "assert(x == 1)"), 0);
    moonlet_close(inner);
    moonlet_close(outer);
}

/* ---- fork ---- */

/* 0: all is refused that would touch the parent's loop, and the runtime can be closed. */
static int live_as_child(struct moonlet *m)
{
    bool is_refused = moonlet_step(m, 0, 0) == -ECHILD && moonlet_run(m) == -ECHILD &&
                      moonlet_fd(m) == -ECHILD && moonlet_start(m) == -ECHILD;
    if (!is_refused || moonlet_close(m) != 0)
        return 1;
    struct moonlet *own = moonlet_create(NULL);
    if (own == NULL || moonlet_load_string(own, "require 'moonlet.task'.sleep(0.001)", "=x") != 0)
        return 2;
    int status = moonlet_run(own);
    return moonlet_close(own) == 0 ? status : 3;
}

/* A host that forks outside of any task: in the child, a step would have taken descriptors out of
 * the epoll that it shares with its parent. */
static void test_a_forked_process_leaves_the_runtimes_to_its_parent(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    start_string(
        m,
        "local task, net = require 'moonlet.task', require 'moonlet.net'\n"
        "local here, there = net.pair()\n"
        "task.spawn(function() for line in there:lines() do there:write(line, '\\n') end end)\n"
        "for i = 1, 10 do here:write(i, '\\n') assert(here:read() == tostring(i)) task.sleep(0.001) end\n"
        "here:close() done = true\n");
    assert_int_equal(moonlet_step(m, 0, 1), 1);
    pid_t child = fork();
    if (child == 0)
        _exit(live_as_child(m));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(moonlet_run(m), 0);
    assert_int_equal(run_string(m, "assert(done)"), 0);
    moonlet_close(m);
}

/* ---- options ---- */

static void is_refused(struct moonlet_options options)
{
    errno = 0;
    assert_null(moonlet_create(&options));
    assert_int_equal(errno, EINVAL);
}

static void test_options_out_of_their_range_are_refused(void **state)
{
    (void)state;
    is_refused((struct moonlet_options){.stacks = 65});
    is_refused((struct moonlet_options){.stack_size = MOONLET_LEAST_STACK - 1});
    is_refused((struct moonlet_options){.without = MOONLET_UNTRUSTED + 1});
    struct moonlet_options least = {.stacks = 1, .stack_size = MOONLET_LEAST_STACK};
    struct moonlet *m = moonlet_create(&least);
    assert_non_null(m);
    assert_int_equal(moonlet_close(m), 0);
}

/* ---- the host's clock ---- */

static double frozen(void *context)
{
    return *(double *)context;
}

/* A clock that stands still kept moonlet_close() busy for ever with a variable whose closing
 * sleeps. */
static void test_a_paused_game_can_be_closed(void **state)
{
    (void)state;
    double clock = 5, start = now();
    struct moonlet_options options = {.clock = frozen, .clock_context = &clock};
    struct moonlet *m = moonlet_create(&options);
    start_string(m, "local task = require 'moonlet.task'\n"
                    "local x <close> = setmetatable({}, {__close = function()\n"
                    "  task.shield(10, task.sleep, 0.02) end})\n"
                    "task.sleep(1000)");
    assert_int_equal(moonlet_step(m, 0, 1), 1);
    assert_int_equal(moonlet_close(m), 0);
    assert_true(now() - start < 4);
}

static double slow_motion(void *context)
{
    return (now() - *(double *)context) / 4;
}

static void test_a_program_runs_by_the_hosts_clock(void **state)
{
    (void)state;
    double begin = now();
    struct moonlet_options options = {.clock = slow_motion, .clock_context = &begin};
    struct moonlet *m = moonlet_create(&options);
    assert_int_equal(run_string(m, "require 'moonlet.task'.sleep(0.01)"), 0);
    assert_true(now() - begin >= 0.04 && now() - begin < 20);
    moonlet_close(m);
}

/* With a clock of the host's a step did not wait at all. */
static void test_a_step_waits_with_a_hosts_clock_too(void **state)
{
    (void)state;
    double clock = 5, start = now();
    struct moonlet_options options = {.clock = frozen, .clock_context = &clock};
    struct moonlet *m = moonlet_create(&options);
    start_string(m, "require 'moonlet.task'.sleep(1000)");
    assert_int_equal(moonlet_step(m, 0, 1), 1);
    assert_int_equal(moonlet_step(m, 0.02, 1), 1);
    assert_true(now() - start >= 0.02);
    moonlet_close(m);
}

/* ---- workers ---- */

static int can_read;

/* Whether a writer has come to the pipe. */
static int l_has_begun(lua_State *L)
{
    struct pollfd readable = {.fd = can_read, .events = POLLIN};
    lua_pushboolean(L, poll(&readable, 1, 0) == 1);
    return 1;
}

/* Closing the runtime unloaded the module that a worker was still in. */
static void test_a_module_stays_while_a_worker_is_in_it(void **state)
{
    (void)state;
    enum { SIZE = 1000000 }; /* more than a pipe holds */
    static char buffer[SIZE];
    int fds[2], threads = count_own("task");
    long got, sum = 0;
    double start = now();
    assert_int_equal(pipe(fds), 0);
    can_read = fds[0];
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    lua_register(moonlet_lua(m), "has_begun", l_has_begun);
    lua_pushinteger(moonlet_lua(m), fds[1]);
    lua_setglobal(moonlet_lua(m), "fd");
    assert_int_equal(
        run_string(
            m,
            "local task = require 'moonlet.task'\n"
            "package.cpath = os.getenv 'MOONLET_TESTS' .. '/?.so'\n"
            "task.spawn({daemon = true}, task.blocking, require 'libc'.write, fd, ('x'):rep(1000000))\n"
            "repeat task.yield() until has_begun()"),
        0);
    moonlet_close(m);
    while (sum < SIZE && (got = read(fds[0], buffer, SIZE)) > 0)
        sum += got;
    assert_int_equal(sum, SIZE);
    while (count_own("task") > threads)
        assert_true(now() - start < PATIENCE);
    close(fds[0]);
    close(fds[1]);
}

/* ---- life ---- */

static void test_many_lives(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct moonlet *m = open_runtime((struct moonlet_options){0});
        struct moonlet_promise *promise = moonlet_promise_new(m);
        struct moonlet_channel *channel = moonlet_channel_new(m, 3);
        struct moonlet_task *task;
        assert_int_equal(moonlet_spawn(m, NULL, count_up, &spawned, &task), 0);
        if (i % 2 == 0)
            assert_true(moonlet_fd(m) >= 0);
        if (i % 3 == 0)
            assert_int_equal(moonlet_run(m), 0);
        moonlet_close(m);
        moonlet_release(task);
        moonlet_promise_release(promise);
        moonlet_channel_free(channel);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_callbacks_cannot_close_or_step),
        cmocka_unit_test(test_the_clock_cannot_close_or_step),
        cmocka_unit_test(test_a_task_cannot_join_itself),
        cmocka_unit_test(test_finalizers_and_exit_functions_spawn),
        cmocka_unit_test(test_a_function_of_another_runtime_is_refused),
        cmocka_unit_test(test_another_thread_cannot_release_a_task),
        cmocka_unit_test(test_a_task_is_released_while_another_joins_it),
        cmocka_unit_test(test_a_promise_is_released_while_a_task_waits_for_it),
        cmocka_unit_test(test_a_main_chunk_is_started_once_at_a_time),
        cmocka_unit_test(test_tasks_spawned_between_two_runs_run),
        cmocka_unit_test(test_null_is_an_error_where_a_pointer_must_be),
        cmocka_unit_test(test_arguments_of_a_closed_runtime_are_refused),
        cmocka_unit_test(test_a_runtime_runs_inside_a_task_of_another),
        cmocka_unit_test(test_a_forked_process_leaves_the_runtimes_to_its_parent),
        cmocka_unit_test(test_options_out_of_their_range_are_refused),
        cmocka_unit_test(test_a_module_stays_while_a_worker_is_in_it),
        cmocka_unit_test(test_a_paused_game_can_be_closed),
        cmocka_unit_test(test_a_program_runs_by_the_hosts_clock),
        cmocka_unit_test(test_a_step_waits_with_a_hosts_clock_too),
        cmocka_unit_test(test_many_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
