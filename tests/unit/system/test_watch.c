/*
 * Watches: whatever happens to a tree, and whatever is lost, a reader that applies the events ends
 * with the picture of the disk. WATCH_SEEDS: so many seeds of each test of random changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "failing_calls.h"
#include "watch_fixture.h"

#include "base/error.h"

#include "hub/wait/wait.h"

#include <fcntl.h>
#include <semaphore.h>

static unsigned seeds(unsigned otherwise)
{
    const char *count = getenv("WATCH_SEEDS");
    return count != NULL ? (unsigned)atoi(count) : otherwise;
}

/* ---- random changes ---- */

static void read_beside_a_storm(struct c_task *self)
{
    struct watched *s = self->data;
    int status = 0;
    storm(s, 40);
    assert_int_equal(open_watch(s, true), 0);
    pid_t child = start_storm(s, 200, (unsigned)(s->seed % 5));
    while (waitpid(child, &status, WNOHANG) == 0)
        read_event(s, ml_clock_now() + ML_MILLISECOND);
    assert_agrees(s);
    assert_int_equal(s->failures, 0);
    ml_file_watch_close(&s->w);
    self->result = 0;
}

static void test_the_picture_is_that_of_the_disk_after_a_storm(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= seeds(6); seed++)
        run_watched(read_beside_a_storm, seed, 0);
}

/* Nothing is read while the changes are made: all listings are later than all notes. */
static void read_behind_storms(struct c_task *self)
{
    struct watched *s = self->data;
    storm(s, 40);
    assert_int_equal(open_watch(s, true), 0);
    for (int i = 0; i < 3; i++) {
        assert_agrees(s);
        s->seed += 1000;
        storm(s, 200);
    }
    assert_agrees(s);
    assert_int_equal(s->failures, 0);
    ml_file_watch_close(&s->w);
    self->result = 0;
}

static void test_the_picture_is_that_of_the_disk_when_all_is_read_late(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= seeds(6); seed++)
        run_watched(read_behind_storms, seed, 0);
}

/* An inbox of a few notes is lost again and again. */
static void read_with_a_small_inbox(struct c_task *self)
{
    struct watched *s = self->data;
    int status = 0;
    storm(s, 40);
    assert_int_equal(open_watch(s, true), 0);
    s->w.inbox.most = 600;
    pid_t child = start_storm(s, 400, 3);
    while (waitpid(child, &status, WNOHANG) == 0)
        read_event(s, ml_clock_now() + ML_MILLISECOND);
    storm(s, 200);
    assert_agrees(s);
    assert_true(s->overflows > 0);
    ml_file_watch_close(&s->w);
    self->result = 0;
}

static void test_the_picture_is_that_of_the_disk_after_many_losses(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= seeds(6); seed++)
        run_watched(read_with_a_small_inbox, seed, 0);
}

/* ---- a path that is out of date ---- */

static sem_t gate;

static void run_behind_gate(struct ml_job *job)
{
    (void)job;
    sem_wait(&gate);
}

static void free_job(struct ml_job *job)
{
    free(job);
}

static void block_workers(struct ml_hub *hub)
{
    for (int i = 0; i < ML_OFFLOAD_WORKERS; i++) {
        struct ml_job *job = calloc(1, sizeof *job);
        assert_non_null(job);
        *job = (struct ml_job){.run = run_behind_gate, .release = free_job, .finished = free_job};
        assert_int_equal(ml_offload_start(hub, job), 0);
    }
}

static void unblock_workers(void)
{
    for (int i = 0; i < ML_OFFLOAD_WORKERS; i++)
        sem_post(&gate);
}

/* A new directory is renamed before it is listed. The listing shows another one that has its name
 * by then, and that leaves the tree before it is known. */
static void list_another_directory(struct c_task *self)
{
    struct watched *s = self->data;
    assert_int_equal(sem_init(&gate, 0, 0), 0);
    assert_int_equal(open_watch(s, false), 0);
    block_workers(&s->hub);
    shell("mkdir %s/in/a", s->path);
    assert_int_equal(read_event(s, ml_clock_now() + ML_SECOND), 0);
    shell("cd %s/in && mv a b && mkdir a && touch a/x", s->path);
    unblock_workers();
    while (s->w.comparison.scan == NULL || !s->w.comparison.is_finished)
        assert_int_equal(ml_sleep_until(&s->hub, ml_clock_now() + ML_MILLISECOND), 0);
    shell("mv %s/in/a %s/out", s->path);
    assert_agrees(s);
    shell("touch %s/in/b/y", s->path);
    assert_agrees(s);
    ml_file_watch_close(&s->w);
    self->result = 0;
}

static void test_a_directory_that_was_renamed_before_it_was_listed_is_listed_again(void **state)
{
    (void)state;
    run_watched(list_another_directory, 1, 0);
}

/* ---- want of memory ---- */

