/*
 * What other threads may do with a runtime while it runs: keep its promises, interrupt it, have
 * runtimes of their own, and take its allocator along. The tsan build looks on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host_fixture.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4 };

static pthread_t begin(void *(*function)(void *argument), void *argument)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, function, argument), 0);
    return thread;
}

static void end(pthread_t thread)
{
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- promises ---- */

enum { PROMISES = 200 };

static struct moonlet_promise *promises[PROMISES];

static void *keep_all(void *argument)
{
    (void)argument;
    for (int i = 0; i < PROMISES; i++) {
        moonlet_promise_keep(promises[i], &promises[i]);
        moonlet_promise_release(promises[i]);
    }
    return NULL;
}

static int await_all(struct moonlet *m, void *argument)
{
    (void)m;
    for (int i = 0; i < PROMISES; i++) {
        void *value = NULL;
        assert_int_equal(moonlet_promise_await(promises[i], -1, &value), 0);
        assert_ptr_equal(value, &promises[i]);
        if (argument != NULL)
            moonlet_promise_release(promises[i]);
    }
    return 0;
}

static void test_promises_are_kept_while_tasks_await_them(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        struct moonlet *m = open_runtime((struct moonlet_options){0});
        for (int i = 0; i < PROMISES; i++)
            promises[i] = moonlet_promise_retain(moonlet_promise_new(m));
        assert_int_equal(moonlet_spawn(m, NULL, await_all, promises, NULL), 0);
        pthread_t thread = begin(keep_all, NULL);
        assert_int_equal(moonlet_run(m), 0);
        assert_int_equal(moonlet_close(m), 0);
        end(thread);
    }
}

/* ---- interrupts ---- */

static void *interrupt(void *argument)
{
    while (!moonlet_interrupt(argument, SIGTERM))
        ;
    moonlet_is_interactive(argument);
    return NULL;
}

static int wait_for_the_interrupt(struct moonlet *m, void *argument)
{
    *(pthread_t *)argument = begin(interrupt, m);
    return moonlet_sleep(m, 1000);
}

static void test_another_thread_interrupts(void **state)
{
    (void)state;
    static pthread_t thread;
    for (int round = 0; round < 10; round++) {
        struct moonlet *m = open_runtime((struct moonlet_options){0});
        assert_int_equal(moonlet_spawn(m, NULL, wait_for_the_interrupt, &thread, NULL), 0);
        assert_int_equal(moonlet_run(m), 128 + SIGTERM);
        end(thread);
        assert_int_equal(moonlet_close(m), 0);
    }
}

/* ---- the allocator ---- */

static void fill(lua_State *L)
{
    luaL_openlibs(L);
    if (luaL_dostring(
            L,
            "local kept = {}\n"
            "for i = 1, 5000 do\n"
            "  kept[i % 500] = {i, tostring(i), ('x'):rep(i % 5000)}\n"
            "  if i % 500 == 0 then kept[i % 500] = coroutine.wrap(function() coroutine.yield(i) end) kept[i % 500]() end\n"
            "end"))
        abort();
}

/* Switches as long as they work. */
static int churn(struct moonlet *m, void *argument)
{
    const atomic_int *left = argument;
    while (atomic_load(left) > 0)
        if (moonlet_yield(m) != 0)
            return 1;
    return 0;
}

static atomic_int states_left;

static void *fill_and_tell(void *state)
{
    fill(state);
    atomic_fetch_sub(&states_left, 1);
    return NULL;
}

/* A library makes states for other threads with the allocator of the one that loaded it: on its own
 * thread, or on theirs, and whoever comes last closes them. */
