/*
 * Profiles of hosts: their errors, a host's own use of SIGPROF, runtimes with limits, and one that
 * is closed while it is measured.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "moonlet.h"
#include "vm/host_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BURN(SECONDS)                                                                              \
    "local stop = os.clock() + " SECONDS                                                           \
    " local function burn() while os.clock() < stop do end end burn() "

/* The text of the profile, NULL if there is none; to be freed. */
static char *stop(struct moonlet *m, const char *format)
{
    char *text = NULL;
    size_t size = 0;
    int samples = moonlet_inspect_profile_stop(m, format, &text, &size);
    assert_true(samples >= 0);
    assert_int_equal(strlen(text) <= size, 1);
    return text;
}

static void test_a_host_measures_a_script(void **state)
{
    (void)state;
    static const char *const formats[] = {"folded", "svg", "speedscope"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct moonlet *m = open_runtime((struct moonlet_options){0});
        assert_int_equal(moonlet_inspect_profile_start(m, NULL), 0);
        assert_int_equal(run_string(m, BURN("0.5")), 0);
        char *text = stop(m, formats[i]);
        assert_non_null(strstr(text, "burn (test:1)"));
        assert_non_null(strstr(text, "os.clock"));
        free(text);
        assert_int_equal(moonlet_close(m), 0);
    }
}

static void test_wrong_use_is_an_error(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    struct moonlet_profile_options fast = {.hz = 1001}, odd = {.mode = "heap"},
                                   wall = {.mode = "wall"};
    char *text;
    size_t size;
    assert_int_equal(moonlet_inspect_profile_start(NULL, NULL), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_inspect_profile_stop(NULL, "svg", &text, &size), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_inspect_profile_stop(m, "svg", &text, &size), -ENODATA);
    assert_int_equal(moonlet_inspect_profile_start(m, &fast), -EINVAL);
    assert_int_equal(moonlet_inspect_profile_start(m, &odd), -EINVAL);
    assert_int_equal(moonlet_inspect_profile_start(m, &wall), 0);
    assert_int_equal(moonlet_inspect_profile_start(m, NULL), -EALREADY);
    assert_int_equal(moonlet_inspect_profile_stop(m, "html", &text, &size), -EINVAL);
    assert_int_equal(moonlet_inspect_profile_stop(m, "svg", &text, &size), -ENODATA);
    assert_int_equal(moonlet_inspect_profile_start(m, NULL), 0);
    assert_int_equal(moonlet_inspect_profile_stop(m, NULL, NULL, NULL), 0);
    assert_int_equal(moonlet_close(m), 0);
}

static void on_prof(int number)
{
    (void)number;
}

static void test_a_handler_of_the_hosts_is_left_alone(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    struct sigaction now;
    assert_true(signal(SIGPROF, on_prof) != SIG_ERR);
    assert_int_equal(moonlet_inspect_profile_start(m, NULL), -EBUSY);
    assert_int_equal(run_string(m,
                                "local ok, message = pcall(require 'moonlet.inspect'.profile, 1) "
                                "assert(not ok and message:find 'SIGPROF is used by other code')"),
                     0);
    assert_int_equal(sigaction(SIGPROF, NULL, &now), 0);
    assert_true(now.sa_handler == on_prof);
    assert_true(signal(SIGPROF, SIG_IGN) == on_prof);
    assert_int_equal(moonlet_inspect_profile_start(m, NULL), 0);
    assert_int_equal(moonlet_inspect_profile_stop(m, NULL, NULL, NULL), 0);
    assert_true(signal(SIGPROF, SIG_DFL) == SIG_IGN);
    assert_int_equal(moonlet_close(m), 0);
}

