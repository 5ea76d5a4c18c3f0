/*
 * The hard switch itself: what travels through it, what survives it, and how a coroutine begins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "coro_fixture.h"
#include "coro_registers.h"

#include "coro/coro.h"
#include "coro/stack.h"
#include "coro/switch.h"

#include <pthread.h>
#include <stdlib.h>
#include <unwind.h>

/* Two contexts without a bank: the test's own and one on a stack of its own. */
struct pair {
    struct ml_stack stack;
    void *outside; /* stack pointer of the test while the other runs */
    void *inside;
    uint64_t values[KEPT_REGISTERS];
    void *seen;
};

static void open_pair(struct pair *pair, ml_context_start *start, void *second)
{
    *pair = (struct pair){0};
    assert_int_equal(ml_stack_map(&pair->stack, SMALL_STACK), 0);
    pair->inside = ml_context_make(ml_stack_top(&pair->stack), start, pair, second);
}

static void close_pair(struct pair *pair)
{
    ml_stack_unmap(&pair->stack);
}

static void note_second(void *first, void *second)
{
    struct pair *pair = first;
    pair->seen = second;
    ml_context_switch(&pair->inside, pair->outside);
}

static void test_a_context_gets_the_two_values_it_was_made_with(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair, note_second, &pair.values);
    ml_context_switch(&pair.outside, pair.inside);
    assert_ptr_equal(pair.seen, &pair.values);
    close_pair(&pair);
}

enum { REGISTER_ROUNDS = 100 };

static void keep_registers(void *first, void *second)
{
    struct pair *pair = first;
    bool *kept = second;
    for (uint64_t round = 0;; round++) {
        set_registers(pair->values, ~round);
        switch_with_registers(&pair->inside, pair->outside, pair->values);
        *kept = *kept && have_registers(pair->values, ~round);
    }
}

static void test_callee_saved_registers_survive_on_both_sides(void **state)
{
    (void)state;
    struct pair pair;
    bool kept_inside = true;
    open_pair(&pair, keep_registers, &kept_inside);
    for (uint64_t round = 0; round < REGISTER_ROUNDS; round++) {
        uint64_t values[KEPT_REGISTERS];
        set_registers(values, round);
        switch_with_registers(&pair.outside, pair.inside, values);
        assert_true(have_registers(values, round));
        assert_true(kept_inside);
    }
    close_pair(&pair);
}

/* A coroutine of these tests. */
struct worker {
    struct ml_coro coro;
    struct ml_bank *bank;
    struct worker *peer;
    uint64_t value;
    uint64_t rounds;
    bool failed;
};

static void start_worker(struct worker *worker, struct ml_bank *bank, ml_coro_entry *entry)
{
    *worker = (struct worker){.bank = bank};
    assert_int_equal(ml_coro_start(bank, &worker->coro, ML_STACK_SHARED, entry, worker), 0);
}

static void add_one_each_time(void *argument)
{
    struct worker *self = argument;
    for (int i = 0; i < 3; i++) {
        self->value++;
        pause_here(self->bank);
    }
    finish_here(self->bank);
}

static void test_values_pass_in_both_directions(void **state)
{
    (void)state;
    struct ml_bank bank;
    struct worker worker;
    open_bank(&bank, 0, SMALL_STACK);
    start_worker(&worker, &bank, add_one_each_time);
    for (uint64_t value = 10; value <= 30; value += 10) {
        worker.value = value;
        drive(&bank, &worker.coro);
        assert_int_equal(worker.value, value + 1);
        assert_ptr_equal(bank.running, &bank.origin);
    }
    drive(&bank, &worker.coro);
    assert_true(ml_coro_is_unbound(&worker.coro));
    close_bank(&bank);
}

static unsigned mode_of(unsigned seed, int word)
{
    return (seed + (unsigned)word) % 4;
}

static bool has_modes(unsigned seed)
{
    for (int word = 0; word < CONTROL_WORDS; word++)
        if (get_rounding(word) != mode_of(seed, word))
            return false;
    return true;
}

static void set_modes(unsigned seed)
{
    for (int word = 0; word < CONTROL_WORDS; word++)
        set_rounding(word, mode_of(seed, word));
}

static void set_nearest(void)
{
    for (int word = 0; word < CONTROL_WORDS; word++)
        set_rounding(word, 0);
}

/* Begins with the modes of whoever started it; keeps its own from then on. */
static void keep_modes(void *argument)
{
    struct worker *self = argument;
    self->failed = !has_modes(0);
    for (unsigned seed = (unsigned)self->value;; seed++) {
        set_modes(seed);
        pause_here(self->bank);
        self->failed = self->failed || !has_modes(seed);
    }
}

