/*
 * Preemption and warnings of slow tasks as hosts have them: options, steps, instruction limits,
 * forks, the end of a runtime.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host_fixture.h"
#include "thread_sanitizer.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_bool is_over;
static char told[4096];

static int is_done(lua_State *L)
{
    lua_pushboolean(L, is_over);
    return 1;
}

static int finish(lua_State *L)
{
    (void)L;
    is_over = true;
    return 0;
}

static void note(void *context, const char *text, int to_be_continued)
{
    (void)context, (void)to_be_continued;
    snprintf(told + strlen(told), sizeof told - strlen(told), "%s\n", text);
}

static void note_report(void *context, const char *text)
{
    note(context, text, 0);
}

static struct moonlet *open_preempting(struct moonlet_options options)
{
    is_over = false;
    told[0] = '\0';
    options.report = note_report;
    options.warn = note;
    struct moonlet *m = open_runtime(options);
    lua_register(moonlet_lua(m), "is_done", is_done);
    lua_register(moonlet_lua(m), "finish", finish);
    return m;
}

static void test_options_out_of_range_are_refused(void **state)
{
    (void)state;
    const double bad[] = {-1, 0.0005, NAN, -INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct moonlet_options preempt = {.preempt = bad[i]}, slow = {.slow = bad[i]};
        errno = 0;
        assert_null(moonlet_create(&preempt));
        assert_int_equal(errno, EINVAL);
        errno = 0;
        assert_null(moonlet_create(&slow));
        assert_int_equal(errno, EINVAL);
    }
    assert_int_equal(moonlet_close(open_preempting((struct moonlet_options){.preempt = 0.001})), 0);
    assert_int_equal(moonlet_close(open_preempting((struct moonlet_options){.preempt = INFINITY})),
                     0);
}

static void test_a_step_returns_though_a_task_computes(void **state)
{
    (void)state;
    struct moonlet *m = open_preempting((struct moonlet_options){.preempt = 0.002});
    start_string(m, "while not is_done() do end");
    double end = now() + PATIENCE;
    for (int i = 0; i < 20; i++)
        assert_int_equal(moonlet_step(m, 0, 0.001), 1);
    assert_true(now() < end);
    is_over = true;
    assert_int_equal(moonlet_close(m), 0);
}

static void test_without_a_signal_tasks_are_left_alone(void **state)
{
    (void)state;
    struct moonlet_options options = {.preempt = 0.001, .slow = 0.001, .poke_signal = -1};
    struct moonlet *m = open_preempting(options);
    int before = count_own("task");
    assert_int_equal(run_string(m, "local task, other = require 'moonlet'.task, false "
                                   "task.spawn({preempt = true}, function() other = true end) "
                                   "local stop = os.clock() + 0.05 "
                                   "while os.clock() < stop do assert(not other) end"),
                     0);
    assert_int_equal(count_own("task"), before);
    assert_string_equal(told, "");
    assert_int_equal(moonlet_close(m), 0);
}

static void test_an_instruction_limit_holds_beside_it(void **state)
{
    (void)state;
    struct moonlet_options options = {.preempt = 0.001, .instruction_limit = 100000000};
    struct moonlet *m = open_preempting(options);
    assert_int_equal(run_string(m, "local task = require 'moonlet'.task "
                                   "task.spawn(function() while true do end end) "
                                   "for i = 1, 1000000 do end finish()"),
                     1);
    assert_true(is_over);
    assert_non_null(strstr(told, "was ended: more than 100000000 instructions without a wait"));
    assert_int_equal(moonlet_close(m), 0);
}

/* Breakpoints come and go while instructions are counted: none of that may keep the count from its
 * end, nor keep a breakpoint from being met. */
