/*
 * What a runtime leaves alone in its host's process, and what it costs there: signal actions,
 * descriptors, memory, system calls of a step that has nothing to do, the time of a life.
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
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- signals ---- */

struct signals {
    struct sigaction actions[65];
    sigset_t mask;
    stack_t stack;
};

static void read_signals(struct signals *s)
{
    memset(s, 0, sizeof *s);
    for (int number = 1; number <= 64; number++)
        sigaction(number, NULL, &s->actions[number]);
    pthread_sigmask(SIG_BLOCK, NULL, &s->mask);
    sigaltstack(NULL, &s->stack);
}

/* A sigset_t is larger than what the kernel fills in. */
static bool is_same_set(const sigset_t *a, const sigset_t *b)
{
    bool is_same = true;
    for (int number = 1; number <= 64; number++)
        is_same = is_same && sigismember(a, number) == sigismember(b, number);
    return is_same;
}

static bool is_same_action(const struct sigaction *a, const struct sigaction *b)
{
    return a->sa_flags == b->sa_flags && a->sa_handler == b->sa_handler &&
           is_same_set(&a->sa_mask, &b->sa_mask);
}

/* How many actions differ, the mask and the alternate stack counted in. */
static int differences(const struct signals *a, const struct signals *b)
{
    int count = !is_same_set(&a->mask, &b->mask);
    count += a->stack.ss_sp != b->stack.ss_sp || a->stack.ss_flags != b->stack.ss_flags;
    for (int number = 1; number <= 64; number++)
        count += !is_same_action(&a->actions[number], &b->actions[number]);
    return count;
}

static struct signals before;

static int l_compare(lua_State *L)
{
    struct signals now;
    read_signals(&now);
    lua_pushinteger(L, differences(&before, &now));
    return 1;
}

static const char busy[] =
    "local task, net = require 'moonlet.task', require 'moonlet.net'\n"
    "local listener <close> = assert(net.listen('127.0.0.1', 0))\n"
    "task.spawn({ daemon = true }, function()\n"
    "  for conn in listener:accepted() do conn:write(conn:read_line(), '\\n') conn:close() end\n"
    "end)\n"
    "local client <close> = assert(net.connect('localhost', listener:address().port))\n"
    "client:write 'x\\n' assert(client:read_line() == 'x')\n"
    "pcall(net.tls)\n"
    "assert(io.popen 'echo y':read 'a' == 'y\\n')\n"
    "task.sleep(0.002)\n"
    "assert(coroutine.wrap(function() coroutine.yield(compare()) end)() == 0)\n";

static void test_no_signal_action_is_changed(void **state)
{
    (void)state;
    struct signals after;
    read_signals(&before);
    struct moonlet *m = moonlet_create(NULL);
    lua_register(moonlet_lua(m), "compare", l_compare);
    assert_true(moonlet_fd(m) >= 0);
    assert_int_equal(moonlet_load_string(m, busy, "=busy"), 0);
    assert_int_equal(moonlet_run(m), 0);
    read_signals(&after);
    assert_int_equal(differences(&before, &after), 0);
    assert_int_equal(moonlet_close(m), 0);
    read_signals(&after);
    assert_int_equal(differences(&before, &after), 0);
}

/* The only one, and only when asked for; the alternate stack comes and goes with the runtime. */
static void test_the_overflow_report_takes_sigsegv_alone(void **state)
{
    (void)state;
    struct moonlet_options options = {.report_overflow = true};
    struct signals own, after;
    signal(SIGSEGV, SIG_DFL); /* cmocka has a handler of its own */
    read_signals(&before);
    struct moonlet *m = moonlet_create(&options);
    read_signals(&own);
    own.stack = before.stack;
    assert_int_equal(differences(&before, &own), 1);
    assert_false(is_same_action(&before.actions[SIGSEGV], &own.actions[SIGSEGV]));
    moonlet_close(m);
    read_signals(&after);
    assert_ptr_equal(after.stack.ss_sp, before.stack.ss_sp);
}

/* ---- system calls ---- */

static int sleep_long(struct moonlet *m, void *argument)
{
    (void)argument;
    return moonlet_sleep(m, 1000);
}

static int wait_long(struct moonlet *m, void *fd)
{
    return moonlet_wait_fd(m, *(int *)fd, MOONLET_READABLE, -1);
}

enum { STEPS = 10, MOMENTS = 3 };

/* Between two of these calls, which nobody else makes, system calls are counted. */
static void mark(void)
{
    syscall(SYS_getppid);
}

