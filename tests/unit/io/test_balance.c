/* Connections over processes: which of them pauses before it accepts, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/balance.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 4 };

static int memory;
static struct ml_balance all[MOST];

/* That many processes, which all accept; in truth they are this one. */
static void open_all(int count)
{
    memory = memfd_create("balance", 0);
    assert_true(memory >= 0);
    assert_int_equal(ftruncate(memory, (off_t)ml_balance_size()), 0);
    memset(all, 0, sizeof all);
    for (int i = 0; i < count; i++) {
        assert_int_equal(ml_balance_open(&all[i], memory, (uint32_t)(2 * i), (uint32_t)i + 1), 0);
        ml_balance_join(&all[i]);
    }
}

static void close_all(void)
{
    for (int i = 0; i < MOST; i++) {
        ml_balance_release(&all[i]);
        ml_balance_release(&all[i]);
    }
    close(memory);
}

static void take(struct ml_balance *balance, int count)
{
    for (int i = 0; i < count; i++)
        ml_balance_opened(balance);
}

/* How many pauses it makes before the next connection. */
static unsigned pauses(struct ml_balance *balance)
{
    unsigned count = 0;
    while (ml_balance_must_pause(balance, count))
        count++;
    return count;
}

static void one_that_is_alone_never_pauses(void **state)
{
    (void)state;
    struct ml_balance without = {0};
    take(&without, 10);
    assert_int_equal(pauses(&without), 0);
    open_all(1);
    take(&all[0], 1000);
    assert_int_equal(pauses(&all[0]), 0);
    close_all();
}

static void one_that_is_ahead_of_the_mean_pauses(void **state)
{
    (void)state;
    open_all(2);
    assert_int_equal(pauses(&all[0]), 0);
    take(&all[0], 1);
    assert_int_equal(pauses(&all[0]), 0);
    take(&all[0], 1);
    assert_true(ml_balance_must_pause(&all[0], 0));
    assert_false(ml_balance_must_pause(&all[1], 0));
    take(&all[1], 1);
    assert_false(ml_balance_must_pause(&all[0], 0));
    close_all();
}

/* 320 and 300: 310 on average, a sixteenth of which is 19. */
static void of_many_connections_a_sixteenth_more_is_fair(void **state)
{
    (void)state;
    open_all(2);
    take(&all[0], 320);
    take(&all[1], 300);
    assert_false(ml_balance_must_pause(&all[0], 0));
    take(&all[0], 30);
    assert_true(ml_balance_must_pause(&all[0], 0));
    for (int i = 0; i < 30; i++)
        ml_balance_closed(&all[0]);
    assert_false(ml_balance_must_pause(&all[0], 0));
    close_all();
}

/* A worker that computes must not keep connections from being served by those that do not. */
static void those_behind_that_do_not_accept_are_waited_for_less_and_less(void **state)
{
    unsigned last, total = 0;
    (void)state;
    open_all(3);
    take(&all[0], 10);
    take(&all[1], 10);
    unsigned first = last = pauses(&all[0]);
    assert_true(first > 0 && first <= 20);
    for (int i = 0; i < 20 && last > 0; i++) {
        take(&all[0], 1);
        take(&all[1], 1); /* the third one is the one behind */
        unsigned now = pauses(&all[0]);
        assert_true(now < last);
        last = now;
        total += now;
    }
    assert_int_equal(last, 0);
    assert_true(total <= first);
    take(&all[2], 1);
    assert_int_equal(pauses(&all[0]), first);
    close_all();
}

static void one_that_has_left_does_not_count(void **state)
{
    (void)state;
    open_all(2);
    take(&all[0], 10);
    assert_true(ml_balance_must_pause(&all[0], 0));
    ml_balance_leave(&all[1]);
    ml_balance_leave(&all[1]);
    assert_false(ml_balance_must_pause(&all[0], 0));
    ml_balance_join(&all[1]);
    assert_true(ml_balance_must_pause(&all[0], 0));
    ml_balance_leave(&all[0]);
    assert_false(ml_balance_must_pause(&all[0], 0));
    close_all();
}

static void one_that_was_killed_is_forgotten(void **state)
{
    (void)state;
    open_all(1);
    pid_t child = fork();
    if (child == 0) {
        struct ml_balance other = {0};
        ml_balance_open(&other, memory, 2, 2);
        ml_balance_join(&other);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    take(&all[0], 10);
    ml_balance_must_pause(&all[0], 0); /* finds it dead */
    assert_false(ml_balance_must_pause(&all[0], 0));
    close_all();
}

/* A reload after the next gives the place again, while connections of the first one are open. */
static void one_whose_place_was_given_away_changes_nothing_there(void **state)
{
    struct ml_balance next = {0};
    (void)state;
    open_all(2);
    take(&all[0], 10);
    ml_balance_leave(&all[0]);
    assert_int_equal(ml_balance_open(&next, memory, 0, 9), 0);
    ml_balance_join(&next);
    take(&next, 3);
    ml_balance_closed(&all[0]);
    ml_balance_leave(&all[0]);
    ml_balance_join(&all[0]);
    assert_false(ml_balance_must_pause(&all[0], 0));
    assert_true(ml_balance_must_pause(&next, 0));
    ml_balance_release(&next);
    close_all();
}

static void a_fork_changes_nothing(void **state)
{
    int status;
    (void)state;
    open_all(2);
    take(&all[0], 10);
    pid_t child = fork();
    if (child == 0) {
        bool pauses = ml_balance_must_pause(&all[0], 0);
        for (int i = 0; i < 10; i++)
            ml_balance_closed(&all[0]);
        ml_balance_leave(&all[0]);
        ml_balance_join(&all[0]);
        _exit(pauses);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(ml_balance_must_pause(&all[0], 0));
    close_all();
}

static void what_cannot_be_is_refused(void **state)
{
    struct ml_balance balance = {0};
    (void)state;
    open_all(0);
    assert_int_equal(ml_balance_open(&balance, memory, ML_BALANCE_PLACES, 1), -EINVAL);
    assert_int_equal(ml_balance_open(&balance, memory, 0, 0), -EINVAL);
    assert_int_equal(ml_balance_open(&balance, -1, 0, 1), -EBADF);
    assert_int_equal(ml_balance_open(&balance, memory, ML_BALANCE_PLACES - 1, 1), 0);
    ml_balance_join(&balance);
    take(&balance, 5);
    assert_int_equal(pauses(&balance), 0);
    ml_balance_release(&balance);
    close_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_alone_never_pauses),
        cmocka_unit_test(one_that_is_ahead_of_the_mean_pauses),
        cmocka_unit_test(of_many_connections_a_sixteenth_more_is_fair),
        cmocka_unit_test(those_behind_that_do_not_accept_are_waited_for_less_and_less),
        cmocka_unit_test(one_that_has_left_does_not_count),
        cmocka_unit_test(one_that_was_killed_is_forgotten),
        cmocka_unit_test(one_whose_place_was_given_away_changes_nothing_there),
        cmocka_unit_test(a_fork_changes_nothing),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
