/*
 * A native stack overflow ends the process with a report; every other fault as if nobody watched.
 * What dies is a child of the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "coro_fixture.h"

#include "coro/coro.h"
#include "coro/overflow.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct victim {
    struct ml_coro coro;
    struct ml_bank bank;
    enum ml_coro_stack kind;
    ml_coro_entry *entry;
    int pipe[2]; /* the report's words */
};

static struct victim *victim_of(struct ml_bank *bank)
{
    return ml_container_of(bank, struct victim, bank);
}

static void report(struct ml_bank *bank)
{
    struct victim *victim = victim_of(bank);
    const char *text = bank->running == &victim->coro ? "overflow" : "somebody else";
    if (write(victim->pipe[1], text, strlen(text)) < 0)
        _exit(1);
}

static int dig(struct victim *victim, int depth)
{
    volatile char frame[1024];
    frame[0] = (char)depth;
    int deeper = depth < INT32_MAX ? dig(victim, depth + 1) : 0;
    return deeper + frame[0];
}

static void recurse(void *argument)
{
    exit(dig(argument, 0));
}

static void write_to_null(void *argument)
{
    (void)argument;
    /* Not quite NULL, for which the sanitizer would step in. */
    volatile int *null = (volatile int *)64;
    __asm__("" : "+r"(null));
    *null = 1;
    _exit(1);
}

static void write_to_the_guard_of_another(void *argument)
{
    struct victim *victim = argument;
    struct ml_coro other = {0};
    if (ml_coro_start(&victim->bank, &other, ML_STACK_PRIVATE, recurse, NULL) != 0)
        _exit(1);
    *(volatile char *)(other.seat->stack.base - 1) = 1;
    _exit(1);
}

static int run_victim(void *argument)
{
    struct victim *victim = argument;
    open_bank(&victim->bank, 0, SMALL_STACK);
    if (ml_overflow_watch(&victim->bank, report) != 0)
        return 1;
    if (ml_coro_start(&victim->bank, &victim->coro, victim->kind, victim->entry, victim) != 0)
        return 1;
    drive(&victim->bank, &victim->coro);
    return 0;
}

/* Returns the wait status; `words` gets what the report wrote. */
static int outcome(ml_coro_entry *entry, enum ml_coro_stack kind, char words[32])
{
    struct victim victim = {.entry = entry, .kind = kind};
    ML_CHECK(pipe(victim.pipe) == 0);
    int status = run_in_child(run_victim, &victim);
    close(victim.pipe[1]);
    ssize_t size = read(victim.pipe[0], words, 31);
    words[size > 0 ? size : 0] = '\0';
    close(victim.pipe[0]);
    return status;
}

static void test_endless_recursion_is_reported_and_aborts(void **state)
{
    (void)state;
    char words[32];
    assert_true(died_by(outcome(recurse, ML_STACK_SHARED, words), SIGABRT));
    assert_string_equal(words, "overflow");
}

static void test_a_private_stack_is_watched_too(void **state)
{
    (void)state;
    char words[32];
    assert_true(died_by(outcome(recurse, ML_STACK_PRIVATE, words), SIGABRT));
    assert_string_equal(words, "overflow");
}

static void test_another_fault_dies_by_its_own_signal(void **state)
{
    (void)state;
    char words[32];
    assert_true(died_by(outcome(write_to_null, ML_STACK_SHARED, words), SIGSEGV));
    assert_string_equal(words, "");
}

static void test_a_write_to_the_guard_of_another_stack_is_no_overflow(void **state)
{
    (void)state;
    char words[32];
    assert_true(died_by(outcome(write_to_the_guard_of_another, ML_STACK_SHARED, words), SIGSEGV));
    assert_string_equal(words, "");
}

static void send_to_itself(void *argument)
{
    struct victim *victim = argument;
    kill(getpid(), SIGSEGV);
    finish_here(&victim->bank);
}

/* The handler restored the default action and returned, trusting that the instruction faults again;
 * a signal that was sent does not come back, and the process lived on. */
static void test_a_sent_sigsegv_is_not_swallowed(void **state)
{
    (void)state;
    char words[32];
    assert_true(died_by(outcome(send_to_itself, ML_STACK_SHARED, words), SIGSEGV));
    assert_string_equal(words, "");
}

static void silent(struct ml_bank *bank)
{
    (void)bank;
}

static bool has_signal_stack(void)
{
    stack_t present;
    return sigaltstack(NULL, &present) == 0 && !(present.ss_flags & SS_DISABLE);
}

static int watch_and_unwatch(void *argument)
{
    (void)argument;
    struct ml_bank bank;
    stack_t off = {.ss_flags = SS_DISABLE};
    sigaltstack(&off, NULL);
    open_bank(&bank, 0, SMALL_STACK);
    bool fine = ml_overflow_watch(&bank, silent) == 0 && has_signal_stack();
    fine = fine && ml_overflow_watch(&bank, silent) == 0 && has_signal_stack();
    ml_overflow_unwatch(&bank);
    fine = fine && !has_signal_stack() && bank.signal_stack == NULL;
    ml_overflow_unwatch(&bank);
    close_bank(&bank);
    return fine ? 0 : 1;
}

static void test_the_alternate_stack_comes_and_goes_with_the_watch(void **state)
{
    (void)state;
    assert_true(exited_with(run_in_child(watch_and_unwatch, NULL), 0));
}

static void somebody_elses(int number)
{
    (void)number;
}

static int watch_after_somebody(void *argument)
{
    (void)argument;
    struct ml_bank bank;
    struct sigaction action = {.sa_handler = somebody_elses};
    sigaction(SIGSEGV, &action, NULL);
    open_bank(&bank, 0, SMALL_STACK);
    bool fine = ml_overflow_watch(&bank, silent) == 0;
    sigaction(SIGSEGV, NULL, &action);
    ml_overflow_unwatch(&bank);
    return fine && action.sa_handler == somebody_elses ? 0 : 1;
}

static void test_a_handler_that_is_there_already_stays(void **state)
{
    (void)state;
    assert_true(exited_with(run_in_child(watch_after_somebody, NULL), 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endless_recursion_is_reported_and_aborts),
        cmocka_unit_test(test_a_private_stack_is_watched_too),
        cmocka_unit_test(test_another_fault_dies_by_its_own_signal),
        cmocka_unit_test(test_a_write_to_the_guard_of_another_stack_is_no_overflow),
        cmocka_unit_test(test_a_sent_sigsegv_is_not_swallowed),
        cmocka_unit_test(test_the_alternate_stack_comes_and_goes_with_the_watch),
        cmocka_unit_test(test_a_handler_that_is_there_already_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
