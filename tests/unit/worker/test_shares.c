/* The sockets that a master keeps for its workers: one for all that ask alike, closed when the last
 * one of the generation that serves does not want it any more. And the state that one master leaves
 * to the next program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "worker/handover_state.h"
#include "worker/kept_stores.h"
#include "worker/shares.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct ml_master *new_master(void)
{
    struct ml_master *master = calloc(1, sizeof *master);
    ml_list_init(&master->slots);
    ml_list_init(&master->processes);
    ml_list_init(&master->shares);
    ml_list_init(&master->stores);
    ml_list_init(&master->reload.waiters);
    master->generation = 1;
    return master;
}

static void free_master(struct ml_master *master)
{
    while (!ml_list_is_empty(&master->processes)) {
        struct ml_worker_process *process = ml_process_at(master->processes.next);
        ml_list_remove(&process->link);
        if (process->control.fd >= 0)
            ml_control_close(&process->control);
        if (process->pidfd >= 0)
            close(process->pidfd);
        free(process);
    }
    while (!ml_list_is_empty(&master->slots)) {
        struct ml_worker_slot *slot = ml_slot_at(master->slots.next);
        ml_list_remove(&slot->link);
        free(slot);
    }
    ml_shares_release(master);
    ml_kept_stores_release(master);
    free(master);
}

static struct ml_worker_process worker(uint32_t slot, uint32_t serial, uint32_t generation)
{
    return (struct ml_worker_process){
        .slot_id = slot, .serial = serial, .generation = generation, .control.fd = -1};
}

static struct ml_control_listen asks(uint16_t port, uint32_t ordinal)
{
    struct ml_control_listen asked = {.kind = ML_SHARE_STREAM, .ordinal = ordinal};
    assert_true(ml_address_parse(&asked.address, "127.0.0.1", port));
    return asked;
}

static unsigned count(const struct ml_link *head)
{
    unsigned number = 0;
    for (const struct ml_link *link = head->next; link != head; link = link->next)
        number++;
    return number;
}

static uint16_t port_of(int fd)
{
    struct ml_address address;
    assert_int_equal(ml_address_of_socket(&address, fd), 0);
    return ml_address_port(&address);
}

static void test_workers_that_ask_alike_get_the_same_socket(void **state)
{
    struct ml_master *master = new_master();
    struct ml_worker_process one = worker(1, 1, 1), two = worker(2, 2, 1);
    struct ml_control_listen first = asks(0, 1), second = asks(0, 2);
    uint64_t number, other;
    (void)state;
    int a = ml_shares_listen(master, &one, &first, &number);
    assert_int_equal(ml_shares_listen(master, &two, &first, &other), a);
    assert_int_equal(number, other);
    int b = ml_shares_listen(master, &two, &second, &other);
    assert_true(a >= 0 && b >= 0 && a != b);
    assert_int_equal(ml_shares_listen(master, &one, &second, &other), b);
    assert_int_equal(count(&master->shares), 2);
    free_master(master);
}

static void test_other_options_are_refused_but_a_later_generation_may_change_the_backlog(
    void **state)
{
    struct ml_master *master = new_master();
    struct ml_worker_process one = worker(1, 1, 1), two = worker(2, 2, 1), later = worker(1, 3, 2);
    struct ml_control_listen asked = asks(0, 1), other = asked;
    uint64_t number;
    (void)state;
    int fd = ml_shares_listen(master, &one, &asked, &number);
    other.backlog = 5;
    assert_int_equal(ml_shares_listen(master, &two, &other, &number), -EINVAL);
    assert_int_equal(ml_shares_listen(master, &later, &other, &number), fd);
    other = asked;
    other.is_per_slot = 1;
    assert_int_equal(ml_shares_listen(master, &later, &other, &number), -EINVAL);
    free_master(master);
}

static void test_a_socket_is_closed_with_its_last_user_but_not_with_the_end_of_a_process(
    void **state)
{
    struct ml_master *master = new_master();
    struct ml_worker_process one = worker(1, 1, 1), two = worker(2, 2, 1), again = worker(1, 3, 1);
    struct ml_control_listen asked = asks(0, 1);
    uint64_t number;
    (void)state;
    int fd = ml_shares_listen(master, &one, &asked, &number);
    ml_shares_listen(master, &two, &asked, &number);
    ml_shares_unlisten(master, &two, number);
    ml_shares_unlisten(master, &two, number);           /* once is enough */
    ml_shares_process_ended(master, one.serial, false); /* another one follows */
    assert_int_equal(count(&master->shares), 1);
    assert_int_equal(ml_shares_listen(master, &again, &asked, &number), fd);
    ml_shares_slot_ready(master, &again);
    assert_int_equal(count(&master->shares), 1);
    ml_shares_unlisten(master, &again, number);
    assert_int_equal(count(&master->shares), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    free_master(master);
}

