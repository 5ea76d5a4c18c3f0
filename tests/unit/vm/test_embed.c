/*
 * The public header as an application uses it: runtimes made, run and closed, two on two threads at
 * once, reports told to a callback.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host_fixture.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Collects reports. */
struct reports {
    int count;
    char last[2048];
};

static void collect(void *context, const char *text)
{
    struct reports *reports = context;
    reports->count++;
    strncpy(reports->last, text, sizeof reports->last - 1);
}

static struct moonlet *create(struct reports *reports)
{
    memset(reports, 0, sizeof *reports);
    return open_runtime((struct moonlet_options){.report = collect, .report_context = reports});
}

static const char networked[] =
    "local task, net = require 'moonlet.task', require 'moonlet.net'\n"
    "local listener <close> = assert(net.listen('127.0.0.1', 0))\n"
    "task.spawn({ daemon = true }, function()\n"
    "  for conn in listener:accepted() do\n"
    "    task.spawn(function()\n"
    "      local own <close> = conn\n"
    "      for line in own:lines() do own:write(line:upper(), '\\n') end\n"
    "    end)\n"
    "  end\n"
    "end)\n"
    "local tasks = {}\n"
    "for i = 1, 50 do\n"
    "  tasks[i] = task.spawn(function()\n"
    "    local client <close> = assert(net.connect('localhost', listener:address().port))\n"
    "    local list = { 5, 3, 4, 1, 2 }\n"
    "    table.sort(list, function(a, b) task.yield() return a < b end)\n"
    "    local text = 'line ' .. i .. ' ' .. table.concat(list)\n"
    "    client:write(text, '\\n')\n"
    "    assert(client:read_line() == text:upper())\n"
    "    task.sleep(0.001)\n"
    "  end)\n"
    "end\n"
    "for _, t in ipairs(tasks) do assert(t:join()) end\n";

/* ---- threads ---- */

enum { ROUNDS = 20 };

static void *run_rounds(void *failures)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct moonlet *m = moonlet_create(NULL);
        if (m == NULL || moonlet_load_string(m, networked, "=networked") != 0 ||
            moonlet_run(m) != 0)
            ++*(int *)failures;
        moonlet_close(m);
    }
    return NULL;
}

static void test_two_runtimes_on_two_threads_run_at_once(void **state)
{
    (void)state;
    pthread_t threads[2];
    int failures[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_rounds, &failures[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failures[0], 0);
    assert_int_equal(failures[1], 0);
}

/* ---- life ---- */

static int count_mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    int count = 0;
    for (int c; (c = fgetc(file)) != EOF;)
        count += c == '\n';
    fclose(file);
    return count;
}

static void live_once(void)
{
    struct reports reports;
    struct moonlet *m = create(&reports);
    assert_int_equal(run_string(m, networked), 0);
    assert_int_equal(reports.count, 0);
    moonlet_close(m);
}

static void test_a_hundred_lives_leave_nothing_behind(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        live_once();
    int descriptors = count_own("fd");
    int mappings = count_mappings();
    size_t bytes = mallinfo2().uordblks;
    for (int i = 0; i < 100; i++)
        live_once();
    assert_int_equal(count_own("fd"), descriptors);
    assert_in_range(count_mappings(), 0, mappings + 20);
    assert_in_range(mallinfo2().uordblks, 0, bytes + 64 * 1024);
}

static void test_a_runtime_that_never_ran_can_be_closed(void **state)
{
    (void)state;
    moonlet_close(NULL);
    for (int i = 0; i < 10; i++) {
        struct reports reports;
        struct moonlet *m = create(&reports);
        assert_int_equal(moonlet_load_string(m, "return 1", "=unused"), 0);
        moonlet_close(m);
        assert_int_equal(reports.count, 0);
    }
}

static void test_a_runtime_runs_again_after_more_was_loaded(void **state)
{
    (void)state;
    struct reports reports;
    struct moonlet *m = create(&reports);
    assert_int_equal(run_string(m, "x = 41"), 0);
    assert_int_equal(run_string(m, "assert(x == 41) x = x + 1"), 0);
    assert_int_equal(run_string(m, "assert(x == 42)"), 0);
    assert_int_equal(reports.count, 0);
    moonlet_close(m);
}

static void test_arguments_become_the_table_arg(void **state)
{
    (void)state;
    struct reports reports;
    struct moonlet *m = create(&reports);
    char words[][8] = {"program", "-x", "script", "one", "two"};
    char *argv[] = {words[0], words[1], words[2], words[3], words[4], NULL};
    assert_int_equal(moonlet_set_arguments(m, 5, argv, 2), 0);
    assert_int_equal(run_string(m, "assert(arg[0] == 'script' and arg[-2] == 'program')"
                                   "assert(#arg == 2 and arg[2] == 'two')"),
                     0);
    moonlet_close(m);
}

/* ---- what is told ---- */