/* An allocation fails somewhere in the reading of a storm; -ENOMEM is said, and the next calls go
 * on. */
static void read_without_memory(struct c_task *self)
{
    struct watched *s = self->data;
    storm(s, 20);
    assert_int_equal(open_watch(s, true), 0);
    assert_agrees(s);
    storm(s, 60);
    int error;
    do {
        const struct ml_watch_event *event = NULL;
        fail_calls(FAIL_MEMORY, s->fail_at, 1);
        error = ml_file_watch_next(&s->w, &event, ml_clock_now() + 50 * ML_MILLISECOND);
        unsigned failed = end_failing();
        s->fail_at = failed > 0 ? 0 : s->fail_at;
        if (error == 0) {
            apply_event(&s->picture, event);
            assert_true(ml_file_watch_drop(&s->w, event->serial));
        } else if (error != -ETIMEDOUT) {
            assert_int_equal(error, -ENOMEM);
        }
        if (failed > 0)
            break;
    } while (error != -ETIMEDOUT);
    assert_agrees(s);
    ml_file_watch_close(&s->w);
    self->result = 0;
}

static void test_failing_allocations_lose_nothing(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 200; n += 1 + n / 20)
        run_watched(read_without_memory, n % 7 + 1, n);
}

static void open_without_memory(struct c_task *self)
{
    struct watched *s = self->data;
    storm(s, 40);
    fail_calls(FAIL_MEMORY, s->fail_at, 1);
    int error = open_watch(s, false);
    end_failing();
    assert_true(error == 0 || error == -ENOMEM);
    assert_true(ml_file_watch_is_open(&s->w) == (error == 0));
    ml_file_watch_close(&s->w);
    self->result = 0;
}

static void test_a_watch_opens_or_says_that_memory_is_short(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 60; n++)
        run_watched(open_without_memory, 3, n);
}

/* ---- limits ---- */

static void exceed_the_queue(struct c_task *self)
{
    struct watched *s = self->data;
    char path[PATH_MAX];
    assert_int_equal(open_watch(s, false), 0);
    for (int i = 0; i < 18000; i++) {
        snprintf(path, sizeof path, "%s/%d", s->root, i % 3000);
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        if (i < 15000)
            unlink(path);
    }
    assert_agrees(s);
    assert_int_equal(s->overflows, 1);
    ml_file_watch_close(&s->w);
    self->result = 0;
}

static void test_an_overflow_is_an_event_and_then_a_listing(void **state)
{
    (void)state;
    run_watched(exceed_the_queue, 1, 0);
}

/* ---- closing ---- */

static int descriptors_open(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* While a worker lists, and before it has begun. */
static void close_at_any_time(struct c_task *self)
{
    struct watched *s = self->data;
    const struct ml_watch_event *event;
    storm(s, 60);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(open_watch(s, true), 0);
        for (int k = 0; k < i; k++)
            if (ml_file_watch_next(&s->w, &event, ML_NEVER_WAIT) == 0)
                assert_true(ml_file_watch_drop(&s->w, event->serial));
        ml_file_watch_close(&s->w);
        ml_file_watch_close(&s->w);
        assert_int_equal(ml_file_watch_next(&s->w, &event, ML_NEVER_WAIT), -ML_ECLOSED);
    }
    self->result = 0;
}

static void test_closing_at_any_time_loses_no_descriptor(void **state)
{
    (void)state;
    run_watched(close_at_any_time, 1, 0);
    int before = descriptors_open();
    run_watched(close_at_any_time, 2, 0);
    assert_int_equal(descriptors_open(), before);
}

/* The hub ends while a worker lists; the watch is closed after the hub has stopped. */
static void leave_open(struct c_task *self)
{
    struct watched *s = self->data;
    const struct ml_watch_event *event;
    storm(s, 60);
    assert_int_equal(open_watch(s, true), 0);
    ml_file_watch_next(&s->w, &event, ML_NEVER_WAIT);
    self->result = 0;
}

static void test_a_watch_may_outlive_its_task(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed < 10; seed++)
        run_watched(leave_open, seed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_picture_is_that_of_the_disk_after_a_storm),
        cmocka_unit_test(test_the_picture_is_that_of_the_disk_when_all_is_read_late),
        cmocka_unit_test(test_the_picture_is_that_of_the_disk_after_many_losses),
        cmocka_unit_test(test_a_directory_that_was_renamed_before_it_was_listed_is_listed_again),
        cmocka_unit_test(test_failing_allocations_lose_nothing),
        cmocka_unit_test(test_a_watch_opens_or_says_that_memory_is_short),
        cmocka_unit_test(test_an_overflow_is_an_event_and_then_a_listing),
        cmocka_unit_test(test_closing_at_any_time_loses_no_descriptor),
        cmocka_unit_test(test_a_watch_may_outlive_its_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