static void step_idly(struct moonlet *m)
{
    for (int i = 0; i < STEPS; i++)
        moonlet_step(m, 0, 0.001);
    mark();
    for (int i = 0; i < STEPS; i++)
        moonlet_step(m, 0, 0.001);
    mark();
}

/* With nothing at all, with tasks that wait, and with a descriptor. The child of the test. */
static _Noreturn void step_at_three_moments(void)
{
    int fds[2];
    struct moonlet *m = moonlet_create(NULL);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 || m == NULL || pipe(fds) != 0)
        _exit(77);
    raise(SIGSTOP);
    step_idly(m);
    moonlet_spawn(m, NULL, sleep_long, NULL, NULL);
    moonlet_spawn(m, NULL, wait_long, fds, NULL);
    step_idly(m);
    moonlet_fd(m);
    step_idly(m);
    _exit(0);
}

struct counted {
    int marks, polls, others;
};

static bool is_poll(uint64_t number)
{
#ifdef SYS_epoll_wait
    if (number == SYS_epoll_wait)
        return true;
#endif
    return number == SYS_epoll_pwait;
}

static void count_call(struct counted *counted, uint64_t number)
{
    if (number == SYS_getppid)
        counted->marks++;
    else if (counted->marks % 2 == 0 || number == SYS_clock_gettime) /* where it is a system call */
        return;
    else if (is_poll(number))
        counted->polls++;
    else
        counted->others++;
}

/* Goes on to the child's next system call, its entry or its return. */
static bool next_stop(pid_t child, struct counted *counted)
{
    struct __ptrace_syscall_info info;
    int status;
    assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSTOPPED(status)) {
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        return false;
    }
    long size = ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info);
    if (size > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY)
        count_call(counted, info.entry.nr);
    return true;
}

static void test_a_step_with_nothing_to_do_is_one_poll(void **state)
{
    (void)state;
    struct counted counted = {0};
    int status;
    pid_t child = fork();
    if (child == 0)
        step_at_three_moments();
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSTOPPED(status))
        skip(); /* somebody traces the test, or nobody may */
    ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)PTRACE_O_TRACESYSGOOD);
    while (next_stop(child, &counted))
        ;
    assert_int_equal(counted.marks, 2 * MOMENTS);
    assert_int_equal(counted.others, 0);
    assert_int_equal(counted.polls, MOMENTS * STEPS);
}

/* ---- lives ---- */

/* Address space of the process, in pages. */
static long count_pages(void)
{
    long pages = -1;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_int_equal(fscanf(file, "%ld", &pages), 1);
    fclose(file);
    return pages;
}

/* The shortest of many: others use this machine, too. */
static void test_a_life_takes_less_than_a_millisecond(void **state)
{
    (void)state;
    double best = 1;
    for (int i = 0; i < 200 && best > 0.0005; i++) {
        double start = now();
        moonlet_close(moonlet_create(NULL));
        double span = now() - start;
        best = span < best ? span : best;
    }
#ifndef __SANITIZE_ADDRESS__
    assert_true(best <= 0.001);
#endif
}

/* ASan looks for what is lost at the end. */
static void test_ten_thousand_lives_leave_nothing_behind(void **state)
{
    (void)state;
    moonlet_close(moonlet_create(NULL));
    int descriptors = count_own("fd");
    size_t bytes = mallinfo2().uordblks;
    long pages = count_pages();
    for (int i = 0; i < 10000; i++) {
        struct moonlet *m = moonlet_create(NULL);
        assert_non_null(m);
        if (i % 10 == 0) {
            assert_int_equal(moonlet_spawn(m, NULL, sleep_long, NULL, NULL), 0);
            assert_int_equal(moonlet_step(m, 0, 1), 1);
        }
        assert_int_equal(moonlet_close(m), 0);
    }
    assert_int_equal(count_own("fd"), descriptors);
    assert_in_range(mallinfo2().uordblks, 0, bytes + 16 * 1024);
#ifndef __SANITIZE_ADDRESS__
    assert_in_range(count_pages(), 0, pages + 5000);
#else
    (void)pages;
#endif
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_signal_action_is_changed),
        cmocka_unit_test(test_the_overflow_report_takes_sigsegv_alone),
        cmocka_unit_test(test_a_step_with_nothing_to_do_is_one_poll),
        cmocka_unit_test(test_a_life_takes_less_than_a_millisecond),
        cmocka_unit_test(test_ten_thousand_lives_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