static void test_a_new_generation_closes_what_it_does_not_want_and_a_failed_one_what_it_opened(
    void **state)
{
    struct ml_master *master = new_master();
    struct ml_worker_process old = worker(1, 1, 1), new = worker(1, 2, 2);
    struct ml_control_listen both = asks(0, 1), olds = asks(0, 2), news = asks(0, 3);
    uint64_t number;
    (void)state;
    ml_shares_listen(master, &old, &both, &number);
    ml_shares_listen(master, &old, &olds, &number);
    ml_shares_listen(master, &new, &both, &number);
    ml_shares_listen(master, &new, &news, &number);
    ml_shares_roll_back(master, 2);
    assert_int_equal(count(&master->shares), 2);
    ml_shares_listen(master, &new, &both, &number);
    ml_shares_listen(master, &new, &news, &number);
    ml_shares_generation(master, 2);
    assert_int_equal(count(&master->shares), 2);
    ml_shares_process_ended(master, old.serial, true);
    assert_int_equal(count(&master->shares), 2);
    free_master(master);
}

static void test_with_a_queue_for_each_place_no_other_program_gets_the_port(void **state)
{
    struct ml_master *master = new_master(), *second = new_master();
    struct ml_worker_process one = worker(1, 1, 1), three = worker(3, 2, 1);
    struct ml_control_listen asked = asks(0, 1);
    uint64_t number;
    (void)state;
    asked.is_per_slot = 1;
    int a = ml_shares_listen(master, &one, &asked, &number);
    int b = ml_shares_listen(master, &three, &asked, &number);
    assert_true(a >= 0 && b >= 0 && a != b);
    assert_int_equal(port_of(a), port_of(b));
    struct ml_control_listen taken = asks(port_of(a), 0);
    assert_int_equal(ml_shares_listen(second, &one, &taken, &number), -EADDRINUSE);
    taken.is_per_slot = 1;
    assert_int_equal(ml_shares_listen(second, &one, &taken, &number), -EADDRINUSE);
    assert_int_equal(count(&second->shares), 0);
    ml_shares_forget_slot(master, 3);
    assert_int_equal(fcntl(b, F_GETFD), -1);
    assert_true(fcntl(a, F_GETFD) >= 0);
    free_master(master);
    free_master(second);
}

static void test_a_path_is_removed_with_its_socket_if_it_is_still_ours(void **state)
{
    char path[64];
    struct ml_worker_process one = worker(1, 1, 1);
    struct ml_control_listen asked = {.kind = ML_SHARE_STREAM};
    uint64_t number;
    (void)state;
    snprintf(path, sizeof path, "/tmp/moonlet_shares_%ld", (long)getpid());
    assert_int_equal(ml_address_set_path(&asked.address, path, strlen(path)), 0);
    struct ml_master *master = new_master();
    assert_true(ml_shares_listen(master, &one, &asked, &number) >= 0);
    assert_int_equal(access(path, F_OK), 0);
    free_master(master);
    assert_int_equal(access(path, F_OK), -1);
    master = new_master();
    assert_true(ml_shares_listen(master, &one, &asked, &number) >= 0);
    unlink(path);
    int other = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    free_master(master);
    assert_int_equal(access(path, F_OK), 0);
    close(other);
    unlink(path);
}

/* ---- the state ---- */

static struct ml_master *full_master(void)
{
    struct ml_master *master = new_master();
    struct ml_worker_process one = worker(1, 1, 1);
    struct ml_control_listen asked = asks(0, 1);
    struct ml_control_store store = {.size = 4096, .name = "hits here"};
    uint64_t number;
    int fds[2];
    master->mask = 0x1234;
    master->last_serial = 9;
    memset(&master->tickets, 7, sizeof master->tickets);
    master->tickets_at = 1234567;
    struct ml_worker_slot *slot = calloc(1, sizeof *slot);
    slot->id = 1;
    slot->restarts = 3;
    ml_list_insert(&master->slots, &slot->link);
    struct ml_worker_process *process = calloc(1, sizeof *process);
    *process = one;
    process->slot = slot;
    slot->current = process;
    process->pid = getpid();
    process->pidfd = -1;
    process->state = ML_WORKER_READY;
    process->term_at = process->kill_at = ML_FOREVER;
    assert_int_equal(ml_control_pair(fds), 0);
    close(fds[1]);
    ml_control_open(&process->control, fds[0]);
    ml_list_insert(&master->processes, &process->link);
    assert_true(ml_shares_listen(master, &one, &asked, &number) >= 0);
    assert_true(ml_kept_stores_find(master, &store, &number) >= 0);
    return master;
}

