/*
 * A host calls functions of its scripts and gets their results, in tasks and outside of them, ends
 * all tasks of a runtime that goes on, and learns the exit status of a program that it steps.
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
#include <string.h>

static int reports;

static void count_report(void *context, const char *text)
{
    (void)context, (void)text;
    reports++;
}

/* A runtime in which `source` has run. */
static struct moonlet *open_with(const char *source)
{
    struct moonlet *m = open_runtime((struct moonlet_options){.report = count_report});
    reports = 0;
    assert_int_equal(run_string(m, source), 0);
    return m;
}

static const char functions[] =
    "local task = require 'moonlet.task'\n"
    "function add(a, b) task.sleep(0.001) return a + b, 'sum', nil end\n"
    "function nothing() end\n"
    "function many(n) return table.unpack({}, 1, n) end\n"
    "function fail(e) error(e, 0) end\n"
    "function wait(s) local x <close> = setmetatable({}, {__close = function() closed = true end}) task.sleep(s) end\n"
    "function stuck() require 'moonlet.channel'.new(1):get() end\n"
    "function give_up() task.current():cancel() task.sleep(1) end\n"
    "game = {on = {hit = function(...) return select('#', ...) end}, level = 3}\n"
    "trap = setmetatable({}, {__index = function() looked = true end})\n";

/* ---- outside of tasks ---- */

static void test_results_are_pushed_as_wanted(void **state)
{
    (void)state;
    struct moonlet *m = open_with(functions);
    lua_State *L = moonlet_lua(m);
    for (int wanted = -1; wanted < 6; wanted++) {
        lua_pushliteral(L, "below");
        lua_pushinteger(L, 3);
        lua_pushinteger(L, 4);
        int count = wanted < 0 ? 3 : wanted;
        assert_int_equal(moonlet_call(m, L, "add", 2, wanted, PATIENCE), count);
        assert_int_equal(lua_gettop(L), 1 + count);
        if (count > 0)
            assert_int_equal(lua_tointeger(L, 2), 7);
        if (count > 1)
            assert_string_equal(lua_tostring(L, 3), "sum");
        for (int i = 2; i < count; i++)
            assert_true(lua_isnil(L, 2 + i));
        lua_settop(L, 0);
    }
    assert_int_equal(moonlet_call(m, L, "nothing", 0, -1, -1), 0);
    assert_int_equal(moonlet_call(m, L, "nothing", 0, 1, -1), 1);
    assert_true(lua_isnil(L, 1));
    lua_settop(L, 0);
    lua_pushinteger(L, 200000);
    assert_int_equal(moonlet_call(m, L, "many", 1, -1, PATIENCE), 200000);
    lua_settop(L, 0);
    moonlet_close(m);
}

static void test_functions_are_found_by_path_and_reference(void **state)
{
    (void)state;
    struct moonlet *m = open_with(functions);
    lua_State *L = moonlet_lua(m);
    lua_pushnil(L);
    lua_pushnil(L);
    assert_int_equal(moonlet_call(m, L, "game.on.hit", 2, 1, PATIENCE), 1);
    assert_int_equal(lua_tointeger(L, -1), 2);
    lua_settop(L, 0);
    lua_getglobal(L, "nothing");
    int reference = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
    assert_int_equal(moonlet_call(m, L, NULL, 0, -1, PATIENCE), 0);
    const char *const missing[] = {"absent", "game.off.hit", "game.level.x", "",
                                   ".",      "game.",        "trap.x"};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        lua_pushinteger(L, 1);
        assert_int_equal(moonlet_call(m, L, missing[i], 1, 0, PATIENCE), -ENOENT);
        assert_int_equal(lua_gettop(L), 0);
    }
    lua_getglobal(L, "looked");
    assert_true(lua_isnil(L, -1)); /* no code of the script's ran */
    lua_settop(L, 0);
    moonlet_close(m);
}

/* Nothing is reported: the caller has the error. */
static void test_an_error_is_handed_over(void **state)
{
    (void)state;
    struct moonlet *m = open_with(functions);
    lua_State *L = moonlet_lua(m);
    lua_pushliteral(L, "no luck");
    assert_int_equal(moonlet_call(m, L, "fail", 1, 5, PATIENCE), -MOONLET_EFAILED);
    assert_int_equal(lua_gettop(L), 1);
    assert_string_equal(lua_tostring(L, 1), "no luck");
    lua_settop(L, 0);
    lua_newtable(L);
    const void *table = lua_topointer(L, 1);
    assert_int_equal(moonlet_call(m, L, "fail", 1, 0, PATIENCE), -MOONLET_EFAILED);
    assert_ptr_equal(lua_topointer(L, 1), table);
    lua_settop(L, 0);
    assert_int_equal(moonlet_call(m, L, "game.level", 0, 0, PATIENCE), -MOONLET_EFAILED);
    assert_non_null(strstr(lua_tostring(L, 1), "attempt to call a number value"));
    lua_settop(L, 0);
    assert_int_equal(reports, 0);
    assert_int_equal(moonlet_exit_status(m), 0);
    moonlet_close(m);
}

