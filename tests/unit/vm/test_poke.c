/*
 * Another thread has a runtime's thread do something where it computes: hooks, native backtraces,
 * and the watchdog that finds a task which keeps its thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host_fixture.h"
#include "thread_sanitizer.h"

#include "bindings/core/hooks.h"
#include "vm/moonlet_state.h"
#include "vm/native_stack.h"
#include "vm/poke.h"
#include "vm/watchdog.h"

#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct moonlet *runtime;
static atomic_int events, looks;
static atomic_bool is_over, is_blocked;
static pid_t blocked; /* the thread that blocks */

static void on_event(lua_State *L, lua_Debug *event)
{
    (void)event;
    events++;
    ml_hooks_unshare(&runtime->lua, ML_HOOK_INSPECT);
    ml_hooks_refresh(L);
}

static const struct ml_hook_kind inspect = {
    .events = LUA_MASKCOUNT, .count = 1, .on_event = on_event};

static int is_done(lua_State *L)
{
    lua_pushboolean(L, is_over);
    return 1;
}

/* Holds the thread in the kernel, where libc's poll() must not be interrupted. */
static int block(lua_State *L)
{
    blocked = gettid();
    is_blocked = true;
    lua_pushinteger(L, poll(NULL, 0, 300));
    is_over = true;
    return 1;
}

/* Computes in C alone. */
static int compute_in_c(lua_State *L)
{
    while (!is_over)
        lua_pushnil(L), lua_pop(L, 1);
    return 0;
}

static struct moonlet *open_watched(struct moonlet_options options)
{
    options.no_interpose = true;
    runtime = open_runtime(options);
    events = looks = 0;
    is_over = is_blocked = false;
    lua_State *L = moonlet_lua(runtime);
    lua_register(L, "is_done", is_done);
    lua_register(L, "block", block);
    lua_register(L, "compute_in_c", compute_in_c);
    ml_hooks_install(&runtime->lua, ML_HOOK_INSPECT, &inspect);
    return runtime;
}

static pthread_t begin(void *(*function)(void *argument))
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, function, NULL), 0);
    return thread;
}

/* ---- hooks ---- */

static void *poke_until_it_is_seen(void *argument)
{
    double end = now() + PATIENCE;
    while (events < 20 && now() < end) {
        int error = ml_poke(runtime, ML_HOOK_INSPECT);
        if (error != 0 && error != -EAGAIN)
            break;
    }
    is_over = true;
    return argument;
}

static void test_a_hook_runs_in_code_that_computes(void **state)
{
    (void)state;
    struct moonlet *m = open_watched((struct moonlet_options){0});
    assert_int_equal(ml_poke_open(m), 0);
    assert_int_equal(ml_poke_open(m), 0);
    pthread_t thread = begin(poke_until_it_is_seen);
    assert_int_equal(run_string(m, "local make = coroutine.wrap(function() "
                                   "while not is_done() do end end) make()"),
                     0);
    pthread_join(thread, NULL);
    assert_true(events >= 20);
    assert_int_equal(moonlet_close(m), 0);
}

/* Whether the thread that blocks does so, as the kernel says. */
static bool is_asleep(void)
{
    char path[64], text[256] = "", *end;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)blocked);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    bool has_text = fgets(text, sizeof text, file) != NULL;
    fclose(file);
    end = has_text ? strrchr(text, ')') : NULL;
    return end != NULL && end[1] == ' ' && end[2] == 'S';
}

/* On a loaded machine the thread may wait for a processor before it blocks. */
static void *poke_blocked(void *argument)
{
    int *errors = argument;
    while (!is_blocked || (!is_over && !is_asleep()))
        sched_yield();
    while (!is_over)
        errors[ml_poke(runtime, ML_HOOK_INSPECT) == -EAGAIN ? 0 : 1]++;
    return NULL;
}