/* Descriptors of the state that was read are copies: both masters close theirs. */
static void copy_descriptors(struct ml_master *master)
{
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next)
        if (ml_process_at(link)->control.fd >= 0)
            ml_process_at(link)->control.fd = dup(ml_process_at(link)->control.fd);
    for (struct ml_link *link = master->shares.next; link != &master->shares; link = link->next) {
        struct ml_share *share = (struct ml_share *)link;
        for (uint32_t i = 0; i < share->fd_count; i++)
            share->fds[i] = dup(share->fds[i]);
    }
    for (struct ml_link *link = master->stores.next; link != &master->stores; link = link->next)
        ((struct ml_worker_store *)link)->fd = dup(((struct ml_worker_store *)link)->fd);
}

static void test_the_next_program_reads_what_this_one_has_written(void **state)
{
    struct ml_master *master = full_master(), *next = new_master();
    FILE *file = tmpfile();
    (void)state;
    assert_true(ml_handover_write(master, file));
    rewind(file);
    assert_int_equal(ml_handover_read(next, file), 0);
    fclose(file);
    copy_descriptors(next);
    assert_int_equal(next->mask, 0x1234);
    assert_int_equal(next->last_serial, 9);
    assert_memory_equal(&next->tickets, &master->tickets, sizeof next->tickets);
    assert_int_equal(next->tickets_at, 1234567);
    const struct ml_worker_slot *slot = ml_slot_at(next->slots.next);
    assert_int_equal(slot->restarts, 3);
    assert_ptr_equal(slot->current, ml_process_at(next->processes.next));
    assert_int_equal(slot->current->pid, getpid());
    assert_int_equal(slot->current->kill_at, ML_FOREVER);
    struct ml_worker_process one = worker(1, 1, 1);
    struct ml_control_listen asked = asks(0, 1);
    uint64_t number;
    assert_true(ml_shares_listen(next, &one, &asked, &number) >= 0);
    assert_int_equal(count(&next->shares), 1);
    const struct ml_worker_store *store = (const struct ml_worker_store *)next->stores.next;
    assert_string_equal(store->name, "hits here");
    assert_int_equal(store->size, 4096);
    free_master(next);
    free_master(master);
}

static void test_a_state_that_is_cut_short_or_of_another_version_is_refused(void **state)
{
    struct ml_master *master = full_master();
    char *text = NULL;
    size_t size = 0;
    (void)state;
    FILE *file = open_memstream(&text, &size);
    assert_true(ml_handover_write(master, file));
    fclose(file);
    for (size_t length = 1; length + 4 < size; length += 1 + length / 64) {
        struct ml_master *next = new_master();
        file = fmemopen(text, length, "r");
        assert_int_equal(ml_handover_read(next, file), -EPROTO);
        fclose(file);
        copy_descriptors(next);
        free_master(next);
    }
    text[8]++; /* the version */
    struct ml_master *next = new_master();
    file = fmemopen(text, size, "r");
    assert_int_equal(ml_handover_read(next, file), -EPROTO);
    fclose(file);
    free(text);
    free_master(next);
    free_master(master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_that_ask_alike_get_the_same_socket),
        cmocka_unit_test(
            test_other_options_are_refused_but_a_later_generation_may_change_the_backlog),
        cmocka_unit_test(
            test_a_socket_is_closed_with_its_last_user_but_not_with_the_end_of_a_process),
        cmocka_unit_test(
            test_a_new_generation_closes_what_it_does_not_want_and_a_failed_one_what_it_opened),
        cmocka_unit_test(test_with_a_queue_for_each_place_no_other_program_gets_the_port),
        cmocka_unit_test(test_a_path_is_removed_with_its_socket_if_it_is_still_ours),
        cmocka_unit_test(test_the_next_program_reads_what_this_one_has_written),
        cmocka_unit_test(test_a_state_that_is_cut_short_or_of_another_version_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
