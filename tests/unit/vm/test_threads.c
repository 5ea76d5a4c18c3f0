/*
 * Runtimes on threads of their own, in a host: channels between them, cancellation, the end of the
 * runtime that has started them, want of threads and memory. The tsan build looks on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "failing_calls.h"
#include "host_fixture.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* Runs a program, to whose end nothing is left: neither descriptors nor threads. */
static int run_alone(const char *source)
{
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    int status = run_string(m, source);
    assert_int_equal(moonlet_close(m), 0);
    return status;
}

static int threads_at_first;

/* Waits until the process has only its first threads: one that has given up its runtime ends soon.
 */
static void await_the_end_of_threads(void)
{
    double end = now() + PATIENCE;
    while (count_own("task") != threads_at_first && now() < end)
        usleep(1000);
    assert_int_equal(count_own("task"), threads_at_first);
}

static void test_many_threads_send_and_receive(void **state)
{
    (void)state;
    assert_int_equal(run_alone("local thread = require 'moonlet.thread'\n"
                               "local ch, sums = thread.channel(3), thread.channel(4)\n"
                               "local threads = {}\n"
                               "for n = 1, 3 do\n"
                               "  threads[#threads + 1] = thread.spawn(function(out, from)\n"
                               "    for i = from, 600, 3 do out:put{i} end\n"
                               "  end, ch, n)\n"
                               "  threads[#threads + 1] = thread.spawn(function(from, to)\n"
                               "    local sum = 0\n"
                               "    for v in from:values() do sum = sum + v[1] end\n"
                               "    to:put(sum)\n"
                               "  end, ch, sums)\n"
                               "end\n"
                               "for i = 1, 6, 2 do assert(threads[i]:join()) end\n"
                               "ch:close()\n"
                               "assert(sums:get() + sums:get() + sums:get() == 180300)\n"),
                     0);
}

static void test_a_thread_that_computes_ends_when_it_is_cancelled(void **state)
{
    (void)state;
    assert_int_equal(
        run_alone("local task, thread = require 'moonlet.task', require 'moonlet.thread'\n"
                  "for i = 1, 10 do\n"
                  "  local t = thread.spawn(function() while true do end end)\n"
                  "  task.sleep(0.002 * i)\n"
                  "  t:cancel()\n"
                  "  assert(select(3, t:join()) == 'ECANCELED')\n"
                  "end\n"),
        0);
}

static void test_nothing_is_left_of_many_calls(void **state)
{
    (void)state;
    run_alone("require 'moonlet.thread'.call(function() end)");
    int descriptors = count_own("fd");
    assert_int_equal(
        run_alone("local thread = require 'moonlet.thread'\n"
                  "for i = 1, 200 do assert(thread.call(function(n) return n end, i) == i) end\n"),
        0);
    assert_int_equal(count_own("fd"), descriptors);
    await_the_end_of_threads();
}

static void test_64_runtimes_compute_at_once(void **state)
{
    (void)state;
    assert_int_equal(
        run_alone("local thread = require 'moonlet.thread'\n"
                  "local go, ready = thread.channel(64), thread.channel(64)\n"
                  "local all = {}\n"
                  "for i = 1, 64 do\n"
                  "  all[i] = thread.spawn(function(r, g, n) r:put(n) return n + g:get() end, "
                  "ready, go, i)\n"
                  "end\n"
                  "for i = 1, 64 do ready:get() end\n"
                  "for i = 1, 64 do go:put(100) end\n"
                  "for i = 1, 64 do assert(select(2, all[i]:join()) == 100 + i) end\n"),
        0);
}

/* ---- the end ---- */

static void test_a_runtime_that_is_closed_ends_its_threads(void **state)
{
    (void)state;
    int descriptors = count_own("fd");
    for (int i = 0; i < 5; i++) {
        struct moonlet *m = open_runtime((struct moonlet_options){0});
        start_string(m, "local thread = require 'moonlet.thread'\n"
                        "thread.spawn(function() while true do end end)\n"
                        "thread.spawn(function(c) c:get() end, thread.channel())\n");
        assert_int_equal(moonlet_step(m, 0.01 * i, 0.01), 1);
        double start = now();
        assert_int_equal(moonlet_close(m), 0);
        assert_true(now() - start < PATIENCE);
    }
    assert_int_equal(count_own("fd"), descriptors);
    await_the_end_of_threads();
}

