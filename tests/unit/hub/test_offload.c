/*
 * Worker threads: how jobs get to them and back, how many run at once, and that each job is
 * released once and only once, whatever becomes of its task, of the workers and of the hub.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "child_process.h"
#include "failing_calls.h"
#include "hub_fixture.h"

#include "coro/sanitizer.h"
#include "hub/on/offload.h"
#include "hub/state/ready.h"
#include "hub/state/scope.h"
#include "hub/wait/wait.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

static const struct ml_wait_kind worker = {.text = "a worker", .external = true};

/* ---- jobs that pass a gate ---- */

enum { LOG = 64 };

/* What the jobs of one test have done, on whatever thread. */
static struct {
    atomic_int running, most_running, ran, released, told;
    atomic_int log[LOG]; /* numbers of jobs in the order in which they ran */
    sem_t gates[2];      /* each job with a gate takes one of it */
} jobs;

enum { NO_GATE, GATE, LATE_GATE };

struct test_job {
    struct ml_job job;
    int gate;
    int number;
    int result;
    pthread_t thread;
    bool takes_signals;
};

static bool takes_a_signal(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGALRM, SIGUSR1, SIGCHLD, SIGPIPE, SIGHUP};
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!sigismember(&blocked, numbers[i]))
            return true;
    return false;
}

static void run_job(struct ml_job *base)
{
    struct test_job *job = ml_container_of(base, struct test_job, job);
    int found = errno;
    int running = atomic_fetch_add(&jobs.running, 1) + 1;
    int most = jobs.most_running;
    while (running > most && !atomic_compare_exchange_weak(&jobs.most_running, &most, running))
        ;
    while (job->gate != NO_GATE && sem_wait(&jobs.gates[job->gate - GATE]) != 0)
        ;
    job->thread = pthread_self();
    job->takes_signals = takes_a_signal();
    job->result = job->number * 2;
    atomic_fetch_sub(&jobs.running, 1);
    jobs.log[atomic_fetch_add(&jobs.ran, 1) % LOG] = job->number;
    errno = found + 1;
}

static void release_job(struct ml_job *base)
{
    free(ml_container_of(base, struct test_job, job));
    atomic_fetch_add(&jobs.released, 1);
}

/* The job is told that its task is cancelled, and may go on. */
static void let_end(struct ml_job *base)
{
    (void)base;
    atomic_fetch_add(&jobs.told, 1);
    sem_post(&jobs.gates[0]);
}

static void open_gate(int count)
{
    for (int i = 0; i < count; i++)
        sem_post(&jobs.gates[0]);
}

static void open_late_gate(int count)
{
    for (int i = 0; i < count; i++)
        sem_post(&jobs.gates[1]);
}

/* ---- tasks that ask for them ---- */

struct asker {
    struct c_task task; /* its result: of the call; its number: of the job */
    ml_time deadline;   /* 0: never */
    enum ml_work work;
    int gate;
    bool must_run;
    bool changes; /* its task sees it out */
};

static struct ml_hub hub;

static struct test_job *new_job(const struct asker *asker)
{
    struct test_job *job = calloc(1, sizeof *job);
    job->job = (struct ml_job){
        .run = run_job, .release = release_job, .work = asker->work, .must_run = asker->must_run};
    job->job.give_up = asker->changes ? let_end : NULL;
    job->gate = asker->gate;
    job->number = asker->task.number;
    return job;
}

static void ask(struct c_task *self)
{
    const struct asker *asker = (struct asker *)self; /* its first member */
    struct test_job *job = new_job(asker);
    ml_time deadline = asker->deadline == 0 ? ML_FOREVER : asker->deadline;
    errno = 40;
    self->result = ml_offload(&hub, &worker, &job->job, deadline);
    if (self->result != 0)
        return;
    assert_int_equal(job->job.saved_errno, 41);
    assert_int_equal(job->result, 2 * self->number);
    assert_false(pthread_equal(job->thread, pthread_self()));
    assert_false(job->takes_signals);
    free(job);
}

static void spawn_askers(struct asker *askers, int count, struct asker like)
{
    for (int i = 0; i < count; i++) {
        askers[i] = like;
        askers[i].task.number = like.task.number + i;
        spawn(&hub, &askers[i].task, ask, NULL);
    }
}

static void assert_results(const struct asker *askers, int count, int result)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(askers[i].task.result, result);
}

