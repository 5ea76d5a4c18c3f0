/*
 * Where Lua looks at no hook, or a script's function runs on no thread of a task, a script that
 * nobody has read must not compute for ever either. An alarm ends the test that hangs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "moonlet.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 60 };

/* The one that an alarm interrupts. */
static struct moonlet *interrupted;

struct told {
    int count;
    bool has_limit; /* the limit was named */
};

static void note(void *context, const char *text)
{
    struct told *told = context;
    told->count++;
    told->has_limit |= strstr(text, "more than 100000 instructions") != NULL;
}

/* The status of the run; the runtime is closed. */
static int run(const char *source, struct told *told)
{
    struct moonlet_options options = {.ignore_environment = true,
                                      .without = MOONLET_UNTRUSTED,
                                      .instruction_limit = 100000,
                                      .report = note,
                                      .report_context = told};
    *told = (struct told){0};
    alarm(PATIENCE_SECONDS);
    struct moonlet *m = moonlet_create(&options);
    assert_non_null(m);
    assert_int_equal(moonlet_load_string(m, source, "=test"), 0);
    int status = moonlet_run(m);
    assert_int_equal(moonlet_close(m), 0);
    alarm(0);
    return status;
}

static void assert_each_meets_the_limit(const char *const *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct told told;
        assert_int_equal(run(sources[i], &told), 1);
        assert_true(told.has_limit);
    }
}

#define LOOP "function() while true do end end"

/* Lua calls the handler inside of the hook that ended the loop, and looks at no hook there. */
static void test_a_message_handler_is_ended(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "xpcall(" LOOP ", " LOOP ")",
        "while true do xpcall(" LOOP ", " LOOP ") end",
        "xpcall(error, " LOOP ", 'x')",
        "coroutine.wrap(function() xpcall(" LOOP ", " LOOP ") end)()",
    };
    assert_each_meets_the_limit(sources, sizeof sources / sizeof *sources);
}

/* They run on a state of the runtime's own. */
static void test_what_is_called_at_the_end_of_a_task_is_ended(void **state)
{
    (void)state;
    static const char *const functions[] = {
        LOOP,
        "function() while true do pcall(" LOOP ") end end",
        "function() while true do pcall(coroutine.wrap(" LOOP ")) end end",
        "function() local x <close> = setmetatable({}, {__close = " LOOP "}) while true do end end",
        /* More of them than the limit has looks. */
        "function() local function f(n) local x <close> = setmetatable({}, {__close = " LOOP "})\n"
        "if n > 0 then f(n - 1) end while true do end end f(700) end",
    };
    static const char *const callers[] = {
        "task.on_error(f) task.spawn(function() error 'x' end)",
        "task.spawn(function() end):on_exit(f)",
        "task.group({on_error = f}, function(g) g:spawn(function() error 'x' end) end)",
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        for (size_t k = 0; k < sizeof callers / sizeof *callers; k++) {
            char source[512];
            struct told told;
            snprintf(source, sizeof source, "local task, f = require 'moonlet.task', %s\n%s",
                     functions[i], callers[k]);
            assert_int_equal(run(source, &told), 1);
            assert_true(told.has_limit);
        }
}

/* It was closed on a stack that nobody could return to. */
static void test_a_task_that_computes_on_in_a_shield_is_dropped_with_its_variables(void **state)
{
    (void)state;
    struct told told;
    assert_int_equal(run("local task = require 'moonlet.task'\n"
                         "local meta = {__close = function() error('boom', 0) end}\n"
                         "task.shield(nil, function() while true do pcall(function()\n"
                         "local x <close> = setmetatable({}, meta) while true do end end) end end)",
                         &told),
                     1);
    assert_true(told.has_limit);
    assert_int_equal(told.count, 1);
}

/* Lua looks at no hook in a finalizer. */
static void test_there_are_no_finalizers(void **state)
{
    (void)state;
    struct told told;
    assert_int_equal(run("local meta = {__gc = " LOOP "}\n"
                         "local ok, message = pcall(setmetatable, {}, meta)\n"
                         "assert(not ok and message:find '__gc', message)\n"
                         "local late = {} setmetatable({}, late) late.__gc = " LOOP "\n"
                         "assert(getmetatable(require 'moonlet.sync'.mutex()) == false)\n"
                         "assert(getmetatable(require 'moonlet.greenlet'.current()) == false)\n"
                         "collectgarbage()",
                         &told),
                     0);
    assert_int_equal(told.count, 0);
}

static void test_what_was_replaced_works_as_before(void **state)
{
    (void)state;
    struct told told;
    assert_int_equal(
        run("local function check(...) assert(table.concat({...}, ' ') == '1 2', ...) return 'x', nil end\n"
            "local ok, x, y = xpcall(check, error, 1, 2) assert(ok and x == 'x' and y == nil)\n"
            "local ok, message = xpcall(error, function(m) return m .. '!' end, 'oh') assert(not ok and message == 'oh!')\n"
            "assert(not pcall(xpcall, print) and not pcall(xpcall, print, 1))\n"
            "local meta = {__index = {a = 1}} local t = setmetatable({}, meta)\n"
            "assert(t.a == 1 and getmetatable(t) == meta and getmetatable(setmetatable(t, nil)) == nil)\n"
            "assert(getmetatable('').__index == string and not pcall(getmetatable))\n"
            "assert(getmetatable(setmetatable({}, {__metatable = 'mine'})) == 'mine')\n"
            "assert(not pcall(setmetatable, {}) and not pcall(setmetatable, 1, {}))\n"
            "local task = require 'moonlet.task'\n"
            "assert(('ab'):rep(3, '-') == 'ab-ab-ab' and table.concat({1, 2, 3}, ' ', 2) == '2 3')\n"
            "local list = {1, 2, 3} table.insert(list, 2, 9) assert(table.remove(list, 1) == 1 and #list == 3)\n"
            "assert(select('#', table.unpack({1, nil, 3}, 1, 3)) == 3 and table.move({1, 2}, 1, 2, 2)[3] == 2)\n"
            "assert(select(3, task.timeout(0.001, xpcall, task.sleep, print, 1)) == 'EDEADLINE')",
            &told),
        0);
    assert_int_equal(told.count, 0);
}

/* A coroutine counts anew: scripts that did little in each of very many were never looked at. What
 * a closing variable computes in a coroutine, after the limit's own error had left a hook, was not
 * watched. Calls that do not wait, such as joining a task that has ended, began the count anew. */
static void test_the_count_is_the_tasks(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "local function chain(depth)\n"
        "  for i = 1, 900 do end\n"
        "  if depth > 0 then coroutine.wrap(chain)(depth - 1) end\n"
        "end\n"
        "while true do coroutine.wrap(chain)(100) end",
        "while true do local co = coroutine.create(function() coroutine.yield() end)\n"
        "coroutine.resume(co) coroutine.resume(co) end",
        "local greenlet = require 'moonlet.greenlet'\n"
        "while true do greenlet.new(function() for i = 1, 900 do end end):switch() end",
        "coroutine.wrap(function()\n"
        "  local x <close> = setmetatable({}, {__close = " LOOP "}) while true do end end)()",
        "local co = coroutine.create(function()\n"
        "  local x <close> = setmetatable({}, {__close = " LOOP "}) coroutine.yield() end)\n"
        "coroutine.resume(co) coroutine.close(co)",
        "local task = require 'moonlet.task' local t = task.spawn(function() end) task.yield()\n"
        "while true do t:join() end",
        "local task = require 'moonlet.task' task.current():cancel()\n"
        "while true do task.pcall(task.sleep, 1) end",
        "local task = require 'moonlet.task' while true do task.timeout(0, task.sleep, 1) end",
        "local channel = require 'moonlet.channel'.new(1) while true do channel:put(1) channel:get() end",
    };
    assert_each_meets_the_limit(sources, sizeof sources / sizeof *sources);
}

