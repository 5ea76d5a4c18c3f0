/* Children of hubs: none outlives its hub, whatever the thread, and a fork takes none along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub_fixture.h"

#include "system/process/children.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const no_environment[] = {NULL};

static struct ml_child *start(struct ml_children *children, const char *text, ml_time kill_after,
                              bool is_detached)
{
    static const char *const paths[] = {"/bin/sh", NULL};
    const char *const arguments[] = {"sh", "-c", text, NULL};
    struct ml_spawn what = {.paths = paths,
                            .arguments = arguments,
                            .environment = no_environment,
                            .files = {ML_SPAWN_INHERIT, ML_SPAWN_INHERIT, ML_SPAWN_INHERIT},
                            .terminal = -1,
                            .group = ML_SPAWN_NEW_GROUP,
                            .limits = ML_SPAWN_NO_LIMITS};
    struct ml_child *child = NULL;
    struct ml_spawned spawned;
    assert_int_equal(ml_child_start(children, &what, kill_after, is_detached, &child, &spawned), 0);
    return child;
}

static bool is_there(pid_t pid)
{
    return kill(pid, 0) == 0;
}

static void test_no_child_but_a_detached_one_outlives_the_hub(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct ml_children children;
    open_hub(&hub);
    ml_children_init(&children, &hub);
    pid_t pids[] = {
        start(&children, "exec sleep 1000", ML_SECOND, false)->pid,
        start(&children, "trap '' TERM; sleep 1000; sleep 1000", ML_SECOND / 20, false)->pid,
        start(&children, "kill -STOP $$", ML_SECOND, false)->pid,
        start(&children, "exec sleep 1000", ML_SECOND, true)->pid,
    };
    ml_children_release(&children);
    close_hub(&hub);
    for (int i = 0; i < 3; i++)
        assert_false(is_there(pids[i]));
    assert_true(is_there(pids[3]));
    kill(pids[3], SIGKILL);
    waitpid(pids[3], NULL, 0);
}

static void test_a_forked_process_leaves_the_children_alone(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct ml_children children;
    open_hub(&hub);
    ml_children_init(&children, &hub);
    struct ml_child *child = start(&children, "exec sleep 1000", ML_SECOND, false);
    pid_t pid = child->pid, forked = fork();
    int status;
    if (forked == 0) {
        bool is_refused = ml_child_signal(child, SIGTERM) == -ESRCH;
        ml_child_terminate(child);
        ml_children_release(&children);
        exit(is_refused ? 0 : 1); /* with its exit handlers */
    }
    assert_int_equal(waitpid(forked, &status, 0), forked);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    ml_children_release(&children);
    close_hub(&hub);
    assert_false(is_there(pid));
}

static void wait_for_children(struct c_task *self)
{
    for (int i = 0; i < 20; i++) {
        struct ml_child *child = start(self->data, "exit 3", ML_SECOND, false);
        if (ml_child_wait(child, ML_FOREVER) == 0 && child->end == ML_CHILD_EXITED)
            self->number += child->number;
        ml_child_leave(child);
    }
}

static void *run_hub(void *total)
{
    struct ml_pool own;
    struct ml_hub hub;
    struct ml_children children;
    struct c_task task = {.number = 0};
    ml_pool_init(&own);
    if (ml_hub_init(&hub, &own, 0, 256 * 1024) != 0)
        return NULL;
    hub.hooks.body = run_c_task;
    ml_children_init(&children, &hub);
    spawn(&hub, &task, wait_for_children, &children);
    run_all(&hub);
    pid_t last = start(&children, "exec sleep 1000", ML_SECOND, false)->pid;
    ml_children_release(&children);
    ml_hub_release(&hub);
    ml_pool_release(&own);
    *(int *)total = is_there(last) ? -1 : task.number;
    return NULL;
}

static void test_hubs_on_several_threads_wait_for_their_own_children(void **state)
{
    (void)state;
    pthread_t threads[3];
    int totals[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_hub, &totals[i]), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(totals[i], 60);
    }
}

static void wait_for_one_taken_by_others(struct c_task *self)
{
    struct ml_child *child = start(self->data, "exit 3", ML_SECOND, false);
    waitpid(child->pid, NULL, 0); /* as a C library does that waits for any child */
    self->result = ml_child_wait(child, ML_FOREVER);
    bool is_known = child->end == ML_CHILD_EXITED && child->number == 3;
    self->number = is_known || child->end == ML_CHILD_UNKNOWN;
    ml_child_leave(child);
}

static void test_a_child_that_other_code_has_waited_for_is_told_truly(void **state)
{
    (void)state;
    struct ml_hub hub;
    struct ml_children children;
    struct c_task task = {.number = 0};
    open_hub(&hub);
    ml_children_init(&children, &hub);
    spawn(&hub, &task, wait_for_one_taken_by_others, &children);
    run_all(&hub);
    assert_int_equal(task.result, 0);
    assert_int_equal(task.number, 1);
    ml_children_release(&children);
    close_hub(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_child_but_a_detached_one_outlives_the_hub),
        cmocka_unit_test(test_a_forked_process_leaves_the_children_alone),
        cmocka_unit_test(test_hubs_on_several_threads_wait_for_their_own_children),
        cmocka_unit_test(test_a_child_that_other_code_has_waited_for_is_told_truly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