/* Runs tasks, and polls where there are none left, until `number` is `value`; fails after 30 s. */
static void run_until(const atomic_int *number, int value)
{
    ml_time end = in_ms(30000);
    while (*number != value) {
        assert_true(ml_clock_now() < end);
        ml_hub_step(&hub, ML_MILLISECOND, ML_FOREVER);
    }
}

static void run_until_waiting(const struct asker *asker)
{
    while (asker->task.task.state != ML_TASK_WAITING)
        ml_hub_step(&hub, ML_MILLISECOND, ML_FOREVER);
}

static void open_test(void)
{
    memset(&jobs, 0, sizeof jobs);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sem_init(&jobs.gates[i], 0, 0), 0);
    open_hub(&hub);
}

/* All jobs of a test have a place to be by then: run and freed by their task, or released. */
static void close_test(int released)
{
    close_hub(&hub);
    ml_time end = in_ms(30000);
    while (jobs.released != released) {
        assert_true(ml_clock_now() < end);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* As many jobs as there are workers, each behind the gate. */
static struct asker blockers[ML_OFFLOAD_WORKERS];

static void block_workers(void)
{
    spawn_askers(blockers, ML_OFFLOAD_WORKERS, (struct asker){.gate = GATE});
    run_until(&jobs.running, ML_OFFLOAD_WORKERS);
}

static void unblock_workers(void)
{
    open_gate(ML_OFFLOAD_WORKERS);
    assert_int_equal(run_all(&hub), 0);
    assert_results(blockers, ML_OFFLOAD_WORKERS, 0);
}

/* ---- what a job is and gives ---- */

static void test_a_job_runs_on_another_thread_and_is_the_callers_again(void **state)
{
    (void)state;
    static struct asker askers[ML_WORKS];
    open_test();
    for (int work = 0; work < ML_WORKS; work++)
        spawn_askers(&askers[work], 1,
                     (struct asker){.task = {.number = work}, .work = (enum ml_work)work});
    assert_int_equal(run_all(&hub), 0);
    assert_results(askers, ML_WORKS, 0);
    assert_int_equal(jobs.ran, ML_WORKS);
    close_test(0);
}

static void open_gate_later(struct c_task *self)
{
    struct asker *asker = self->data;
    for (int i = 0; i < 10; i++) {
        let_wait(self, &asker->task);
        ml_task_wake(&asker->task.task, ML_WAKE_EVENT); /* for nothing */
        assert_int_equal(ml_sleep_until(&hub, in_ms(1)), 0);
    }
    assert_int_equal(jobs.ran, 0);
    assert_int_equal(asker->task.result, 1);
    open_gate(1);
}

static void test_only_the_task_that_asks_waits_and_only_for_its_job(void **state)
{
    (void)state;
    static struct asker asker;
    struct c_task other;
    open_test();
    spawn_askers(&asker, 1, (struct asker){.gate = GATE});
    spawn(&hub, &other, open_gate_later, &asker);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(asker.task.result, 0);
    close_test(0);
}

static void test_a_thousand_tasks_get_what_they_asked_for(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static struct asker askers[COUNT];
    open_test();
    spawn_askers(askers, COUNT, (struct asker){.work = ML_WORK_DISK});
    assert_int_equal(run_all(&hub), 0);
    assert_results(askers, COUNT, 0);
    assert_int_equal(jobs.ran, COUNT);
    close_test(0);
}

/* ---- places and queues ---- */

static void test_of_one_kind_so_many_run_at_once_and_no_more(void **state)
{
    (void)state;
    enum { COUNT = 3 * ML_OFFLOAD_WORKERS };
    static struct asker askers[COUNT];
    open_test();
    spawn_askers(askers, COUNT, (struct asker){.gate = GATE});
    run_until(&jobs.running, ML_OFFLOAD_WORKERS);
    open_gate(COUNT);
    assert_int_equal(run_all(&hub), 0);
    assert_results(askers, COUNT, 0);
    assert_int_equal(jobs.most_running, ML_OFFLOAD_WORKERS);
    close_test(0);
}

static void test_jobs_that_queue_run_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    static struct asker askers[COUNT];
    open_test();
    block_workers();
    spawn_askers(askers, COUNT, (struct asker){.task = {.number = 1000}});
    run_until_waiting(&askers[COUNT - 1]);
    open_gate(1); /* one worker runs them all */
    run_until(&jobs.ran, 1 + COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(jobs.log[1 + i], 1000 + i);
    open_gate(ML_OFFLOAD_WORKERS - 1);
    assert_int_equal(run_all(&hub), 0);
    assert_results(askers, COUNT, 0);
    close_test(0);
}

/* 32 jobs of one kind that did not end kept the workers from all others. */
static void test_a_kind_of_work_that_is_stuck_leaves_the_other_kinds_their_places(void **state)
{
    (void)state;
    static struct asker others[ML_WORKS];
    open_test();
    block_workers(); /* of kind 0 */
    for (int i = 1; i < ML_WORKS; i++)
        spawn_askers(&others[i], 1, (struct asker){.work = (enum ml_work)i});
    run_until(&jobs.ran, ML_WORKS - 1);
    unblock_workers();
    assert_results(others + 1, ML_WORKS - 1, 0);
    close_test(0);
}

static void cancel_blockers(void)
{
    for (int i = 0; i < ML_OFFLOAD_WORKERS; i++)
        ml_task_cancel(&blockers[i].task.task);
    assert_int_equal(run_all(&hub), 0);
    assert_results(blockers, ML_OFFLOAD_WORKERS, -ECANCELED);
}

static void block_and_give_up(void)
{
    int running = jobs.running;
    spawn_askers(blockers, ML_OFFLOAD_WORKERS, (struct asker){.gate = GATE});
    run_until(&jobs.running, running + ML_OFFLOAD_WORKERS);
    cancel_blockers();
}

/* The result of one more job, which nothing keeps from running but a lack of places. */
static int ask_for_a_place(int patience)
{
    static struct asker asker;
    spawn_askers(&asker, 1, (struct asker){.deadline = in_ms(patience)});
    assert_int_equal(run_all(&hub), 0);
    return asker.task.result;
}

enum { ENOUGH = 10000, TOO_SHORT = 50 }; /* ms */

/* Calls whose tasks had given up kept their places for good. */
static void test_jobs_that_nobody_waits_for_leave_their_places_up_to_a_limit(void **state)
{
    (void)state;
    enum { ROUNDS = ML_OFFLOAD_STUCK / ML_OFFLOAD_WORKERS + 1, ALL = ROUNDS * ML_OFFLOAD_WORKERS };
    open_test();
    for (int round = 1; round <= ROUNDS; round++) {
        assert_int_equal(ask_for_a_place(ENOUGH), 0);
        block_and_give_up();
    }
    assert_int_equal(ask_for_a_place(TOO_SHORT), -ETIMEDOUT);
    assert_int_equal(jobs.ran, ROUNDS);
    assert_int_equal(jobs.released, 1);
    open_gate(ALL);
    run_until(&jobs.released, 1 + ALL);
    block_and_give_up();
    assert_int_equal(ask_for_a_place(ENOUGH), 0);
    open_gate(ML_OFFLOAD_WORKERS);
    close_test(1 + ALL + ML_OFFLOAD_WORKERS);
}

/* The workers that came back from such jobs were too many, and waited for work all the same: a job
 * woke one, which ended and left it to those whose 10 s of waiting were over. */
static void test_workers_that_are_too_many_leave_a_job_to_those_that_stay(void **state)
{
    (void)state;
    open_test();
    block_and_give_up();
    block_and_give_up();
    open_gate(2 * ML_OFFLOAD_WORKERS);
    run_until(&jobs.released, 2 * ML_OFFLOAD_WORKERS);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask_for_a_place(5000), 0);
    close_test(2 * ML_OFFLOAD_WORKERS);
}

static void test_a_worker_too_many_takes_no_job(void **state)
{
    (void)state;
    static struct asker others[ML_OFFLOAD_WORKERS], queued;
    open_test();
    block_workers();
    cancel_blockers();
    spawn_askers(others, ML_OFFLOAD_WORKERS, (struct asker){.gate = LATE_GATE});
    run_until(&jobs.running, 2 * ML_OFFLOAD_WORKERS);
    spawn_askers(&queued, 1, (struct asker){.gate = NO_GATE});
    run_until_waiting(&queued);
    open_gate(ML_OFFLOAD_WORKERS);
    run_until(&jobs.released, ML_OFFLOAD_WORKERS);
    assert_int_equal(jobs.ran, ML_OFFLOAD_WORKERS);
    open_late_gate(ML_OFFLOAD_WORKERS);
    assert_int_equal(run_all(&hub), 0);
    assert_results(others, ML_OFFLOAD_WORKERS, 0);
    assert_int_equal(queued.task.result, 0);
    close_test(ML_OFFLOAD_WORKERS);
}

static void test_a_queue_that_waits_goes_on_when_a_running_job_is_given_up(void **state)
{
    (void)state;
    static struct asker queued;
    open_test();
    block_workers();
    spawn_askers(&queued, 1, (struct asker){.gate = NO_GATE});
    run_until_waiting(&queued);
    assert_int_equal(jobs.ran, 0);
    ml_task_cancel(&blockers[5].task.task);
    run_until(&jobs.ran, 1);
    open_gate(ML_OFFLOAD_WORKERS);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(queued.task.result, 0);
    assert_int_equal(blockers[5].task.result, -ECANCELED);
    close_test(1);
}

/* ---- tasks that give up ---- */

static void test_a_running_job_whose_time_is_over_is_released_once_it_has_run(void **state)
{
    (void)state;
    static struct asker asker;
    open_test();
    spawn_askers(&asker, 1, (struct asker){.gate = GATE});
    run_until(&jobs.running, 1);
    ml_task_cancel(&asker.task.task);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(asker.task.result, -ECANCELED);
    spawn_askers(&asker, 1, (struct asker){.gate = GATE, .deadline = in_ms(2)});
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(asker.task.result, -ETIMEDOUT);
    run_until(&jobs.running, 2 - jobs.released);
    int already_released = jobs.released; /* it may not have begun in time */
    open_gate(2);
    run_until(&jobs.ran, 2 - already_released);
    run_until(&jobs.released, 2);
    close_test(2);
}

/* The task that gave it up is still there when the job is done, and waits for something else. */
static void give_up_and_stay(struct c_task *self)
{
    ask(self);
    assert_int_equal(self->result, -ETIMEDOUT);
    open_gate(1);
    while (jobs.released != 1)
        assert_int_equal(ml_sleep_until(&hub, in_ms(1)), 0);
}

static void test_a_job_that_was_given_up_is_released_though_its_task_lives(void **state)
{
    (void)state;
    static struct asker asker;
    open_test();
    asker = (struct asker){.gate = GATE, .must_run = true, .deadline = in_ms(5)};
    spawn(&hub, &asker.task, give_up_and_stay, NULL);
    assert_int_equal(run_all(&hub), 0);
    close_test(1);
}

static void give_up_in_the_queue(bool must_run, ml_time deadline)
{
    static struct asker queued;
    open_test();
    block_workers();
    spawn_askers(
        &queued, 1,
        (struct asker){.task = {.number = 99}, .must_run = must_run, .deadline = deadline});
    if (deadline == 0) {
        run_until_waiting(&queued);
        ml_task_cancel(&queued.task.task);
    }
    while (queued.task.task.state != ML_TASK_ENDED)
        ml_hub_step(&hub, ML_MILLISECOND, ML_FOREVER);
    assert_int_equal(queued.task.result, deadline == 0 ? -ECANCELED : -ETIMEDOUT);
    assert_int_equal(jobs.released, must_run ? 0 : 1);
    assert_int_equal(jobs.ran, 0);
    unblock_workers();
    run_until(&jobs.released, 1);
    assert_int_equal(jobs.ran, ML_OFFLOAD_WORKERS + must_run);
    close_test(1);
}

static void test_a_job_given_up_before_it_begins_never_runs(void **state)
{
    (void)state;
    give_up_in_the_queue(false, 0);
    give_up_in_the_queue(false, 1);
    give_up_in_the_queue(false, in_ms(100));
}

static void test_a_job_that_must_run_does_though_it_was_given_up_before_it_begins(void **state)
{
    (void)state;
    give_up_in_the_queue(true, 0);
    give_up_in_the_queue(true, 1);
}

static void test_a_job_that_changes_something_is_told_and_seen_out(void **state)
{
    (void)state;
    static struct asker asker;
    open_test();
    spawn_askers(&asker, 1, (struct asker){.gate = GATE, .changes = true});
    run_until(&jobs.running, 1);
    ml_task_cancel(&asker.task.task);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(asker.task.result, 0);
    assert_int_equal(jobs.told, 1);
    assert_int_equal(jobs.ran, 1);
    close_test(0);
}

static void test_a_job_that_would_change_something_never_runs_if_it_has_not_begun(void **state)
{
    (void)state;
    static struct asker queued;
    open_test();
    block_workers();
    spawn_askers(&queued, 1, (struct asker){.changes = true});
    run_until_waiting(&queued);
    ml_task_cancel(&queued.task.task);
    while (queued.task.task.state != ML_TASK_ENDED)
        ml_hub_step(&hub, ML_MILLISECOND, ML_FOREVER);
    assert_int_equal(queued.task.result, -ECANCELED);
    assert_int_equal(jobs.told, 0);
    assert_int_equal(jobs.released, 1);
    unblock_workers();
    assert_int_equal(jobs.ran, ML_OFFLOAD_WORKERS);
    close_test(1);
}

static void ask_without_waiting(struct c_task *self)
{
    const struct asker *asker = self->data;
    self->result = ml_offload(&hub, &worker, &new_job(asker)->job, ML_NEVER_WAIT);
}

static void ask_cancelled(struct c_task *self)
{
    ml_task_cancel(&self->task);
    self->result = ml_offload(&hub, &worker, &new_job(self->data)->job, ML_FOREVER);
}

static void test_a_call_that_may_not_wait_is_refused_and_its_job_released(void **state)
{
    (void)state;
    struct asker like = {.must_run = true};
    struct c_task tasks[2];
    open_test();
    spawn(&hub, &tasks[0], ask_without_waiting, &like);
    spawn(&hub, &tasks[1], ask_cancelled, &like);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(tasks[0].result, -ETIMEDOUT);
    assert_int_equal(tasks[1].result, -ECANCELED);
    run_until(&jobs.released, 2);
    assert_int_equal(jobs.ran, 2);
    close_test(2);
}

/* Another task has the slot of the one that is gone when the job is done. */
static void test_a_job_whose_task_was_dropped_is_released_and_wakes_no_other(void **state)
{
    (void)state;
    static struct asker asker, next;
    open_test();
    spawn_askers(&asker, 1, (struct asker){.gate = GATE});
    run_until(&jobs.running, 1);
    uint32_t slot = asker.task.task.waiter.slot;
    ml_task_drop(&hub, &asker.task.task);
    spawn_askers(&next, 1, (struct asker){.gate = GATE});
    assert_int_equal(next.task.task.waiter.slot, slot);
    run_until(&jobs.running, 2);
    open_gate(1);
    run_until(&jobs.ran, 1);
    open_gate(1);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(next.task.result, 0);
    run_until(&jobs.released, 1);
    close_test(1);
}

static int count_threads(void)
{
    int count = 0;
    DIR *threads = opendir("/proc/self/task");
    assert_non_null(threads);
    for (const struct dirent *entry; (entry = readdir(threads)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(threads);
    return count;
}

static int ask_in_child(void *data)
{
    struct asker like = {.gate = NO_GATE, .must_run = true};
    int released = jobs.released;
    (void)data;
    int error = ml_offload(&hub, &worker, &new_job(&like)->job, ML_FOREVER);
    int error_of_start = ml_offload_start(&hub, &new_job(&like)->job);
    bool is_refused = error == -ECHILD && error_of_start == -ECHILD;
    return is_refused && jobs.released == released + 2 && count_threads() == 1 ? 0 : 1;
}

static void fork_and_ask(struct c_task *self)
{
    assert_true(exited_with(run_in_child(ask_in_child, NULL), 0));
    ask(self);
}

static void test_a_process_that_the_task_forked_waits_for_no_job(void **state)
{
    (void)state;
    static struct asker askers[2];
    if (ML_HAS_TSAN) /* it refuses threads in a forked child */
        return;
    open_test();
    for (int i = 0; i < 2; i++) { /* without workers, and with some */
        askers[i] = (struct asker){.gate = NO_GATE};
        spawn(&hub, &askers[i].task, fork_and_ask, NULL);
        assert_int_equal(run_all(&hub), 0);
    }
    assert_results(askers, 2, 0);
    close_test(0);
}

/* ---- the end of the hub ---- */

static void drop_all(struct asker *askers, int count)
{
    for (int i = 0; i < count; i++)
        ml_task_drop(&hub, &askers[i].task.task);
}

static void test_a_job_that_outlives_the_hub_is_released_once_it_has_run(void **state)
{
    (void)state;
    static struct asker queued[2];
    open_test();
    block_workers();
    spawn_askers(queued, 2, (struct asker){.must_run = true});
    run_until_waiting(&queued[1]);
    drop_all(queued, 2);
    drop_all(blockers, ML_OFFLOAD_WORKERS);
    close_hub(&hub);
    assert_int_equal(jobs.released, 2); /* those that queued, which never run */
    assert_int_equal(jobs.ran, 0);
    open_gate(ML_OFFLOAD_WORKERS);
    open_hub(&hub);
    run_until(&jobs.released, 2 + ML_OFFLOAD_WORKERS);
    assert_int_equal(jobs.ran, ML_OFFLOAD_WORKERS);
    close_test(2 + ML_OFFLOAD_WORKERS);
}

static void test_a_job_that_has_run_is_released_by_the_end_of_the_hub(void **state)
{
    (void)state;
    static struct asker asker;
    open_test();
    spawn_askers(&asker, 1, (struct asker){.gate = GATE});
    run_until(&jobs.running, 1);
    ml_task_drop(&hub, &asker.task.task);
    open_gate(1);
    ml_time end = in_ms(30000);
    while (jobs.ran != 1)
        assert_true(ml_clock_now() < end);
    assert_int_equal(jobs.released, 0);
    close_test(1);
}

static int threads_at_first;

/* Long before they have waited for work in vain. */
static void test_idle_workers_end_with_the_hub(void **state)
{
    (void)state;
    if (ML_HAS_TSAN) /* has a thread of its own */
        return;
    open_test();
    block_workers();
    unblock_workers();
    close_test(0);
    ml_time end = in_ms(7000);
    while (count_threads() > threads_at_first) {
        assert_true(ml_clock_now() < end);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* ---- want of threads and memory ---- */

static void test_without_a_thread_to_be_had_a_job_never_runs(void **state)
{
    (void)state;
    static struct asker asker;
    open_test();
    fail_calls(FAIL_THREAD, 1, 1);
    spawn_askers(&asker, 1, (struct asker){.must_run = true});
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(end_failing(), 1);
    assert_int_equal(asker.task.result, -EAGAIN);
    assert_int_equal(jobs.released, 1);
    assert_int_equal(jobs.ran, 0);
    spawn_askers(&asker, 1, (struct asker){.gate = NO_GATE});
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(asker.task.result, 0);
    close_test(1);
}

static void test_without_another_thread_jobs_queue_for_those_that_are_there(void **state)
{
    (void)state;
    static struct asker first, others[5];
    open_test();
    spawn_askers(&first, 1, (struct asker){.gate = GATE});
    run_until(&jobs.running, 1);
    fail_calls(FAIL_THREAD, 1, 100);
    spawn_askers(others, 5, (struct asker){.task = {.number = 1}});
    run_until_waiting(&others[4]);
    open_gate(1);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(end_failing(), 5);
    assert_int_equal(first.task.result, 0);
    assert_results(others, 5, 0);
    assert_int_equal(jobs.most_running, 1);
    close_test(0);
}

/* The first allocation that ml_offload() makes is the workers', the second the deadline's. */
static void ask_without_memory(struct c_task *self)
{
    struct test_job *job = new_job(self->data);
    fail_calls(FAIL_MEMORY, (unsigned)self->number, 1);
    self->result = ml_offload(&hub, &worker, &job->job, in_ms(3600 * 1000));
    assert_int_equal(end_failing(), 1);
}

static void test_without_memory_a_job_is_released_all_the_same(void **state)
{
    (void)state;
    for (int i = 1; i <= 2; i++) {
        static struct asker asker;
        struct asker like = {.gate = NO_GATE};
        struct c_task task = {.number = i};
        open_test();
        spawn(&hub, &task, ask_without_memory, &like);
        assert_int_equal(run_all(&hub), 0);
        assert_int_equal(task.result, -ENOMEM);
        run_until(&jobs.released, 1);
        if (i == 1)
            assert_int_equal(jobs.ran, 0);
        spawn_askers(&asker, 1, like);
        assert_int_equal(run_all(&hub), 0);
        assert_int_equal(asker.task.result, 0);
        close_test(1);
    }
}

/* ---- jobs that no task waits for ---- */

static atomic_int finished;
static pthread_t finished_on;

static void count_finished(struct ml_job *base)
{
    finished_on = pthread_self();
    finished++;
    release_job(base);
}

static struct test_job *start_job(int gate)
{
    struct test_job *job = new_job(&(struct asker){.gate = gate});
    job->job.finished = count_finished;
    assert_int_equal(ml_offload_start(&hub, &job->job), 0);
    return job;
}

static void test_a_job_that_no_task_waits_for_is_finished_on_the_hub(void **state)
{
    (void)state;
    open_test();
    finished = 0;
    for (int i = 0; i < 100; i++)
        start_job(NO_GATE);
    run_until(&finished, 100);
    assert_true(pthread_equal(finished_on, pthread_self()));
    assert_int_equal(jobs.ran, 100);
    close_test(100);
}

static void test_the_end_of_the_hub_releases_jobs_that_no_task_waits_for(void **state)
{
    (void)state;
    open_test();
    finished = 0;
    for (int i = 0; i < ML_OFFLOAD_WORKERS + 5; i++)
        start_job(GATE);
    run_until(&jobs.running, ML_OFFLOAD_WORKERS);
    open_gate(ML_OFFLOAD_WORKERS + 5);
    close_test(ML_OFFLOAD_WORKERS + 5);
    assert_int_equal(finished, 0);
}

static void test_without_a_thread_a_job_that_no_task_waits_for_is_released(void **state)
{
    (void)state;
    open_test();
    finished = 0;
    struct test_job *job = new_job(&(struct asker){.gate = NO_GATE});
    job->job.finished = count_finished;
    fail_calls(FAIL_THREAD, 1, 1);
    assert_int_equal(ml_offload_start(&hub, &job->job), -EAGAIN);
    end_failing();
    assert_int_equal(finished, 0);
    close_test(1);
}

int main(void)
{
    threads_at_first = count_threads();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_job_that_no_task_waits_for_is_finished_on_the_hub),
        cmocka_unit_test(test_the_end_of_the_hub_releases_jobs_that_no_task_waits_for),
        cmocka_unit_test(test_without_a_thread_a_job_that_no_task_waits_for_is_released),
        cmocka_unit_test(test_a_job_runs_on_another_thread_and_is_the_callers_again),
        cmocka_unit_test(test_only_the_task_that_asks_waits_and_only_for_its_job),
        cmocka_unit_test(test_a_thousand_tasks_get_what_they_asked_for),
        cmocka_unit_test(test_of_one_kind_so_many_run_at_once_and_no_more),
        cmocka_unit_test(test_jobs_that_queue_run_in_the_order_in_which_they_came),
        cmocka_unit_test(test_a_kind_of_work_that_is_stuck_leaves_the_other_kinds_their_places),
        cmocka_unit_test(test_jobs_that_nobody_waits_for_leave_their_places_up_to_a_limit),
        cmocka_unit_test(test_workers_that_are_too_many_leave_a_job_to_those_that_stay),
        cmocka_unit_test(test_a_worker_too_many_takes_no_job),
        cmocka_unit_test(test_a_queue_that_waits_goes_on_when_a_running_job_is_given_up),
        cmocka_unit_test(test_a_running_job_whose_time_is_over_is_released_once_it_has_run),
        cmocka_unit_test(test_a_job_that_was_given_up_is_released_though_its_task_lives),
        cmocka_unit_test(test_a_job_given_up_before_it_begins_never_runs),
        cmocka_unit_test(test_a_job_that_must_run_does_though_it_was_given_up_before_it_begins),
        cmocka_unit_test(test_a_job_that_changes_something_is_told_and_seen_out),
        cmocka_unit_test(test_a_job_that_would_change_something_never_runs_if_it_has_not_begun),
        cmocka_unit_test(test_a_call_that_may_not_wait_is_refused_and_its_job_released),
        cmocka_unit_test(test_a_job_whose_task_was_dropped_is_released_and_wakes_no_other),
        cmocka_unit_test(test_a_process_that_the_task_forked_waits_for_no_job),
        cmocka_unit_test(test_a_job_that_outlives_the_hub_is_released_once_it_has_run),
        cmocka_unit_test(test_a_job_that_has_run_is_released_by_the_end_of_the_hub),
        cmocka_unit_test(test_idle_workers_end_with_the_hub),
        cmocka_unit_test(test_without_a_thread_to_be_had_a_job_never_runs),
        cmocka_unit_test(test_without_another_thread_jobs_queue_for_those_that_are_there),
        cmocka_unit_test(test_without_memory_a_job_is_released_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
