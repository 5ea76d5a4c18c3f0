/*
 * Ends of tasks without memory: whichever allocation fails while a task ends, is told, is abandoned
 * or is spawned, the runtime ends with a status and a message, and gives all back. Lua tries each
 * allocation twice: both tries fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "moonlet.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 120, TRIES = 2 };

static struct {
    bool is_armed;       /* the script called arm(): allocations count */
    bool fails_on;       /* all of them fail from the chosen one on, until something is told */
    unsigned long calls; /* since then */
    unsigned long chosen;
    long blocks;
    int reports;
} heap;

static bool fails(void)
{
    heap.calls += heap.is_armed;
    bool is_chosen =
        heap.calls >= heap.chosen && (heap.fails_on || heap.calls < heap.chosen + TRIES);
    return heap.is_armed && is_chosen;
}

static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    (void)context;
    if (size > old_size && fails())
        return NULL;
    heap.blocks += (block == NULL && size > 0) - (block != NULL && size == 0);
    if (size > 0)
        return realloc(block, size);
    free(block);
    return NULL;
}

static void report(void *context, const char *text)
{
    (void)context;
    assert_true(strlen(text) > 0);
    heap.is_armed = heap.is_armed && !heap.fails_on;
    heap.reports++;
}

static int arm(lua_State *L)
{
    (void)L;
    heap.is_armed = true;
    return 0;
}

/* Returns the status of a run in which that allocation fails. */
static int run(const char *source, unsigned long chosen, bool fails_on)
{
    memset(&heap, 0, sizeof heap);
    heap.chosen = chosen;
    heap.fails_on = fails_on;
    struct moonlet_options options = {
        .ignore_environment = true, .allocator = allocate, .report = report};
    struct moonlet *m = moonlet_create(&options);
    assert_non_null(m);
    lua_register(moonlet_lua(m), "arm", arm);
    assert_int_equal(moonlet_load_string(m, source, "=test"), 0);
    int status = moonlet_run(m);
    heap.is_armed = false;
    assert_int_equal(moonlet_close(m), 0);
    assert_int_equal(heap.blocks, 0);
    return status;
}

/* `expected`: the status when nothing fails; with a failure it may be 1, which is told. */
static void sweep(const char *source, int expected, bool fails_on)
{
    unsigned long chosen = 0;
    alarm(PATIENCE_SECONDS);
    do {
        int status = run(source, ++chosen, fails_on);
        if (status != expected && (status != EXIT_FAILURE || heap.reports == 0))
            fail_msg("%s\nallocation %lu: status %d, %d reports", source, chosen, status,
                     heap.reports);
    } while (heap.calls >= chosen);
    alarm(0);
}

static void sweep_both(const char *source, int expected)
{
    sweep(source, expected, false);
    sweep(source, expected, true);
}

static const char *const errors[] = {
    "'text'",
    "7",
    "0.1 + 7",
    "{}",
    "nil",
    "true",
    "print",
    "coroutine.create(print)",
    "io.stdout",
    "setmetatable({}, {__tostring = function() return 'told' .. #arg end})",
    "setmetatable({}, {__tostring = function() error(1) end})",
    "setmetatable({}, {__name = 'odd', __tostring = function() return 7 end})",
};

static void test_errors_of_every_type_are_told(void **state)
{
    (void)state;
    static const char *const ends[] = {
        "task.spawn(function() arm() error(e, 0) end)",
        "task.spawn(function() end):on_exit(function() arm() error(e, 0) end)",
        "task.on_error(function() arm() error(e, 0) end) task.spawn(error, 'x', 0)",
        "task.spawn(pcall, task.group, {on_error = function() arm() error(e, 0) end},"
        "  function(g) g:spawn(error, 'x') end)",
        "task.spawn(function() local c <close> = setmetatable({}, {__close = function() arm() error(e, 0) end}) "
        "end)",
    };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
            char source[512];
            snprintf(source, sizeof source,
                     "arg = {} local task = require 'moonlet.task' local e = %s\n%s", errors[i],
                     ends[k]);
            sweep_both(source, EXIT_FAILURE);
        }
}

static void sweep_each(const char *const *sources, size_t count, int expected)
{
    for (size_t i = 0; i < count; i++) {
        char source[768];
        snprintf(source, sizeof source, "local task = require 'moonlet.task'\n%s", sources[i]);
        sweep_both(source, expected);
    }
}

#define CLOSER "setmetatable({}, {__close = function() closed = (closed or 0) + 1 end})"

static void test_tasks_are_abandoned(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "local x <close> = " CLOSER " arm() os.exit(3, true)",
        "local x <close> = " CLOSER " coroutine.wrap(function() local y <close> = " CLOSER
        " arm() os.exit(3, true) end)()",
        "require 'moonlet.greenlet'.new(function() local y <close> = " CLOSER
        " coroutine.wrap(function() arm() os.exit(3, true) end)() end):switch()",
        "local x <close> = setmetatable({}, {__close = function() os.exit(3, true) end})\n"
        "local z <close> = " CLOSER " arm() os.exit(4, true)",
        "local t = {} for i = 1, 3 do t[i] = task.spawn(function() local x <close> = setmetatable({}, {__close = "
        "function() task.shield(1, task.sleep, 0.001 * i) end}) task.pcall(task.sleep, 60) os.exit(3, true) end) end\n"
        "task.yield() arm() for i = 1, 3 do t[i]:cancel() end task.sleep(60)",
    };
    sweep_each(sources, sizeof sources / sizeof *sources, 3);
}

static void test_tasks_are_spawned_and_joined(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "arm() for i = 1, 40 do task.spawn(function() task.yield() return i, i end) end",
        "local t = task.spawn(function() task.yield() arm() return 1, 2, 3 end) t:join()",
        "arm() task.group(function(g) for i = 1, 5 do g:spawn(task.yield) end end)",
        "local g = require 'moonlet.greenlet' local a = g.new(function() g.current().parent:switch() end)\n"
        "a:switch() a = nil arm() collectgarbage()",
        "local g = require 'moonlet.greenlet' g.settrace(function() end)\n"
        "local a = g.new(function() return 1 end) arm() a:switch()",
    };
    sweep_each(sources, sizeof sources / sizeof *sources, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_of_every_type_are_told),
        cmocka_unit_test(test_tasks_are_abandoned),
        cmocka_unit_test(test_tasks_are_spawned_and_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
