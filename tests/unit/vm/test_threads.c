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

#include <errno.h>
#include <lua.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
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

/* The loop calls malloc(): a thread sanitizer delivers no signal to code that never calls libc. */
static void test_a_thread_that_computes_ends_when_it_is_cancelled(void **state)
{
    (void)state;
    assert_int_equal(
        run_alone(
            "local task, thread = require 'moonlet.task', require 'moonlet.thread'\n"
            "for i = 1, 10 do\n"
            "  local t = thread.spawn(function() while true do local s = ('x'):rep(1 << 20) end end)\n"
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
        start_string(m,
                     "local thread = require 'moonlet.thread'\n"
                     "thread.spawn(function() while true do local s = ('x'):rep(1 << 20) end end)\n"
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

/* The child has the runtime and none of its threads: it can close it. */
static void test_a_forked_process_closes_a_runtime_that_has_threads(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    start_string(m,
                 "thread = require 'moonlet.thread'\n"
                 "ch, back = thread.channel(1), thread.channel(1)\n"
                 "thread.spawn(function(c, b) for v in c:values() do b:put(v) end end, ch, back)\n"
                 "thread.spawn(function(c, b) for v in c:values() do b:put(v) end end, back, ch)\n"
                 "ch:put(1)\n");
    for (int i = 0; i < 20; i++) {
        assert_int_equal(moonlet_step(m, 0.001, 0.01), 1);
        pid_t child = fork();
        if (child == 0) {
            alarm((unsigned)PATIENCE);
            _exit(moonlet_close(m) == 0 ? 0 : 1);
        }
        int status = 1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    assert_int_equal(moonlet_close(m), 0);
    await_the_end_of_threads();
}

/* Stack: a function, which a child calls. Returns the child's exit status. */
static int call_in_child(lua_State *L)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        alarm((unsigned)PATIENCE);
        _exit(lua_pcall(L, 0, 0, 0) == LUA_OK ? 0 : 1);
    }
    waitpid(child, &status, 0);
    lua_pushinteger(L, status);
    return 1;
}

/* Other threads have the channel's mutex at most times. */
static void test_a_process_that_a_task_forks_never_blocks_at_a_channel(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    lua_register(moonlet_lua(m), "call_in_child", call_in_child);
    assert_int_equal(run_string(m,
                                "local thread = require 'moonlet.thread'\n"
                                "local select = require 'moonlet.channel'.select\n"
                                "local ch = thread.channel(1)\n"
                                "local function busy(c) for _ = 1, 1e9 do local n = #c end end\n"
                                "local a = thread.spawn({daemon = true}, busy, ch)\n"
                                "local b = thread.spawn({daemon = true}, busy, ch)\n"
                                "for i = 1, 100 do\n"
                                "  require 'moonlet.task'.sleep(0.0005)\n"
                                "  assert(call_in_child(function()\n"
                                "    pcall(ch.put, ch, {ch}, 0)\n"
                                "    pcall(ch.get, ch, 0)\n"
                                "    pcall(select, {{ch, 'get'}, {ch, 'put', {ch}}, timeout = 0})\n"
                                "    pcall(select, {{ch, 'get'}, {ch, 'put', {ch}}, default = 1})\n"
                                "    local text = #ch .. tostring(ch)\n"
                                "    ch:close {ch}\n"
                                "    pcall(thread.channel(1).put, ch, 1)\n"
                                "    text = nil\n"
                                "    collectgarbage()\n"
                                "  end) == 0)\n"
                                "end\n"
                                "a:cancel() b:cancel()\n"),
                     0);
    assert_int_equal(moonlet_close(m), 0);
    await_the_end_of_threads();
}

static void test_a_runtime_that_cannot_be_opened_is_an_error(void **state)
{
    (void)state;
    struct rlimit before, few;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    assert_int_equal(run_string(m, "thread = require 'moonlet.thread'\n"
                                   "thread.call(function() end)\n"),
                     0);
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = (rlim_t)dup(0) + 1;
    close((int)few.rlim_cur - 1);
    setrlimit(RLIMIT_NOFILE, &few);
    int status =
        run_string(m, "local ok, err = pcall(thread.call, function() end)\n"
                      "assert(not ok and err:find 'cannot open a runtime on a thread: ', err)\n");
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(status, 0);
    assert_int_equal(run_string(m, "assert(thread.call(function() return 1 end) == 1)\n"), 0);
    assert_int_equal(moonlet_close(m), 0);
}

/* ---- channels of hosts ---- */

static struct moonlet_thread_channel *questions, *answers;

/* A thread without a runtime: answers each question with its own text, twice. */
static void *answer_all(void *argument)
{
    char *text;
    size_t size;
    (void)argument;
    while (moonlet_thread_channel_get(questions, &text, &size, -1) == 0) {
        char both[64];
        int length = snprintf(both, sizeof both, "%s%s", text, text);
        assert_int_equal(moonlet_thread_channel_put(answers, both, (size_t)length, -1), 0);
        free(text);
    }
    moonlet_thread_channel_close(answers);
    return NULL;
}

static int push_global(struct moonlet *m, const char *name, struct moonlet_thread_channel *channel)
{
    lua_State *L = moonlet_lua(m);
    int error = moonlet_thread_channel_push(m, L, channel);
    if (error == 0)
        lua_setglobal(L, name);
    return error;
}

static void open_channels(unsigned capacity)
{
    questions = moonlet_thread_channel_new(capacity);
    answers = moonlet_thread_channel_new(capacity);
    assert_non_null(questions);
    assert_non_null(answers);
}

static void release_channels(void)
{
    moonlet_thread_channel_release(questions);
    moonlet_thread_channel_release(answers);
}

static void test_scripts_talk_with_a_thread_of_the_host(void **state)
{
    (void)state;
    for (unsigned capacity = 0; capacity < 3; capacity++) {
        pthread_t thread;
        open_channels(capacity);
        assert_int_equal(pthread_create(&thread, NULL, answer_all, NULL), 0);
        struct moonlet *m = open_runtime((struct moonlet_options){0});
        assert_int_equal(push_global(m, "questions", questions), 0);
        assert_int_equal(push_global(m, "answers", answers), 0);
        assert_int_equal(run_string(m, "for i = 1, 200 do\n"
                                       "  questions:put('q' .. i)\n"
                                       "  assert(answers:get() == 'q' .. i .. 'q' .. i)\n"
                                       "end\n"
                                       "questions:close()\n"
                                       "assert(answers:get() == nil)\n"),
                         0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(moonlet_close(m), 0);
        release_channels();
    }
}

static int ask(struct moonlet *m, void *argument)
{
    char *text;
    size_t size;
    (void)m, (void)argument;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(moonlet_thread_channel_put(questions, "a\0b", 3, -1), 0);
        assert_int_equal(moonlet_thread_channel_get(answers, &text, &size, -1), 0);
        assert_string_equal(text, "aa");
        free(text);
    }
    moonlet_thread_channel_close(questions);
    assert_int_equal(moonlet_thread_channel_put(questions, "x", 1, -1), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_thread_channel_get(answers, &text, &size, -1), -MOONLET_ECLOSED);
    return 7;
}

static void test_tasks_of_c_talk_with_a_thread_of_the_host(void **state)
{
    (void)state;
    pthread_t thread;
    struct moonlet_task *task;
    int result = 0;
    open_channels(0);
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    assert_int_equal(moonlet_spawn(m, "asker", ask, NULL, &task), 0);
    assert_int_equal(pthread_create(&thread, NULL, answer_all, NULL), 0);
    assert_int_equal(moonlet_run(m), 0);
    assert_int_equal(moonlet_join(task, 0, &result), 0);
    assert_int_equal(result, 7);
    assert_int_equal(pthread_join(thread, NULL), 0);
    moonlet_release(task);
    assert_int_equal(moonlet_close(m), 0);
    release_channels();
}

static int wait_for_ever(struct moonlet *m, void *argument)
{
    char *text;
    size_t size;
    (void)m, (void)argument;
    return moonlet_thread_channel_get(answers, &text, &size, -1);
}

static void test_the_limits_of_channels_of_hosts(void **state)
{
    (void)state;
    char *text;
    size_t size;
    open_channels(1);
    assert_int_equal(moonlet_thread_channel_get(answers, &text, &size, 0), -ETIMEDOUT);
    assert_int_equal(moonlet_thread_channel_get(answers, &text, &size, 0.01), -ETIMEDOUT);
    assert_int_equal(moonlet_thread_channel_put(answers, "", 0, 0), 0);
    assert_int_equal(moonlet_thread_channel_put(answers, "", 0, 0.01), -ETIMEDOUT);
    assert_int_equal(moonlet_thread_channel_get(answers, &text, &size, 0), 0);
    assert_int_equal(size, 0);
    free(text);
    assert_int_equal(moonlet_thread_channel_put(NULL, "", 0, 0), -EINVAL);
    assert_int_equal(moonlet_thread_channel_get(answers, NULL, &size, 0), -EINVAL);
    moonlet_thread_channel_release(NULL);
    moonlet_thread_channel_close(NULL);
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    assert_int_equal(moonlet_thread_channel_push(m, NULL, answers), -EINVAL);
    assert_int_equal(push_global(m, "ch", answers), 0);
    assert_int_equal(run_string(m, "ch:put{1}"), 0);
    assert_int_equal(moonlet_thread_channel_get(answers, &text, &size, 0), -EBADMSG);
    struct moonlet_task *task;
    int result = 0;
    assert_int_equal(moonlet_spawn(m, NULL, wait_for_ever, NULL, &task), 0);
    assert_int_equal(moonlet_start(m), 0);
    assert_int_equal(moonlet_step(m, 0, 1), 1);
    assert_int_equal(moonlet_cancel(task), 0);
    moonlet_step(m, 0, 1);
    assert_int_equal(moonlet_join(task, 0, &result), -ECANCELED);
    moonlet_release(task);
    assert_int_equal(moonlet_close(m), 0);
    release_channels();
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

static void assert_next(struct moonlet_thread_channel *channel, const char *expected)
{
    char *text;
    size_t size;
    assert_int_equal(moonlet_thread_channel_get(channel, &text, &size, 0), 0);
    assert_string_equal(text, expected);
    free(text);
}

static void test_want_of_memory_for_a_copy_leaves_the_value_in_the_channel(void **state)
{
    (void)state;
    char *text;
    size_t size;
    open_channels(2);
    assert_int_equal(moonlet_thread_channel_put(answers, "first", 5, 0), 0);
    assert_int_equal(moonlet_thread_channel_put(answers, "second", 6, 0), 0);
    for (int i = 0; i < 3; i++) {
        fail_calls(FAIL_MEMORY, 1, 1);
        assert_int_equal(moonlet_thread_channel_get(answers, &text, &size, 0), -ENOMEM);
        assert_int_equal(end_failing(), 1);
        assert_int_equal(moonlet_thread_channel_put(answers, "third", 5, 0), -ETIMEDOUT);
        if (i == 2)
            moonlet_thread_channel_close(answers);
    }
    assert_next(answers, "first");
    fail_calls(FAIL_MEMORY, 1, 1);
    assert_int_equal(moonlet_thread_channel_get(answers, &text, &size, 0), -ENOMEM);
    assert_int_equal(end_failing(), 1);
    assert_next(answers, "second");
    assert_int_equal(moonlet_thread_channel_get(answers, &text, &size, 0), -MOONLET_ECLOSED);
    release_channels();
}

static void *do_nothing(void *argument)
{
    return argument;
}

/* A sanitizer may have a thread of its own from the first one on. */
static int count_threads(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, do_nothing, NULL);
    pthread_join(thread, NULL);
    return count_own("task");
}

int main(void)
{
    threads_at_first = count_threads();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_threads_send_and_receive),
        cmocka_unit_test(test_a_thread_that_computes_ends_when_it_is_cancelled),
        cmocka_unit_test(test_nothing_is_left_of_many_calls),
        cmocka_unit_test(test_64_runtimes_compute_at_once),
        cmocka_unit_test(test_a_runtime_that_is_closed_ends_its_threads),
        cmocka_unit_test(test_a_thread_inherits_what_the_host_leaves_out),
        cmocka_unit_test(test_a_thread_has_no_more_memory_than_its_host),
        cmocka_unit_test(test_reports_of_threads_reach_the_host_on_its_own_thread),
        cmocka_unit_test(test_a_forked_process_closes_a_runtime_that_has_threads),
        cmocka_unit_test(test_a_process_that_a_task_forks_never_blocks_at_a_channel),
        cmocka_unit_test(test_a_runtime_that_cannot_be_opened_is_an_error),
        cmocka_unit_test(test_scripts_talk_with_a_thread_of_the_host),
        cmocka_unit_test(test_tasks_of_c_talk_with_a_thread_of_the_host),
        cmocka_unit_test(test_the_limits_of_channels_of_hosts),
        cmocka_unit_test(test_a_thread_that_cannot_be_started_is_an_error),
        cmocka_unit_test(test_want_of_memory_in_a_call_leaves_both_sides_usable),
        cmocka_unit_test(test_want_of_memory_for_a_copy_leaves_the_value_in_the_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