static void test_a_call_is_cut_short_by_its_limit(void **state)
{
    (void)state;
    struct moonlet *m = open_with(functions);
    lua_State *L = moonlet_lua(m);
    double begun = now();
    for (int i = 0; i < 2; i++) {
        lua_pushnumber(L, 1000);
        assert_int_equal(moonlet_call(m, L, "wait", 1, 1, i == 0 ? 0.01 : 0), -ETIMEDOUT);
        assert_int_equal(lua_gettop(L), 0);
    }
    assert_true(now() - begun < PATIENCE);
    assert_int_equal(moonlet_run(m), 0); /* it unwinds */
    lua_getglobal(L, "closed");
    assert_true(lua_toboolean(L, 1));
    lua_settop(L, 0);
    assert_int_equal(moonlet_call(m, L, "stuck", 0, 0, -1), -EDEADLK);
    assert_int_equal(moonlet_call(m, L, "give_up", 0, 0, -1), -ECANCELED);
    assert_int_equal(moonlet_run(m), 0);
    assert_int_equal(reports, 0);
    moonlet_close(m);
}

static void test_wrong_calls_are_errors(void **state)
{
    (void)state;
    struct moonlet *m = open_with(functions), *other = open_with(functions);
    lua_State *L = moonlet_lua(m);
    lua_pushinteger(L, 1);
    assert_int_equal(moonlet_call(NULL, L, "add", 0, 0, 1), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_call(m, NULL, "add", 0, 0, 1), -EINVAL);
    assert_int_equal(moonlet_call(m, moonlet_lua(other), "add", 0, 0, 1), -EINVAL);
    assert_int_equal(moonlet_call(m, L, "add", 2, 0, 1), -EINVAL);
    assert_int_equal(moonlet_call(m, L, NULL, 1, 0, 1), -EINVAL);
    assert_int_equal(moonlet_call(m, L, "add", -1, 0, 1), -EINVAL);
    assert_int_equal(lua_gettop(L), 1);
    lua_settop(L, 0);
    moonlet_close(other);
    moonlet_close(m);
}

/* ---- in tasks ---- */