/* A tick that came at the end of a profile would end the process by default. */
static void test_many_profiles_leave_no_tick_behind(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    struct moonlet_profile_options fast = {.hz = 1000};
    for (int i = 0; i < 300; i++) {
        assert_int_equal(moonlet_inspect_profile_start(m, &fast), 0);
        for (volatile int spin = 0; spin < 300000; spin++)
            ;
        assert_true(moonlet_inspect_profile_stop(m, NULL, NULL, NULL) >= 0);
    }
    struct sigaction now;
    assert_int_equal(sigaction(SIGPROF, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_DFL);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_two_runtimes_of_a_thread_take_turns(void **state)
{
    (void)state;
    struct moonlet *one = open_runtime((struct moonlet_options){0}),
                   *other = open_runtime((struct moonlet_options){0});
    assert_int_equal(moonlet_inspect_profile_start(one, NULL), 0);
    assert_int_equal(moonlet_inspect_profile_start(other, NULL), -EBUSY);
    assert_int_equal(run_string(other, BURN("0.05")), 0);
    assert_int_equal(moonlet_close(one), 0);
    assert_int_equal(moonlet_inspect_profile_start(other, NULL), 0);
    assert_int_equal(run_string(other, BURN("0.1")), 0);
    char *text = stop(other, "folded");
    assert_non_null(strstr(text, "burn"));
    free(text);
    assert_int_equal(moonlet_close(other), 0);
}

/* Returns its argument if all went well. A count of work, for os.clock() has the time of all
 * threads. */
static void *measure_on_a_thread(void *context)
{
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    char *text = NULL;
    size_t size = 0;
    bool is_good = moonlet_inspect_profile_start(m, NULL) == 0;
    is_good &= run_string(m, "local function burn() for i = 1, 50000000 do end end burn()") == 0;
    is_good &= moonlet_inspect_profile_stop(m, "folded", &text, &size) > 0;
    is_good &= text != NULL && strstr(text, "burn") != NULL;
    free(text);
    is_good &= moonlet_close(m) == 0;
    return is_good ? context : NULL;
}

static void test_threads_are_measured_at_the_same_time(void **state)
{
    (void)state;
    pthread_t threads[4];
    int marks[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, measure_on_a_thread, &marks[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, &marks[i]);
    }
}

static void test_a_limit_of_instructions_holds(void **state)
{
    (void)state;
    struct moonlet_profile_options fast = {.hz = 1000};
    struct moonlet *m = open_runtime((struct moonlet_options){.instruction_limit = 20000000});
    assert_int_equal(moonlet_inspect_profile_start(m, &fast), 0);
    assert_int_equal(
        run_string(m,
                   "for _ = 1, 10 do for i = 1, 100000 do end require 'moonlet.task'.yield() end"),
        0);
    assert_int_equal(run_string(m, "local function endless() while true do end end endless()"), 1);
    char *text = stop(m, "folded");
    assert_non_null(strstr(text, "endless"));
    free(text);
    assert_int_equal(moonlet_close(m), 0);
}

/* The samples need none of the script's memory, and the text neither. */
static void test_a_script_without_memory_is_measured(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){.memory_limit = 3000000});
    assert_int_equal(moonlet_inspect_profile_start(m, NULL), 0);
    assert_int_equal(run_string(m, "local keep = {} "
                                   "local function eat() for i = 1, 1e9 do keep[i] = {i} end end "
                                   "for _ = 1, 3 do pcall(eat) end " BURN("0.1")),
                     0);
    char *text = stop(m, "svg");
    assert_non_null(strstr(text, "burn"));
    free(text);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_an_untrusted_script_is_measured(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){.without = MOONLET_UNTRUSTED});
    assert_int_equal(moonlet_inspect_profile_start(m, NULL), 0);
    assert_int_equal(
        run_string(m, BURN("0.1") "assert(not pcall(require, 'moonlet.inspect.profile'))"), 0);
    char *text = stop(m, "svg");
    assert_non_null(strstr(text, "burn"));
    free(text);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_a_fork_has_no_profile(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    assert_int_equal(moonlet_inspect_profile_start(m, NULL), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *text;
        size_t size;
        for (volatile int spin = 0; spin < 30000000; spin++)
            ;
        _exit(moonlet_inspect_profile_stop(m, "svg", &text, &size) == -ECHILD ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(run_string(m, BURN("0.1")), 0);
    char *text = stop(m, "folded");
    assert_non_null(strstr(text, "burn"));
    free(text);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_a_runtime_may_be_closed_meanwhile(void **state)
{
    (void)state;
    struct moonlet_profile_options all = {
        .mode = "wall", .hz = 1000, .by_task = true, .lines = true};
    for (int i = 0; i < 5; i++) {
        struct moonlet *m = open_runtime((struct moonlet_options){0});
        assert_int_equal(moonlet_inspect_profile_start(m, &all), 0);
        start_string(
            m,
            "local task = require 'moonlet.task' "
            "for i = 1, 50 do task.spawn(function() while true do for i = 1, 1000 do end task.yield() end "
            "end) end");
        for (int step = 0; step < 20; step++)
            moonlet_step(m, 0, 0.002);
        assert_int_equal(moonlet_close(m), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_host_measures_a_script),
        cmocka_unit_test(test_wrong_use_is_an_error),
        cmocka_unit_test(test_a_handler_of_the_hosts_is_left_alone),
        cmocka_unit_test(test_many_profiles_leave_no_tick_behind),
        cmocka_unit_test(test_two_runtimes_of_a_thread_take_turns),
        cmocka_unit_test(test_threads_are_measured_at_the_same_time),
        cmocka_unit_test(test_a_limit_of_instructions_holds),
        cmocka_unit_test(test_a_script_without_memory_is_measured),
        cmocka_unit_test(test_an_untrusted_script_is_measured),
        cmocka_unit_test(test_a_fork_has_no_profile),
        cmocka_unit_test(test_a_runtime_may_be_closed_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