/* Lua looks at no hook while a C function repeats something as often as its arguments say. */
static void test_long_calls_are_charged_before_they_begin(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "string.rep('', math.maxinteger)",
        "while true do pcall(string.rep, '', 1e8) end",
        "table.move({}, 1, math.maxinteger - 1, 2)",
        "local t = setmetatable({}, {__len = function() return math.maxinteger - 1 end}) table.insert(t, 1, 1)",
        "local t = setmetatable({}, {__len = function() return math.maxinteger end}) table.remove(t, 1)",
        ("local t = setmetatable({}, {__index = setmetatable({}, {__index = string})}) t.x = 1\n"
         "while true do pcall(table.unpack, t, 1, 1e6) end"),
    };
    assert_each_meets_the_limit(sources, sizeof sources / sizeof *sources);
}

/* Where scripts have the debug library: their hooks neither replace the limit nor keep it from
 * looking. */
static void test_hooks_of_scripts_do_not_hide_the_limit(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "while true do debug.sethook(function() end, '', 1) debug.sethook() end",
        "debug.sethook(function() end, '', 1) while true do debug.gethook() end",
        "debug.sethook() while true do end",
        "pcall(debug.sethook, function() error('x', 0) end, '', 1) while true do pcall(error) end",
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct told told = {0};
        struct moonlet_options options = {.ignore_environment = true,
                                          .instruction_limit = 100000,
                                          .report = note,
                                          .report_context = &told};
        alarm(PATIENCE_SECONDS);
        struct moonlet *m = moonlet_create(&options);
        assert_int_equal(moonlet_load_string(m, sources[i], "=test"), 0);
        assert_int_equal(moonlet_run(m), 1);
        assert_int_equal(moonlet_close(m), 0);
        alarm(0);
        assert_int_equal(told.count, 1);
    }
}

/* Waits begin the count anew, wherever they are made. */
static void test_a_task_that_waits_may_go_on(void **state)
{
    (void)state;
    struct told told;
    assert_int_equal(
        run("local task = require 'moonlet.task'\n"
            "local function work() for i = 1, 40 do for j = 1, 10000 do end task.sleep(0) end end\n"
            "work() coroutine.wrap(work)() require 'moonlet.greenlet'.new(work):switch()\n"
            "for i = 1, 40 do for j = 1, 10000 do end task.yield() end",
            &told),
        0);
    assert_int_equal(told.count, 0);
}