static void test_a_thread_that_waits_in_the_kernel_gets_no_signal(void **state)
{
    (void)state;
    struct moonlet *m = open_watched((struct moonlet_options){0});
    int errors[2] = {0, 0};
    assert_int_equal(ml_poke_open(m), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, poke_blocked, errors), 0);
    assert_int_equal(run_string(m, "assert(block() == 0)"), 0);
    pthread_join(thread, NULL);
    assert_true(errors[0] > 10 && errors[1] <= 2);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_a_host_may_forbid_the_signal_or_choose_it(void **state)
{
    (void)state;
    struct moonlet *m = open_watched((struct moonlet_options){.poke_signal = -1});
    assert_int_equal(ml_poke_open(m), -ENOTSUP);
    assert_int_equal(moonlet_close(m), 0);
    m = open_watched((struct moonlet_options){.poke_signal = SIGUSR2});
    assert_int_equal(ml_poke_open(m), 0);
    assert_int_equal(m->poke.number, SIGUSR2);
    pthread_t thread = begin(poke_until_it_is_seen);
    assert_int_equal(run_string(m, "while not is_done() do end"), 0);
    pthread_join(thread, NULL);
    assert_true(events >= 20);
    assert_int_equal(moonlet_close(m), 0);
    struct sigaction action;
    assert_int_equal(sigaction(SIGUSR2, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
}

/* ---- native backtraces ---- */

static bool is_in_compute(const void *address)
{
    enum { LENGTH = 1024 };
    uintptr_t start = (uintptr_t)compute_in_c;
    return (uintptr_t)address >= start && (uintptr_t)address < start + LENGTH;
}

static void *find_function(void *argument)
{
    void *frames[ML_NATIVE_FRAMES];
    bool is_found = false;
    double end = now() + PATIENCE;
    while (!is_found && now() < end) {
        int count =
            ml_poke_backtrace(runtime, frames, ML_NATIVE_FRAMES, ml_clock_now() + ML_SECOND);
        for (int i = 0; i < count; i++)
            is_found |= is_in_compute(frames[i]);
    }
    is_over = true;
    return is_found ? argument : NULL;
}

static void test_a_backtrace_has_the_c_function_that_computes(void **state)
{
    if (is_under_thread_sanitizer())
        skip();
    struct moonlet *m = open_watched((struct moonlet_options){0});
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(ml_poke_open(m), 0);
    assert_int_equal(pthread_create(&thread, NULL, find_function, &is_over), 0);
    assert_int_equal(run_string(m, "compute_in_c()"), 0);
    pthread_join(thread, &result);
    assert_ptr_equal(result, &is_over);
    assert_int_equal(moonlet_close(m), 0);
    (void)state;
}

static void test_addresses_have_the_name_of_their_function(void **state)
{
    (void)state;
    char text[64];
    int local;
    assert_true(ml_native_stack_describe((const char *)l64a + 1, text, sizeof text));
    assert_memory_equal(text, "l64a (libc", 10);
    assert_true(ml_native_stack_describe((const char *)l64a, text, 4));
    assert_string_equal(text, "l64");
    assert_false(ml_native_stack_describe(&local, text, sizeof text));
    assert_memory_equal(text, "0x", 2);
}

/* ---- the watchdog ---- */

static void on_look(struct moonlet *m, struct ml_task *task)
{
    ml_time since, computed;
    if (!ml_watch_sees(m, &since, &computed) || task == NULL)
        return;
    looks++;
    is_over = looks >= 5;
}

static void test_the_watchdog_finds_a_task_that_keeps_the_thread(void **state)
{
    (void)state;
    struct moonlet *m = open_watched((struct moonlet_options){0});
    assert_int_equal(ml_poke_open(m), 0);
    m->poke.look = on_look;
    assert_int_equal(ml_watch(m, 10 * ML_MILLISECOND), 0);
    assert_int_equal(run_string(m, "while not is_done() do end"), 0);
    assert_true(looks >= 5);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_the_watchdog_leaves_tasks_alone_that_switch(void **state)
{
    (void)state;
    struct moonlet *m = open_watched((struct moonlet_options){0});
    assert_int_equal(ml_poke_open(m), 0);
    m->poke.look = on_look;
    assert_int_equal(ml_watch(m, ML_SECOND), 0);
    assert_int_equal(run_string(m, "local task = require 'moonlet'.task "
                                   "local end_at = os.clock() + 2 "
                                   "while os.clock() < end_at do task.yield() end"),
                     0);
    assert_int_equal(looks, 0);
    assert_int_equal(moonlet_close(m), 0);
}

/* The thread's own time of the processor: it must not go on while nothing runs. */
static void test_the_watchdog_sleeps_while_no_task_runs(void **state)
{
    (void)state;
    struct moonlet *m = open_watched((struct moonlet_options){0});
    assert_int_equal(ml_poke_open(m), 0);
    m->poke.look = on_look;
    assert_int_equal(ml_watch(m, ML_MILLISECOND), 0);
    start_string(m, "require 'moonlet'.task.sleep(0.2) while not is_done() do end");
    double end = now() + PATIENCE;
    while (!m->lua.hub.watch.is_asleep && now() < end)
        moonlet_step(m, 0.01, 1);
    assert_true(m->lua.hub.watch.is_asleep);
    int before = looks; /* on a busy machine the chunk has taken a while to come here */
    moonlet_step(m, 0.02, 1);
    assert_true(looks == before || !m->lua.hub.watch.is_asleep);
    moonlet_run(m);
    assert_true(looks >= 5);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_the_thread_ends_with_the_last_runtime(void **state)
{
    (void)state;
    int before = count_own("task");
    for (int i = 0; i < 20; i++) {
        struct moonlet *m = open_watched((struct moonlet_options){0});
        assert_int_equal(ml_poke_open(m), 0);
        m->poke.look = on_look;
        assert_int_equal(ml_watch(m, ML_MILLISECOND), 0);
        assert_int_equal(ml_watch(m, ML_SECOND), 0);
        assert_int_equal(run_string(m, "assert(1)"), 0);
        assert_int_equal(moonlet_close(m), 0);
    }
    assert_int_equal(count_own("task"), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hook_runs_in_code_that_computes),
        cmocka_unit_test(test_a_thread_that_waits_in_the_kernel_gets_no_signal),
        cmocka_unit_test(test_a_host_may_forbid_the_signal_or_choose_it),
        cmocka_unit_test(test_a_backtrace_has_the_c_function_that_computes),
        cmocka_unit_test(test_addresses_have_the_name_of_their_function),
        cmocka_unit_test(test_the_watchdog_finds_a_task_that_keeps_the_thread),
        cmocka_unit_test(test_the_watchdog_leaves_tasks_alone_that_switch),
        cmocka_unit_test(test_the_watchdog_sleeps_while_no_task_runs),
        cmocka_unit_test(test_the_thread_ends_with_the_last_runtime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
