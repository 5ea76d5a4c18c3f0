/*
 * Where Lua looks at no hook, or a script's function runs on no thread of a task, a script that nobody has read must not
 * compute for ever either. An alarm ends the test that hangs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "moonlet.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_SECONDS = 60 };

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
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct told told;
        assert_int_equal(run(sources[i], &told), 1);
        assert_true(told.has_limit);
    }
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
            "assert(select(3, task.timeout(0.001, xpcall, task.sleep, print, 1)) == 'EDEADLINE')",
            &told),
        0);
    assert_int_equal(told.count, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_handler_is_ended),
        cmocka_unit_test(test_what_is_called_at_the_end_of_a_task_is_ended),
        cmocka_unit_test(test_a_task_that_computes_on_in_a_shield_is_dropped_with_its_variables),
        cmocka_unit_test(test_there_are_no_finalizers),
        cmocka_unit_test(test_what_was_replaced_works_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