/* The hook of an interrupt took the place of the limit's, which was gone from then on. */
static void on_alarm(int number)
{
    (void)number;
    moonlet_interrupt(interrupted, SIGINT);
}

static void test_an_interrupt_leaves_the_limit_in_force(void **state)
{
    (void)state;
    struct told told = {0};
    struct moonlet_options options = {.ignore_environment = true,
                                      .instruction_limit = 100000000,
                                      .report = note,
                                      .report_context = &told};
    interrupted = moonlet_create(&options);
    assert_non_null(interrupted);
    signal(SIGALRM, on_alarm);
    struct itimerval soon = {.it_value = {.tv_usec = 20000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    static const char source[] = "local ok, message = pcall(function() while true do end end)\n"
                                 "assert(message:find 'interrupted!', message)\n"
                                 "while true do pcall(function() while true do end end) end";
    assert_int_equal(moonlet_load_string(interrupted, source, "=test"), 0);
    assert_int_equal(moonlet_run(interrupted), 1);
    assert_int_equal(told.count, 1);
    moonlet_close(interrupted);
    signal(SIGALRM, SIG_DFL);
}

/* What is said of an error does not depend on the limit. */
static void keep_report(void *context, const char *text)
{
    strncat(context, text, 1000);
}

static void report_of(const char *source, unsigned long limit, char *text)
{
    struct moonlet_options options = {.ignore_environment = true,
                                      .instruction_limit = limit,
                                      .report = keep_report,
                                      .report_context = text};
    struct moonlet *m = moonlet_create(&options);
    assert_non_null(m);
    assert_int_equal(moonlet_load_string(m, source, "=test"), 0);
    moonlet_run(m);
    moonlet_close(m);
}

static void test_tracebacks_are_as_without_a_limit(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "local function inner() local x return 1 + x.y end\n local q = inner() print(q)",
        "local function inner() local x return 1 + x.y end\n"
        "require 'moonlet.task'.spawn({name = 't'}, function() local q = inner() return q end)",
        "require 'moonlet.task'.spawn(function() error({}) end)",
        "require 'moonlet.task'.spawn(function() local function f(n) return n == 0 and error 'deep' or 1 + f(n - 1) end f(12) end)",
        "local co = coroutine.create(function() local x <const> = nil; (function() x() end)() end)\n"
        "local _, e = coroutine.resume(co) error(debug.traceback(co, e), 0)",
        "coroutine.wrap(function() error(debug.traceback 'here', 0) end)()",
        "require 'moonlet.task'.spawn(coroutine.wrap(function() error 'x' end))",
        "local g = require 'moonlet.greenlet'.new(function() error 'x' end) local y = g:switch() print(y)",
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        char without[4096] = "", with[4096] = "";
        report_of(sources[i], 0, without);
        report_of(sources[i], 100000000, with);
        assert_string_equal(with, without);
    }
}

/* Without any limit, too, what computes on when it is closed is dropped: before, moonlet_close()
 * never returned. */
static void test_closing_ends_what_computes(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "local x <close> = setmetatable({}, {__close = " LOOP "}) task.sleep(1e9)",
        ("local g = coroutine.wrap(function() coroutine.yield() while true do end end) g()\n"
         "local x <close> = setmetatable({}, {__close = function() g() end}) task.sleep(1e9)"),
        "while true do task.pcall(task.sleep, 1e9) end",
    };
    struct moonlet *all[sizeof sources / sizeof *sources];
    struct told told = {0};
    alarm(PATIENCE_SECONDS);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        char source[512];
        struct moonlet_options options = {
            .ignore_environment = true, .report = note, .report_context = &told};
        snprintf(source, sizeof source, "local task = require 'moonlet.task' %s", sources[i]);
        all[i] = moonlet_create(&options);
        assert_int_equal(moonlet_load_string(all[i], source, "=test"), 0);
        assert_int_equal(moonlet_start(all[i]), 0);
        moonlet_step(all[i], 0, 0.01);
        assert_int_equal(moonlet_close(all[i]), 0);
        assert_int_equal(told.count, (int)i + 1);
    }
    alarm(0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_handler_is_ended),
        cmocka_unit_test(test_what_is_called_at_the_end_of_a_task_is_ended),
        cmocka_unit_test(test_a_task_that_computes_on_in_a_shield_is_dropped_with_its_variables),
        cmocka_unit_test(test_there_are_no_finalizers),
        cmocka_unit_test(test_what_was_replaced_works_as_before),
        cmocka_unit_test(test_the_count_is_the_tasks),
        cmocka_unit_test(test_long_calls_are_charged_before_they_begin),
        cmocka_unit_test(test_hooks_of_scripts_do_not_hide_the_limit),
        cmocka_unit_test(test_a_task_that_waits_may_go_on),
        cmocka_unit_test(test_an_interrupt_leaves_the_limit_in_force),
        cmocka_unit_test(test_tracebacks_are_as_without_a_limit),
        cmocka_unit_test(test_closing_ends_what_computes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