static void test_each_coroutine_has_floating_point_control_words_of_its_own(void **state)
{
    (void)state;
    struct ml_bank bank;
    struct worker workers[3];
    open_bank(&bank, 0, SMALL_STACK);
    set_modes(0);
    for (uint64_t i = 0; i < 3; i++) {
        start_worker(&workers[i], &bank, keep_modes);
        workers[i].value = i + 1;
    }
    for (int step = 0; step < 30; step++) {
        drive(&bank, &workers[step % 3].coro);
        assert_true(has_modes(0));
        assert_false(workers[step % 3].failed);
    }
    for (int i = 0; i < 3; i++)
        ml_coro_drop(&bank, &workers[i].coro);
    close_bank(&bank);
    set_nearest();
}

/* One word alone differs: the switch may not skip loading it because the other one is equal. */
static void keep_one_mode(void *argument)
{
    struct worker *self = argument;
    int word = (int)self->value;
    set_rounding(word, 2);
    pause_here(self->bank);
    self->failed = get_rounding(word) != 2;
    finish_here(self->bank);
}

static void test_a_control_word_is_kept_when_it_alone_differs(void **state)
{
    (void)state;
    for (int word = 0; word < CONTROL_WORDS; word++) {
        struct ml_bank bank;
        struct worker worker;
        open_bank(&bank, 0, SMALL_STACK);
        start_worker(&worker, &bank, keep_one_mode);
        worker.value = (uint64_t)word;
        for (int step = 0; step < 2; step++) {
            drive(&bank, &worker.coro);
            assert_int_equal(get_rounding(word), 0);
        }
        assert_false(worker.failed);
        close_bank(&bank);
    }
}

/* The address as the machine has it: the compiler would trust the alignment it asked for. */
static uintptr_t real_address(const void *pointer)
{
    __asm__ volatile("" : "+r"(pointer));
    return (uintptr_t)pointer;
}

static void store_aligned(void *argument)
{
    struct worker *self = argument;
    _Alignas(16) float four[4] = {1, 2, 3, 4};
#ifdef __x86_64__
    /* Faults when the stack is not a multiple of 16. */
    __asm__ volatile("movaps %0, %%xmm0\n\tmovaps %%xmm0, %0" : "+m"(four) : : "xmm0");
#endif
    self->failed = real_address(four) % 16 != 0;
    pause_here(self->bank);
    finish_here(self->bank);
}

static void test_the_stack_is_aligned_at_entry(void **state)
{
    (void)state;
    struct ml_bank bank;
    struct worker worker;
    open_bank(&bank, 0, SMALL_STACK);
    start_worker(&worker, &bank, store_aligned);
    drive(&bank, &worker.coro);
    assert_false(worker.failed);
    drive(&bank, &worker.coro);
    close_bank(&bank);
}

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *argument)
{
    struct worker *worker = argument;
    (void)context;
    return ++worker->value < 100 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

static void unwind(void *argument)
{
    struct worker *self = argument;
    self->failed = _Unwind_Backtrace(count_frame, self) != _URC_END_OF_STACK;
    finish_here(self->bank);
}

static void test_a_backtrace_ends_at_the_entry_of_the_coroutine(void **state)
{
    (void)state;
    struct ml_bank bank;
    struct worker worker;
    open_bank(&bank, 0, SMALL_STACK);
    start_worker(&worker, &bank, unwind);
    drive(&bank, &worker.coro);
    assert_false(worker.failed);
    assert_in_range(worker.value, 2, 8);
    close_bank(&bank);
}

static void play(void *argument)
{
    struct worker *self = argument;
    while (self->value < self->rounds) {
        self->value++;
        go_to(self->bank, &self->peer->coro);
    }
    pause_here(self->bank);
}

static void test_a_million_switches_between_two_coroutines(void **state)
{
    (void)state;
    enum { ROUNDS = 500000 };
    struct ml_bank bank;
    struct worker ping, pong;
    open_bank(&bank, 0, SMALL_STACK);
    start_worker(&ping, &bank, play);
    start_worker(&pong, &bank, play);
    ping.peer = &pong, pong.peer = &ping;
    ping.rounds = pong.rounds = ROUNDS;
    drive(&bank, &ping.coro);
    assert_int_equal(ping.value, ROUNDS);
    assert_int_equal(pong.value, ROUNDS);
    ml_coro_drop(&bank, &ping.coro);
    ml_coro_drop(&bank, &pong.coro);
    close_bank(&bank);
}

static void sum_up(void *argument)
{
    struct worker *self = argument;
    uint64_t sum = 0;
    for (uint64_t i = 1; i <= self->rounds; i++) {
        sum += i * self->value;
        pause_here(self->bank);
    }
    self->value = sum;
    finish_here(self->bank);
}

static void test_a_thousand_coroutines_keep_their_own_locals(void **state)
{
    (void)state;
    enum { COUNT = 1000, ROUNDS = 4 };
    struct ml_bank bank;
    struct worker *workers = malloc(COUNT * sizeof *workers);
    assert_non_null(workers);
    open_bank(&bank, 0, SMALL_STACK);
    for (uint64_t i = 0; i < COUNT; i++) {
        start_worker(&workers[i], &bank, sum_up);
        workers[i].value = i;
        workers[i].rounds = ROUNDS;
    }
    for (int round = 0; round <= ROUNDS; round++)
        for (int i = 0; i < COUNT; i++)
            drive(&bank, &workers[i].coro);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_true(ml_coro_is_unbound(&workers[i].coro));
        assert_int_equal(workers[i].value, i * ROUNDS * (ROUNDS + 1) / 2);
    }
    free(workers);
    close_bank(&bank);
}