static void test_the_report_callback_gets_errors_of_the_main_chunk_and_of_tasks(void **state)
{
    (void)state;
    struct reports reports;
    struct moonlet *m = create(&reports);
    assert_int_equal(run_string(m, "error('main went wrong')"), 1);
    assert_int_equal(reports.count, 1);
    assert_non_null(strstr(reports.last, "test:1: main went wrong"));
    assert_non_null(strstr(reports.last, "stack traceback:"));
    assert_int_equal(reports.last[strlen(reports.last) - 1] == '\n', 0);
    moonlet_close(m);

    m = create(&reports);
    assert_int_equal(run_string(m, "require('moonlet.task').spawn({ name = 'worker' }, function()\n"
                                   "error('task went wrong') end)"),
                     1);
    assert_int_equal(reports.count, 1);
    assert_non_null(strstr(reports.last, "task 'worker' (#2) failed: test:2: task went wrong"));
    moonlet_close(m);

    m = create(&reports);
    assert_int_equal(run_string(m, "this is no Lua"), 1);
    assert_non_null(strstr(reports.last, "syntax error"));
    moonlet_close(m);
}

static void test_a_deadlock_is_reported_and_has_its_status(void **state)
{
    (void)state;
    struct reports reports;
    struct moonlet *m = create(&reports);
    assert_int_equal(run_string(m, "local task = require 'moonlet.task'\n"
                                   "local main = task.current()\n"
                                   "task.spawn(function() main:join() end):join()"),
                     MOONLET_DEADLOCK);
    assert_int_equal(reports.count, 3);
    assert_non_null(strstr(reports.last, "waits for the end of task #1"));
    moonlet_close(m);
}

static void test_the_status_is_what_the_script_gave_os_exit(void **state)
{
    (void)state;
    struct reports reports;
    struct moonlet *m = create(&reports);
    assert_int_equal(run_string(m, "os.exit(9, true)"), 9);
    assert_true(moonlet_exit_asked(m));
    moonlet_close(m);
}

struct interrupter {
    struct moonlet *m;
    int started; /* the reading end of a pipe on which the script says that it runs */
};

static void *interrupt_once_started(void *data)
{
    struct interrupter *interrupter = data;
    char byte;
    ssize_t count = read(interrupter->started, &byte, 1);
    return count == 1 && moonlet_interrupt(interrupter->m, 2) ? data : NULL;
}

static void test_an_interrupt_from_another_thread_cancels_tasks_that_wait(void **state)
{
    (void)state;
    struct reports reports;
    pthread_t thread;
    struct moonlet *m = create(&reports);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct interrupter interrupter = {m, ends[0]};
    assert_int_equal(pthread_create(&thread, NULL, interrupt_once_started, &interrupter), 0);
    char script[512];
    snprintf(script, sizeof script,
             "closed = 0\n"
             "local guard <close> = setmetatable({}, { __close = function()\n"
             "  closed = closed + 1 end })\n"
             "local started <close> = assert(io.open('/proc/self/fd/%d', 'w'))\n"
             "started:write 'x' started:flush()\n"
             "require('moonlet.task').sleep(1000)",
             ends[1]);
    assert_int_equal(run_string(m, script), 130);
    void *served;
    pthread_join(thread, &served);
    assert_ptr_equal(served, &interrupter);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(reports.count, 0);
    moonlet_close(m);
}

/* ---- closing with tasks alive ---- */

static void test_daemons_that_are_left_unwind(void **state)
{
    (void)state;
    struct reports reports;
    struct moonlet *m = create(&reports);
    assert_int_equal(run_string(m,
                                "local task, net = require 'moonlet.task', require 'moonlet.net'\n"
                                "closed = 0\n"
                                "local listener = net.listen('127.0.0.1', 0)\n"
                                "for i = 1, 20 do task.spawn({ daemon = true }, function()\n"
                                "  local guard <close> = setmetatable({}, { __close = function()\n"
                                "    closed = closed + 1 end })\n"
                                "  if i == 1 then listener:accept() else task.sleep(1000) end\n"
                                "end) end\n"
                                "task.sleep(0.005)"),
                     0);
    assert_int_equal(run_string(m, "assert(closed == 20, closed)"), 0);
    assert_int_equal(reports.count, 0);
    moonlet_close(m);
}

static void test_close_runs_finalizers_which_may_spawn_but_not_wait(void **state)
{
    (void)state;
    struct reports reports;
    struct moonlet *m = create(&reports);
    assert_int_equal(run_string(m, "local task = require 'moonlet.task'\n"
                                   "kept = setmetatable({}, { __gc = function()\n"
                                   "  pcall(task.sleep, 1)\n"
                                   "  pcall(task.spawn, print, 'never printed')\n"
                                   "end })"),
                     0);
    moonlet_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_runtimes_on_two_threads_run_at_once),
        cmocka_unit_test(test_a_hundred_lives_leave_nothing_behind),
        cmocka_unit_test(test_a_runtime_that_never_ran_can_be_closed),
        cmocka_unit_test(test_a_runtime_runs_again_after_more_was_loaded),
        cmocka_unit_test(test_arguments_become_the_table_arg),
        cmocka_unit_test(test_the_report_callback_gets_errors_of_the_main_chunk_and_of_tasks),
        cmocka_unit_test(test_a_deadlock_is_reported_and_has_its_status),
        cmocka_unit_test(test_the_status_is_what_the_script_gave_os_exit),
        cmocka_unit_test(test_an_interrupt_from_another_thread_cancels_tasks_that_wait),
        cmocka_unit_test(test_daemons_that_are_left_unwind),
        cmocka_unit_test(test_close_runs_finalizers_which_may_spawn_but_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