/* call(name, ...) for scripts: with a limit of 0.05 s; what it gives, or an error's sentence. */
static int call(lua_State *L)
{
    struct moonlet *m = moonlet_of(L);
    int count = lua_gettop(L) - 1;
    int result = moonlet_call(m, L, luaL_checkstring(L, 1), count, -1, 0.05);
    if (result >= 0)
        return result;
    if (result != -MOONLET_EFAILED)
        lua_pushstring(L, moonlet_error_text(result));
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

static void test_a_task_calls_and_only_it_waits(void **state)
{
    (void)state;
    struct moonlet *m = open_with(functions);
    lua_register(moonlet_lua(m), "call", call);
    assert_int_equal(
        run_string(
            m,
            "local task = require 'moonlet.task'\n"
            "local ticks = 0\n"
            "task.spawn({daemon = true}, function() while true do task.sleep(0.001) ticks = ticks + 1 end end)\n"
            "assert(call('add', 2, 3) == 5)\n"
            "assert(select(2, call('fail', 'oh')) == 'oh')\n"
            "assert(select(2, call('wait', 1000)) == 'timeout' and ticks > 0)\n"
            "assert(select(2, call('give_up')) == 'cancelled')\n"
            "closed = false\n"
            "local t = task.spawn(function() call('wait', 0.04) outlived = true end)\n"
            "task.yield() t:cancel()\n"
            "assert(select(3, t:join()) == 'ECANCELED')\n"
            "while not closed do task.sleep(0.001) end\n"
            "assert(not outlived)\n"
            "local ok, message = pcall(task.no_switch, function() return select(2, call('nothing')) end)\n"
            "assert(ok and message:find 'wait', message)\n"),
        0);
    assert_int_equal(reports, 0);
    moonlet_close(m);
}

/* ---- all tasks ---- */

static const char busy[] =
    "local task = require 'moonlet.task'\n"
    "ended = 0\n"
    "local function sleep() local x <close> = setmetatable({}, {__close = function() ended = ended + 1 end})\n"
    "  task.sleep(1000) end\n"
    "for i = 1, 3 do task.spawn({daemon = i == 2}, sleep) end\n"
    "sleep()\n";

static void assert_ended(struct moonlet *m, int count)
{
    lua_State *L = moonlet_lua(m);
    lua_getglobal(L, "ended");
    assert_int_equal(lua_tointeger(L, -1), count);
    lua_pop(L, 1);
}

static void test_all_tasks_are_cancelled_and_the_runtime_goes_on(void **state)
{
    (void)state;
    struct moonlet *m = open_with(functions);
    for (int round = 0; round < 2; round++) {
        start_string(m, busy);
        assert_int_equal(moonlet_step(m, 0, 1), 1);
        assert_int_equal(moonlet_cancel_all(m, round == 0 ? PATIENCE : -1), 0);
        assert_ended(m, 4);
        assert_int_equal(moonlet_exit_status(m), 0);
    }
    start_string(m, busy);
    assert_int_equal(moonlet_step(m, 0, 1), 1);
    assert_int_equal(moonlet_cancel_all(m, 0), 4);
    assert_ended(m, 0);
    assert_int_equal(moonlet_run(m), 0);
    assert_ended(m, 4);
    assert_int_equal(moonlet_cancel_all(m, PATIENCE), 0);
    moonlet_close(m);
}

/* The limit holds; what is left ends later. */
static void test_a_shielded_task_is_left(void **state)
{
    (void)state;
    struct moonlet *m = open_with("");
    start_string(
        m,
        "local task = require 'moonlet.task' task.shield(nil, function() while not done do task.sleep(0.001) end end)");
    assert_int_equal(moonlet_step(m, 0, 1), 1);
    assert_int_equal(moonlet_cancel_all(m, 0.02), 1);
    lua_pushboolean(moonlet_lua(m), 1);
    lua_setglobal(moonlet_lua(m), "done");
    assert_int_equal(moonlet_cancel_all(m, PATIENCE), 0);
    start_string(m, "local c = require 'moonlet.channel'.new(1)\n"
                    "require 'moonlet.task'.shield(nil, function() c:get() end)");
    assert_int_equal(moonlet_step(m, 0, 1), 1);
    assert_int_equal(moonlet_cancel_all(m, -1), 1); /* nothing can ever wake it */
    moonlet_close(m);
}

static int cancel_from_inside(struct moonlet *m, void *argument)
{
    (void)argument;
    assert_int_equal(moonlet_cancel_all(m, 1), -MOONLET_EINTASK);
    assert_int_equal(moonlet_cancel_all(m, 0), 2);
    return moonlet_sleep(m, 1000);
}

static void test_a_task_cancels_all_and_itself(void **state)
{
    (void)state;
    struct moonlet *m = open_with("");
    struct moonlet_task *task;
    int result = 0;
    assert_int_equal(moonlet_spawn(m, NULL, cancel_from_inside, NULL, &task), 0);
    assert_int_equal(run_string(m, "require 'moonlet.task'.sleep(1000)"), 0);
    assert_int_equal(moonlet_join(task, 0, &result), -ECANCELED);
    assert_int_equal(result, -ECANCELED);
    moonlet_release(task);
    moonlet_close(m);
    assert_int_equal(moonlet_cancel_all(NULL, 0), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_cancel_all(NULL, 1), -MOONLET_ECLOSED);
}

/* ---- the exit status ---- */

static int step_to_the_end(struct moonlet *m, const char *source)
{
    start_string(m, source);
    while (moonlet_step(m, 1, 1) > 0)
        ;
    return moonlet_exit_status(m);
}

static void test_a_stepped_program_has_an_exit_status(void **state)
{
    (void)state;
    struct moonlet *m = open_with("");
    assert_int_equal(step_to_the_end(m, "error 'x'"), 1);
    assert_int_equal(step_to_the_end(m, "require 'moonlet.task'.sleep(0.001)"), 0);
    assert_int_equal(step_to_the_end(m, "require 'moonlet.task'.spawn(error, 'x')"), 1);
    assert_int_equal(step_to_the_end(m, "os.exit(7, true)"), 7);
    assert_int_equal(step_to_the_end(m, ""), 0);
    start_string(m, "require 'moonlet.task'.sleep(1000)");
    assert_int_equal(moonlet_step(m, 0, 1), 1);
    assert_true(moonlet_interrupt(m, 15));
    while (moonlet_step(m, 1, 1) > 0)
        ;
    assert_int_equal(moonlet_exit_status(m), 128 + 15);
    moonlet_close(m);
    assert_int_equal(moonlet_exit_status(NULL), -MOONLET_ECLOSED);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_are_pushed_as_wanted),
        cmocka_unit_test(test_functions_are_found_by_path_and_reference),
        cmocka_unit_test(test_an_error_is_handed_over),
        cmocka_unit_test(test_a_call_is_cut_short_by_its_limit),
        cmocka_unit_test(test_wrong_calls_are_errors),
        cmocka_unit_test(test_a_task_calls_and_only_it_waits),
        cmocka_unit_test(test_all_tasks_are_cancelled_and_the_runtime_goes_on),
        cmocka_unit_test(test_a_shielded_task_is_left),
        cmocka_unit_test(test_a_task_cancels_all_and_itself),
        cmocka_unit_test(test_a_stepped_program_has_an_exit_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