static void use_allocator_elsewhere(struct moonlet_options options)
{
    struct moonlet *m = open_runtime(options);
    pthread_t threads[THREADS];
    lua_State *states[THREADS];
    void *context;
    lua_Alloc allocator = lua_getallocf(moonlet_lua(m), &context);
    states_left = THREADS;
    for (int i = 0; i < THREADS; i++) {
        states[i] = lua_newstate(allocator, context);
        assert_non_null(states[i]);
        threads[i] = begin(fill_and_tell, states[i]);
    }
    assert_int_equal(moonlet_spawn(m, NULL, churn, &states_left, NULL), 0);
    assert_int_equal(
        run_string(
            m,
            "local task = require 'moonlet.task'\n"
            "for round = 1, 20 do task.group(function(g) for i = 1, 100 do g:spawn(function()\n"
            "  local t = {} for k = 1, 50 do t[k] = {k, ('y'):rep(k * 7)} end task.yield() end) end end) end\n"),
        0);
    for (int i = 0; i < THREADS; i++)
        end(threads[i]);
    for (int i = 0; i < THREADS; i++)
        lua_close(states[i]);
    assert_int_equal(run_string(m, "collectgarbage() for i = 1, 1000 do local t = {i} end"), 0);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_the_allocator_is_safe_on_any_thread(void **state)
{
    (void)state;
    use_allocator_elsewhere((struct moonlet_options){0});
    use_allocator_elsewhere((struct moonlet_options){.memory_limit = 256 << 20});
}

struct exchange {
    lua_Alloc allocator;
    void *context;
    char *blocks[4096];
};

/* Blocks of other sizes take their places; what was in them stays. */
static void *resize_all(void *argument)
{
    struct exchange *x = argument;
    for (size_t i = 0; i < sizeof x->blocks / sizeof *x->blocks; i++) {
        size_t old = i + 1, size = i % 3 == 0 ? 0 : (i * 7919) % 4096 + 1;
        char *moved = x->allocator(x->context, x->blocks[i], old, size);
        if (moved != NULL && moved[0] != (char)i)
            abort();
        x->blocks[i] = moved;
    }
    return NULL;
}

static void *free_all(void *argument)
{
    struct exchange *x = argument;
    for (size_t i = 0; i < sizeof x->blocks / sizeof *x->blocks; i++)
        if (x->blocks[i] != NULL)
            x->allocator(x->context, x->blocks[i], (i * 7919) % 4096 + 1, 0);
    return NULL;
}

static void *obtain_all(void *argument)
{
    struct exchange *x = argument;
    for (size_t i = 0; i < sizeof x->blocks / sizeof *x->blocks; i++) {
        x->blocks[i] = x->allocator(x->context, NULL, 0, i + 1);
        memset(x->blocks[i], (int)i, i + 1);
    }
    return NULL;
}

/* Obtained, resized and freed on one of two threads each, in all ways. */
static void test_blocks_wander_between_threads(void **state)
{
    (void)state;
    static struct exchange x;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    x.allocator = lua_getallocf(moonlet_lua(m), &x.context);
    void *(*const steps[])(void *) = {obtain_all, resize_all, free_all};
    for (int way = 0; way < 8; way++)
        for (int step = 0; step < 3; step++)
            if ((way >> step & 1) != 0)
                end(begin(steps[step], &x));
            else
                steps[step](&x);
    assert_int_equal(run_string(m, "local t = {} for i = 1, 10000 do t[i] = {i} end"), 0);
    moonlet_close(m);
}

/* ---- runtimes ---- */

static void *run_one(void *argument)
{
    (void)argument;
    for (int i = 0; i < 5; i++) {
        struct moonlet *m = open_runtime((struct moonlet_options){0});
        assert_int_equal(run_string(m, "local task = require 'moonlet.task'\n"
                                       "task.all {function() task.sleep(0.001) end, task.yield}\n"
                                       "assert(#require 'moonlet.net'.resolve 'localhost' > 0)\n"),
                         0);
        assert_int_equal(moonlet_close(m), 0);
    }
    return NULL;
}

static void test_each_thread_has_a_runtime(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = begin(run_one, NULL);
    for (int i = 0; i < THREADS; i++)
        end(threads[i]);
}

/* ---- work for other threads ---- */

static void test_functions_run_on_worker_threads(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    assert_int_equal(
        run_string(
            m,
            "local task = require 'moonlet.task'\n"
            "for round = 1, 5 do\n"
            "  local calls = {}\n"
            "  for i = 1, 20 do calls[i] = i end\n"
            "  for i, v in ipairs(task.map(calls, function(i) return task.blocking(math.abs, -i) end)) do\n"
            "    assert(v == i) end\n"
            "  task.timeout(0, task.blocking, math.abs, 1)\n"
            "end\n"),
        0);
    moonlet_close(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_promises_are_kept_while_tasks_await_them),
        cmocka_unit_test(test_another_thread_interrupts),
        cmocka_unit_test(test_the_allocator_is_safe_on_any_thread),
        cmocka_unit_test(test_blocks_wander_between_threads),
        cmocka_unit_test(test_each_thread_has_a_runtime),
        cmocka_unit_test(test_functions_run_on_worker_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
