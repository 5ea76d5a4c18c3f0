/*
 * The handler of the process and its receivers: what was in force before is called, and is put back
 * exactly.
 */
#include "system/signal/receiver.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/check.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct counting {
    struct ml_signal_receiver receiver;
    atomic_int arrived, by_default, over;
};

static void count(struct ml_signal_receiver *receiver, int number, const siginfo_t *info,
                  enum ml_signal_phase phase)
{
    struct counting *counting = ml_container_of(receiver, struct counting, receiver);
    assert_int_equal(info->si_signo, number);
    counting->arrived += phase == ML_SIGNAL_ARRIVED;
    counting->by_default += phase == ML_SIGNAL_DEFAULT;
    counting->over += phase == ML_SIGNAL_OVER;
}

static void open_counting(struct counting *counting, bool takes)
{
    *counting = (struct counting){.receiver = {.takes = takes, .arrived = count}};
    ml_signal_receiver_open(&counting->receiver);
}

static struct sigaction action_of(int number)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    assert_int_equal(sigaction(number, NULL, &action), 0);
    return action;
}

static atomic_int calls_of_host;

static void on_host_signal(int number)
{
    (void)number;
    errno = ERANGE;
    calls_of_host++;
}

static void set_action(int number, struct sigaction action)
{
    assert_int_equal(sigaction(number, &action, NULL), 0);
}

/* ---- one process ---- */

static void test_a_receiver_gets_its_signals_until_it_is_closed(void **state)
{
    (void)state;
    struct counting counting;
    open_counting(&counting, true);
    assert_int_equal(ml_signal_receive(&counting.receiver, SIGUSR1), 0);
    assert_int_equal(ml_signal_receive(&counting.receiver, SIGUSR1), 0);
    assert_true(ml_signal_is_taken(SIGUSR1));
    assert_false(ml_signal_is_taken(SIGUSR2));
    errno = EDOM;
    raise(SIGUSR1);
    assert_int_equal(errno, EDOM);
    assert_int_equal(counting.arrived, 1);
    assert_int_equal(counting.by_default, 0);
    ml_signal_receiver_close(&counting.receiver);
    ml_signal_receiver_close(&counting.receiver);
    assert_false(ml_signal_is_taken(SIGUSR1));
    assert_ptr_equal(action_of(SIGUSR1).sa_handler, SIG_DFL);
}

static void test_the_last_receiver_puts_back_what_was_there_exactly(void **state)
{
    (void)state;
    struct sigaction host = {.sa_handler = on_host_signal, .sa_flags = SA_NODEFER};
    sigaddset(&host.sa_mask, SIGUSR2);
    set_action(SIGUSR1, host);
    struct counting one, two;
    open_counting(&one, true);
    open_counting(&two, true);
    assert_int_equal(ml_signal_receive(&one.receiver, SIGUSR1), 0);
    assert_int_equal(ml_signal_receive(&two.receiver, SIGUSR1), 0);
    struct sigaction ours = action_of(SIGUSR1);
    assert_true(sigismember(&ours.sa_mask, SIGUSR2));
    assert_int_equal(ours.sa_flags & (SA_RESTART | SA_NODEFER), SA_NODEFER);
    ml_signal_leave(&one.receiver, SIGUSR1);
    raise(SIGUSR1);
    assert_int_equal(one.arrived, 0);
    assert_int_equal(two.arrived, 1);
    assert_int_equal(calls_of_host, 1);
    ml_signal_receiver_close(&two.receiver);
    ml_signal_receiver_close(&one.receiver);
    struct sigaction after = action_of(SIGUSR1);
    assert_ptr_equal(after.sa_handler, on_host_signal);
    assert_int_equal(after.sa_flags & ~0x04000000, SA_NODEFER); /* SA_RESTORER is the library's */
    assert_true(sigismember(&after.sa_mask, SIGUSR2));
    assert_false(sigismember(&after.sa_mask, SIGHUP));
    signal(SIGUSR1, SIG_DFL);
    calls_of_host = 0;
}

static void test_a_signal_that_was_ignored_is_received_and_ignored_again(void **state)
{
    (void)state;
    struct counting counting;
    signal(SIGHUP, SIG_IGN);
    open_counting(&counting, true);
    assert_int_equal(ml_signal_receive(&counting.receiver, SIGHUP), 0);
    raise(SIGHUP);
    assert_int_equal(counting.arrived, 1);
    ml_signal_receiver_close(&counting.receiver);
    assert_ptr_equal(action_of(SIGHUP).sa_handler, SIG_IGN);
    signal(SIGHUP, SIG_DFL);
}