static const char debugged[] =
    "local task = require 'moonlet'.task\n"
    "local debugger = require 'moonlet.inspect.debugger'\n"
    "local path = os.tmpname()\n"
    "local file = io.open(path, 'w')\n"
    "file:write[[local function small(n)\n"
    "  return n + 1\n"
    "end\n"
    "for i = 1, 3 do small(i) end\n"
    "while true do small(1) pcall(small, 1) end]]\n"
    "file:close()\n"
    "local stops = 0\n"
    "debugger.attach(function(e) if e.event == 'stopped' then stops = stops + 1 end end)\n"
    "debugger.own()\n"
    "assert(debugger.set_breakpoints({ path = path }, { { line = 2, condition = 'n == 3' } })[1].verified)\n"
    "local t = task.spawn({ quiet = true }, assert(loadfile(path)))\n"
    "while t:status() ~= 'failed' and t:status() ~= 'cancelled' do\n"
    "  for _, one in ipairs(debugger.tasks()) do\n"
    "    if one.state == 'stopped' then debugger.resume(one.id, 'continue') end\n"
    "  end\n"
    "  task.yield()\n"
    "end\n"
    "debugger.detach()\n"
    "os.remove(path)\n"
    "assert(stops == 1, stops)\n"
    "finish()\n";

static void test_an_instruction_limit_holds_beside_the_debugger(void **state)
{
    (void)state;
    struct moonlet *m = open_preempting((struct moonlet_options){.instruction_limit = 3000000});
    assert_int_equal(run_string(m, debugged), 1);
    assert_non_null(strstr(told, "was ended: more than 3000000 instructions without a wait"));
    assert_true(is_over);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_a_host_gets_warnings_of_slow_tasks(void **state)
{
    (void)state;
    if (is_under_thread_sanitizer())
        skip();
    struct moonlet *m = open_preempting((struct moonlet_options){.slow = 0.02});
    assert_int_equal(run_string(m, "local task = require 'moonlet'.task "
                                   "task.spawn(function() task.sleep(0.01) end) "
                                   "local stop = os.clock() + 0.1 "
                                   "while os.clock() < stop do end"),
                     0);
    assert_non_null(strstr(told, "task 'main' (#1) has computed for "));
    assert_non_null(strstr(told, "in main chunk"));
    assert_int_equal(moonlet_close(m), 0);
}

/* fork() -> whether it is the child */
static int fork_here(lua_State *L)
{
    lua_pushboolean(L, fork() == 0);
    return 1;
}

static int leave(lua_State *L)
{
    enum { THREADS = 3 }; /* ".", ".." and the one */
    (void)L;
    _exit(count_own("task") == THREADS ? 7 : 8);
}

static void test_a_forked_child_has_no_watchdog_and_goes_on(void **state)
{
    (void)state;
    if (is_under_thread_sanitizer())
        skip();
    struct moonlet *m = open_preempting((struct moonlet_options){.preempt = 0.001, .slow = 0.01});
    lua_register(moonlet_lua(m), "fork", fork_here);
    lua_register(moonlet_lua(m), "leave", leave);
    assert_int_equal(run_string(m, "local task = require 'moonlet'.task "
                                   "task.spawn(function() task.sleep(0.01) end) "
                                   "local stop = os.clock() + 0.05 "
                                   "while os.clock() < stop do end "
                                   "if fork() then stop = os.clock() + 0.1 "
                                   "while os.clock() < stop do end leave() end"),
                     0);
    int status = 0;
    assert_true(wait(&status) > 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_runtimes_are_closed_while_their_tasks_are_preempted(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct moonlet *m = open_preempting((struct moonlet_options){.preempt = 0.001});
        start_string(m, "local task = require 'moonlet'.task for i = 1, 3 do "
                        "task.spawn(function() while not is_done() do end end) end");
        assert_int_equal(moonlet_step(m, 0, 0.003), 1);
        is_over = true;
        assert_int_equal(moonlet_close(m), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_out_of_range_are_refused),
        cmocka_unit_test(test_a_step_returns_though_a_task_computes),
        cmocka_unit_test(test_without_a_signal_tasks_are_left_alone),
        cmocka_unit_test(test_an_instruction_limit_holds_beside_it),
        cmocka_unit_test(test_an_instruction_limit_holds_beside_the_debugger),
        cmocka_unit_test(test_a_host_gets_warnings_of_slow_tasks),
        cmocka_unit_test(test_a_forked_child_has_no_watchdog_and_goes_on),
        cmocka_unit_test(test_runtimes_are_closed_while_their_tasks_are_preempted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
