/* The secrets of TLS session tickets: one for the present, one before it, one after it. The test
 * sets the clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "worker/control.h"
#include "worker/tickets.h"
#include "worker/worker_process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPAN (100 * ML_SECOND)

static struct ml_master *new_master(void)
{
    struct ml_master *master = calloc(1, sizeof *master);
    master->options.tickets = SPAN;
    master->now = 1000 * ML_SECOND;
    ml_list_init(&master->processes);
    assert_int_equal(ml_tickets_open(master), 0);
    return master;
}

static bool is_same(const struct ml_ticket_secrets *a, int i, const struct ml_ticket_secrets *b,
                    int j)
{
    return memcmp(a->bytes[i], b->bytes[j], ML_TICKET_SECRET) == 0;
}

static void test_the_first_ones_differ(void **state)
{
    (void)state;
    struct ml_master *master = new_master(), *other = new_master();
    assert_false(is_same(&master->tickets, 0, &master->tickets, 1));
    assert_false(is_same(&master->tickets, 1, &master->tickets, 2));
    assert_false(is_same(&master->tickets, 0, &master->tickets, 2));
    assert_false(is_same(&master->tickets, 0, &other->tickets, 0));
    free(master);
    free(other);
}

static void test_nothing_changes_before_its_time(void **state)
{
    (void)state;
    struct ml_master *master = new_master();
    struct ml_ticket_secrets first = master->tickets;
    master->now += SPAN - 1;
    assert_int_equal(ml_tickets_turn(master), master->now + 1);
    assert_memory_equal(&first, &master->tickets, sizeof first);
    free(master);
}

/* Each secret can be read by the workers from one change before it encrypts until one change after.
 */
static void test_a_change_moves_them_on(void **state)
{
    (void)state;
    struct ml_master *master = new_master();
    for (int i = 0; i < 5; i++) {
        struct ml_ticket_secrets old = master->tickets;
        master->now += SPAN;
        assert_int_equal(ml_tickets_turn(master), master->now + SPAN);
        assert_int_equal(master->tickets.number, old.number + 1);
        assert_true(is_same(&master->tickets, 0, &old, 2));
        assert_true(is_same(&master->tickets, 1, &old, 0));
        for (int j = 0; j < ML_TICKET_SECRETS; j++)
            assert_false(is_same(&master->tickets, 2, &old, j));
    }
    free(master);
}

/* A machine that has slept makes one change, not all that it has missed. */
static void test_a_long_time_is_one_change(void **state)
{
    (void)state;
    struct ml_master *master = new_master();
    master->now += 1000 * SPAN;
    assert_int_equal(ml_tickets_turn(master), master->now + SPAN);
    assert_int_equal(master->tickets.number, 2);
    free(master);
}

static void test_workers_are_told(void **state)
{
    (void)state;
    int fds[2];
    struct ml_master *master = new_master();
    struct ml_worker_process *process = calloc(1, sizeof *process);
    struct ml_control worker;
    struct ml_control_message *message = malloc(sizeof *message);
    struct ml_ticket_secrets told;
    assert_int_equal(ml_control_pair(fds), 0);
    ml_control_open(&process->control, fds[0]);
    ml_control_open(&worker, fds[1]);
    ml_list_insert(&master->processes, &process->link);
    ml_tickets_turn(master);
    assert_int_equal(ml_control_receive(&worker, message), -EAGAIN);
    master->now += SPAN;
    ml_tickets_turn(master);
    assert_int_equal(ml_control_receive(&worker, message), 1);
    assert_int_equal(message->head.type, ML_CONTROL_TICKETS);
    assert_true(ml_control_read(message, &told, sizeof told));
    assert_memory_equal(&told, &master->tickets, sizeof told);
    ml_control_close(&worker);
    ml_control_close(&process->control);
    free(message);
    free(process);
    free(master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_ones_differ),
        cmocka_unit_test(test_nothing_changes_before_its_time),
        cmocka_unit_test(test_a_change_moves_them_on),
        cmocka_unit_test(test_a_long_time_is_one_change),
        cmocka_unit_test(test_workers_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