static void test_children_are_reaped_as_before(void **state)
{
    (void)state;
    struct counting counting;
    signal(SIGCHLD, SIG_IGN);
    open_counting(&counting, true);
    assert_int_equal(ml_signal_receive(&counting.receiver, SIGCHLD), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(counting.arrived, 1);
    ml_signal_receiver_close(&counting.receiver);
    signal(SIGCHLD, SIG_DFL);
}

static void test_a_handler_that_was_meant_for_one_signal_is_called_once(void **state)
{
    (void)state;
    struct counting counting;
    set_action(SIGUSR1,
               (struct sigaction){.sa_handler = on_host_signal, .sa_flags = (int)SA_RESETHAND});
    open_counting(&counting, true);
    assert_int_equal(ml_signal_receive(&counting.receiver, SIGUSR1), 0);
    raise(SIGUSR1);
    raise(SIGUSR1);
    assert_int_equal(counting.arrived, 2);
    assert_int_equal(calls_of_host, 1);
    ml_signal_receiver_close(&counting.receiver);
    assert_ptr_equal(action_of(SIGUSR1).sa_handler, SIG_DFL);
    calls_of_host = 0;
}

static void test_a_handler_that_came_later_stays(void **state)
{
    (void)state;
    struct counting counting;
    open_counting(&counting, true);
    assert_int_equal(ml_signal_receive(&counting.receiver, SIGUSR1), 0);
    signal(SIGUSR1, on_host_signal);
    ml_signal_leave(&counting.receiver, SIGUSR1);
    assert_ptr_equal(action_of(SIGUSR1).sa_handler, on_host_signal);
    assert_int_equal(ml_signal_receive(&counting.receiver, SIGUSR1), 0);
    raise(SIGUSR1);
    assert_int_equal(counting.arrived, 1);
    assert_int_equal(calls_of_host, 0); /* it may call the handler below it: no circle */
    ml_signal_receiver_close(&counting.receiver);
    assert_ptr_equal(action_of(SIGUSR1).sa_handler, on_host_signal);
    signal(SIGUSR1, SIG_DFL);
}

/* ---- processes that end ---- */

/* Runs it in a child. Its status as waitpid() tells it. */
static int status_of(void (*run)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        run();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static struct counting told;

static void open_onlooker(void)
{
    open_counting(&told, false);
}

static void die_by_default(void)
{
    open_onlooker();
    ml_signal_receive(&told.receiver, SIGTERM);
    raise(SIGTERM);
}

static void die_by_kill(void)
{
    open_onlooker();
    ml_signal_receive(&told.receiver, SIGQUIT);
    kill(getpid(), SIGQUIT);
}

static void on_last_signal(int number)
{
    signal(number, SIG_DFL);
    raise(number);
}

static void exit_by_default(struct ml_signal_receiver *receiver, int number, const siginfo_t *info,
                            enum ml_signal_phase phase)
{
    (void)receiver, (void)number, (void)info;
    if (phase == ML_SIGNAL_DEFAULT)
        _exit(7);
}

static void be_told_of_the_end(void)
{
    told = (struct counting){.receiver = {.arrived = exit_by_default}};
    ml_signal_receiver_open(&told.receiver);
    signal(SIGTERM, on_last_signal);
    ml_signal_receive(&told.receiver, SIGTERM);
    raise(SIGTERM);
}

static void be_told_of_the_default(void)
{
    told = (struct counting){.receiver = {.arrived = exit_by_default}};
    ml_signal_receiver_open(&told.receiver);
    ml_signal_receive(&told.receiver, SIGTERM);
    raise(SIGTERM);
}

static void live_on_ignored(void)
{
    open_onlooker();
    signal(SIGTERM, SIG_IGN);
    ml_signal_receive(&told.receiver, SIGTERM);
    ml_signal_receive(&told.receiver, SIGWINCH);
    ml_signal_receive(&told.receiver, SIGCHLD);
    raise(SIGTERM);
    raise(SIGWINCH);
    raise(SIGCHLD);
    _exit(told.arrived == 3 && told.by_default == 0 ? 0 : 1);
}

static void test_onlookers_leave_the_default_action(void **state)
{
    (void)state;
    int status = status_of(die_by_default);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    status = status_of(die_by_kill);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
    assert_int_equal(status_of(live_on_ignored), 0);
}

static void test_onlookers_are_told_that_the_process_ends(void **state)
{
    (void)state;
    assert_int_equal(WEXITSTATUS(status_of(be_told_of_the_default)), 7);
    assert_int_equal(WEXITSTATUS(status_of(be_told_of_the_end)), 7);
}

static void stop_and_go_on(void)
{
    open_onlooker();
    setpgid(0, 0);
    ml_signal_receive(&told.receiver, SIGTSTP);
    for (int i = 1; i <= 2; i++) {
        raise(SIGTSTP);
        if (told.by_default != i || told.over != i)
            _exit(1);
    }
    _exit(0);
}

/* An orphaned group is not stopped: then the default action does nothing, and is over. */
static void test_a_process_that_stops_is_told_before_and_after(void **state)
{
    (void)state;
    pid_t pid = fork();
    int status, stops = 0;
    if (pid == 0)
        stop_and_go_on();
    while (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && ++stops <= 2)
        kill(pid, SIGCONT);
    assert_int_equal(status, 0);
}

static struct counting parents;

static void be_a_fork(void)
{
    if (parents.arrived != 0)
        _exit(1);
    raise(SIGTERM);
}

static void test_the_signals_of_a_forked_child_are_its_own(void **state)
{
    (void)state;
    open_counting(&parents, true);
    assert_int_equal(ml_signal_receive(&parents.receiver, SIGTERM), 0);
    int status = status_of(be_a_fork);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_int_equal(parents.arrived, 0);
    assert_true(ml_signal_is_taken(SIGTERM));
    ml_signal_receiver_close(&parents.receiver);
}

/* The child shares the memory until it ends. */
static void test_the_signals_of_a_child_of_vfork_are_its_own(void **state)
{
    (void)state;
    open_counting(&parents, true);
    assert_int_equal(ml_signal_receive(&parents.receiver, SIGUSR2), 0);
    pid_t pid = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork)
    if (pid == 0) {
        raise(SIGUSR2);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR2);
    assert_int_equal(parents.arrived, 0);
    ml_signal_receiver_close(&parents.receiver);
}

/* ---- several threads ---- */

static atomic_bool is_over;

static void *send_all_the_time(void *argument)
{
    (void)argument;
    while (!is_over)
        pthread_kill(pthread_self(), SIGUSR1);
    return NULL;
}

static void test_receivers_come_and_go_while_signals_arrive(void **state)
{
    enum { ROUNDS = 500, SENDERS = 2, ARRIVALS = 1000 };
    (void)state;
    struct counting lasting;
    pthread_t senders[SENDERS];
    is_over = false;
    open_counting(&lasting, true);
    assert_int_equal(ml_signal_receive(&lasting.receiver, SIGUSR1), 0);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&senders[i], NULL, send_all_the_time, NULL), 0);
    for (int i = 0; i < ROUNDS || lasting.arrived < ARRIVALS; i++) {
        struct counting *passing = test_malloc(sizeof *passing);
        open_counting(passing, true);
        assert_int_equal(ml_signal_receive(&passing->receiver, SIGUSR1), 0);
        ml_signal_receiver_close(&passing->receiver);
        memset((void *)passing, 0xff, sizeof *passing);
        test_free(passing);
    }
    is_over = true;
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i], NULL);
    ml_signal_receiver_close(&lasting.receiver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_receiver_gets_its_signals_until_it_is_closed),
        cmocka_unit_test(test_the_last_receiver_puts_back_what_was_there_exactly),
        cmocka_unit_test(test_a_signal_that_was_ignored_is_received_and_ignored_again),
        cmocka_unit_test(test_children_are_reaped_as_before),
        cmocka_unit_test(test_a_handler_that_was_meant_for_one_signal_is_called_once),
        cmocka_unit_test(test_a_handler_that_came_later_stays),
        cmocka_unit_test(test_onlookers_leave_the_default_action),
        cmocka_unit_test(test_onlookers_are_told_that_the_process_ends),
        cmocka_unit_test(test_a_process_that_stops_is_told_before_and_after),
        cmocka_unit_test(test_the_signals_of_a_forked_child_are_its_own),
        cmocka_unit_test(test_the_signals_of_a_child_of_vfork_are_its_own),
        cmocka_unit_test(test_receivers_come_and_go_while_signals_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