static void test_a_thread_inherits_what_the_host_leaves_out(void **state)
{
    (void)state;
    struct moonlet *m =
        open_runtime((struct moonlet_options){.without = MOONLET_IO | MOONLET_DEBUG});
    assert_int_equal(
        run_string(m,
                   "local thread = require 'moonlet.thread'\n"
                   "assert(thread.call(function() return io == nil and not debug.getinfo end))\n"),
        0);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_a_thread_has_no_more_memory_than_its_host(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){.memory_limit = 3000000});
    assert_int_equal(run_string(m, "local thread = require 'moonlet.thread'\n"
                                   "local function big() return #('x'):rep(4000000) end\n"
                                   "local ok, err = pcall(thread.call, big)\n"
                                   "assert(not ok and err == 'not enough memory', err)\n"
                                   "ok, err = pcall(thread.call, {memory = 100000000}, big)\n"
                                   "assert(not ok and err == 'not enough memory', err)\n"),
                     0);
    assert_int_equal(moonlet_close(m), 0);
}

static void collect_report(void *context, const char *text)
{
    snprintf(context, 256, "%s", text);
}

static void test_reports_of_threads_reach_the_host_on_its_own_thread(void **state)
{
    (void)state;
    static char text[256];
    struct moonlet *m =
        open_runtime((struct moonlet_options){.report = collect_report, .report_context = text});
    assert_int_equal(
        run_string(m, "local thread = require 'moonlet.thread'\n"
                      "thread.call({name = 'w'}, function()\n"
                      "  require 'moonlet.task'.spawn(function() error('inside', 0) end)\n"
                      "end)\n"),
        1);
    assert_ptr_equal(strstr(text, "thread 'w': "), text);
    assert_non_null(strstr(text, "inside"));
    assert_int_equal(moonlet_close(m), 0);
}

/* ---- want ---- */

static void test_a_thread_that_cannot_be_started_is_an_error(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    fail_calls(FAIL_THREAD, 1, 1);
    assert_int_equal(run_string(m, "local thread = require 'moonlet.thread'\n"
                                   "local ok, err = pcall(thread.call, function() return 1 end)\n"
                                   "assert(not ok and err:find 'cannot start a thread', err)\n"
                                   "assert(thread.call(function() return 1 end) == 1)\n"),
                     0);
    assert_int_equal(end_failing(), 1);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_want_of_memory_in_a_call_leaves_both_sides_usable(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 60; n++) {
        struct moonlet *m = open_runtime((struct moonlet_options){0});
        assert_int_equal(run_string(m, "thread = require 'moonlet.thread'\n"
                                       "local up = 1\n"
                                       "function f(t) up = up + 1 return t, f end\n"
                                       "ch = thread.channel(4)\n"
                                       "thread.call(print == nil and f or function() end)\n"),
                         0);
        moonlet_load_string(m,
                            "local value = {{}, {1, 2, {x = ('y'):rep(300)}}, ch, f}\n"
                            "pcall(thread.call, f, value)\n"
                            "pcall(ch.put, ch, value, 0)\n"
                            "pcall(ch.get, ch, 0)\n",
                            "=want");
        fail_calls(FAIL_MEMORY, n, 1);
        int status = moonlet_run(m);
        unsigned failed = end_failing();
        if (status == 0)
            assert_int_equal(run_string(m, "ch:put({1}, 0) ch:get(0)\n"
                                           "assert(thread.call(function() return 1 end) == 1)\n"),
                             0);
        assert_int_equal(moonlet_close(m), 0);
        if (failed == 0)
            break;
    }
}

int main(void)
{
    threads_at_first = count_own("task");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_threads_send_and_receive),
        cmocka_unit_test(test_a_thread_that_computes_ends_when_it_is_cancelled),
        cmocka_unit_test(test_nothing_is_left_of_many_calls),
        cmocka_unit_test(test_64_runtimes_compute_at_once),
        cmocka_unit_test(test_a_runtime_that_is_closed_ends_its_threads),
        cmocka_unit_test(test_a_thread_inherits_what_the_host_leaves_out),
        cmocka_unit_test(test_a_thread_has_no_more_memory_than_its_host),
        cmocka_unit_test(test_reports_of_threads_reach_the_host_on_its_own_thread),
        cmocka_unit_test(test_a_thread_that_cannot_be_started_is_an_error),
        cmocka_unit_test(test_want_of_memory_in_a_call_leaves_both_sides_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