/* A thread with a bank of its own; sets *argument when all went well. */
static void *run_bank(void *argument)
{
    bool *fine = argument;
    struct ml_bank bank;
    struct worker worker = {.bank = &bank, .value = 1, .rounds = 10000};
    open_bank(&bank, 0, SMALL_STACK);
    if (ml_coro_start(&bank, &worker.coro, ML_STACK_SHARED, sum_up, &worker) != 0)
        return NULL;
    while (!ml_coro_is_unbound(&worker.coro))
        drive(&bank, &worker.coro);
    close_bank(&bank);
    *fine = worker.value == 10000u * 10001 / 2;
    return NULL;
}

static void test_every_thread_can_have_a_bank(void **state)
{
    (void)state;
    pthread_t threads[4];
    bool fine[4] = {false};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_bank, &fine[i]), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(fine[i]);
    }
}

static void switch_to_itself(void *argument)
{
    struct worker *self = argument;
    ml_coro_switch(self->bank, &self->coro);
    _exit(0);
}

static int run_into_it(void *argument)
{
    struct worker *worker = argument;
    close(STDERR_FILENO);
    ml_coro_switch(worker->bank, &worker->coro);
    return 0;
}

static void test_a_switch_to_itself_breaks_an_invariant(void **state)
{
    (void)state;
    struct ml_bank bank;
    struct worker worker;
    open_bank(&bank, 0, SMALL_STACK);
    start_worker(&worker, &bank, switch_to_itself);
    assert_true(died_by(run_in_child(run_into_it, &worker), SIGABRT));
    ml_coro_drop(&bank, &worker.coro);
    close_bank(&bank);
}

static void test_a_switch_to_one_that_was_not_started_breaks_an_invariant(void **state)
{
    (void)state;
    struct ml_bank bank;
    struct worker worker = {.bank = &bank};
    open_bank(&bank, 0, SMALL_STACK);
    assert_true(died_by(run_in_child(run_into_it, &worker), SIGABRT));
    close_bank(&bank);
}

static void test_a_switch_to_frames_that_are_away_breaks_an_invariant(void **state)
{
    (void)state;
    struct ml_bank bank;
    struct worker away, here;
    open_bank(&bank, 1, SMALL_STACK);
    if (!has_shared(&bank, 1))
        skip();
    start_worker(&away, &bank, add_one_each_time);
    start_worker(&here, &bank, add_one_each_time);
    assert_true(died_by(run_in_child(run_into_it, &away), SIGABRT));
    ml_coro_drop(&bank, &away.coro);
    ml_coro_drop(&bank, &here.coro);
    close_bank(&bank);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_context_gets_the_two_values_it_was_made_with),
        cmocka_unit_test(test_callee_saved_registers_survive_on_both_sides),
        cmocka_unit_test(test_values_pass_in_both_directions),
        cmocka_unit_test(test_each_coroutine_has_floating_point_control_words_of_its_own),
        cmocka_unit_test(test_a_control_word_is_kept_when_it_alone_differs),
        cmocka_unit_test(test_the_stack_is_aligned_at_entry),
        cmocka_unit_test(test_a_backtrace_ends_at_the_entry_of_the_coroutine),
        cmocka_unit_test(test_a_switch_to_itself_breaks_an_invariant),
        cmocka_unit_test(test_a_switch_to_one_that_was_not_started_breaks_an_invariant),
        cmocka_unit_test(test_a_switch_to_frames_that_are_away_breaks_an_invariant),
        cmocka_unit_test(test_a_million_switches_between_two_coroutines),
        cmocka_unit_test(test_a_thousand_coroutines_keep_their_own_locals),
        cmocka_unit_test(test_every_thread_can_have_a_bank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
