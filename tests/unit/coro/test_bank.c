/*
 * The bank: who sits on which stack, when frames are moved, and that they come back as they were.
 * Where a tool needs private stacks nothing is ever moved; such tests then only ask for the
 * content.
 */
#include "coro/coro.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "coro_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { LARGE_STACK = 4 << 20 };

/* A coroutine of these tests: keeps a pattern in a local, checked after each switch. */
struct sitter {
    struct ml_coro coro;
    struct ml_bank *bank;
    struct ml_coro *peer; /* goes there instead of pausing */
    size_t size;
    uint64_t seed;
    unsigned rounds; /* ends after so many */
    unsigned done;
    int error;    /* of what it tried */
    bool spoiled; /* its content was not what it left */
};

static void give_way(struct sitter *self)
{
    if (self->peer != NULL)
        go_to(self->bank, self->peer);
    else
        pause_here(self->bank);
}

static __attribute__((noinline)) void sit(struct sitter *self)
{
    unsigned char content[self->size + 1];
    unsigned char *where = content;
    fill_pattern(content, self->size, self->seed);
    while (self->done < self->rounds) {
        self->done++;
        give_way(self);
        self->spoiled = self->spoiled || where != content;
        self->spoiled = self->spoiled || !holds_pattern(content, self->size, self->seed);
    }
}

static void sit_to_the_end(void *argument)
{
    struct sitter *self = argument;
    sit(self);
    finish_here(self->bank);
}

static struct sitter sitter_of(struct ml_bank *bank, size_t size, unsigned rounds)
{
    return (struct sitter){.bank = bank, .size = size, .seed = size, .rounds = rounds};
}

static int try_start(struct sitter *sitter)
{
    return ml_coro_start(sitter->bank, &sitter->coro, ML_STACK_SHARED, sit_to_the_end, sitter);
}

static void start(struct sitter *sitter)
{
    assert_int_equal(try_start(sitter), 0);
}

/* Runs it until it pauses; what it holds must be whole. */
static void run(struct sitter *sitter)
{
    drive(sitter->bank, &sitter->coro);
    assert_false(sitter->spoiled);
}

static void begin(struct sitter *sitter)
{
    start(sitter);
    run(sitter);
}

static void run_to_the_end(struct sitter *sitter)
{
    while (!ml_coro_is_unbound(&sitter->coro))
        run(sitter);
    assert_int_equal(sitter->done, sitter->rounds);
}

/* Every fact that the bank states twice must agree. The running coroutine is the origin. */
static void check_books(const struct ml_bank *bank)
{
    ML_CHECK(bank->made <= bank->limit);
    for (unsigned i = 0; i < bank->made; i++) {
        const struct ml_seat *seat = &bank->shared[i];
        ML_CHECK(((bank->empty >> i & 1) != 0) == (seat->occupant == NULL));
        ML_CHECK(seat->stack.base != NULL && !seat->is_private);
        if (seat->occupant != NULL) {
            ML_CHECK(seat->occupant->seat == seat);
            ML_CHECK(seat->occupant->copy_size == 0);
        }
    }
    ML_CHECK(bank->made == 64 || bank->empty >> bank->made == 0);
}

static void check_coro(const struct ml_coro *coro)
{
    ML_CHECK((coro->copy == NULL) == (coro->copy_size == 0));
    if (ml_coro_is_unbound(coro)) {
        ML_CHECK(coro->copy == NULL);
        return;
    }
    ML_CHECK((coro->copy_size == 0) == (coro->seat->occupant == coro));
    ML_CHECK((char *)coro->sp >= coro->seat->stack.base);
    ML_CHECK((char *)coro->sp < ml_stack_top(&coro->seat->stack));
}

static void test_no_stack_is_mapped_before_the_first_start(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 0, 0);
    assert_int_equal(bank.made, 0);
    assert_ptr_equal(bank.running, &bank.origin);
    assert_int_equal(bank.stack_size, ML_BANK_STACK_SIZE);
    assert_int_equal(bank.limit, ML_IS_HOSTILE ? 1 : ML_BANK_STACKS);
    close_bank(&bank);
}

static void test_frames_stay_in_place_when_nobody_conflicts(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 2, SMALL_STACK);
    struct sitter a = sitter_of(&bank, 100, 1000), b = sitter_of(&bank, 200, 1000);
    start(&a);
    if (!ML_IS_HOSTILE)
        start(&b);
    for (int i = 0; i < 1000; i++) {
        run(&a);
        if (!ML_IS_HOSTILE)
            run(&b);
    }
    assert_int_equal(bank.copies, 0);
    assert_int_equal(bank.copied_bytes, 0);
    run_to_the_end(&a);
    if (!ML_IS_HOSTILE)
        run_to_the_end(&b);
    close_bank(&bank);
}

static void test_two_on_two_stacks_switch_directly_without_a_copy(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 2, SMALL_STACK);
    if (ML_IS_HOSTILE)
        skip();
    struct sitter a = sitter_of(&bank, 100, 1000), b = sitter_of(&bank, 200, 1000);
    start(&a), start(&b);
    a.peer = &b.coro, b.peer = &a.coro;
    run(&a);
    assert_int_equal(a.done, 1000);
    assert_int_equal(bank.copies, 0);
    ml_coro_drop(&bank, &a.coro);
    ml_coro_drop(&bank, &b.coro);
    close_bank(&bank);
}

static void test_conflicting_frames_are_moved_and_come_back_byte_for_byte(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    struct sitter a = sitter_of(&bank, 3000, 20), b = sitter_of(&bank, 30000, 20);
    begin(&a);
    start(&b);
    if (!bank.all_private) {
        assert_int_equal(bank.copies, 1);
        assert_int_equal(a.coro.copy_size, ml_stack_top(&a.coro.seat->stack) - (char *)a.coro.sp);
        assert_in_range(a.coro.copy_size, 3000, 3000 + 4096);
        assert_int_equal(bank.copied_bytes, a.coro.copy_size);
    }
    for (int i = 0; i < 20; i++) {
        run(&b);
        run(&a);
        if (!bank.all_private)
            assert_int_equal(bank.copies, 2 + 2 * i);
    }
    assert_true(ml_coro_is_unbound(&a.coro));
    run_to_the_end(&b);
    check_books(&bank);
    close_bank(&bank);
}

static void test_a_copy_is_not_repeated_while_its_owner_stays_away(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    struct sitter a = sitter_of(&bank, 500, 2), b = sitter_of(&bank, 500, 100);
    begin(&a);
    start(&b);
    uint64_t copies = bank.copies;
    for (int i = 0; i < 50; i++)
        run(&b);
    assert_int_equal(bank.copies, copies);
    run_to_the_end(&a);
    run_to_the_end(&b);
    close_bank(&bank);
}

static void test_vacated_frames_are_poisoned_in_the_hostile_build(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    if (!ML_IS_HOSTILE || bank.all_private)
        skip();
    struct sitter a = sitter_of(&bank, 3000, 2), b = sitter_of(&bank, 10, 1);
    begin(&a);
    start(&b);
    const unsigned char *vacated = a.coro.sp;
    for (int i = 0; i < 2000; i++)
        assert_int_equal(vacated[i], 0xA5);
    run_to_the_end(&a);
    run_to_the_end(&b);
    close_bank(&bank);
}

static void try_direct_switch(void *argument)
{
    struct sitter *self = argument;
    self->error = switch_to(self->bank, self->peer);
    ML_CHECK(self->bank->running == &self->coro);
    self->done++;
    go_to(self->bank, self->peer);
    finish_here(self->bank);
}

static void test_a_direct_switch_on_one_stack_is_eagain_and_works_through_the_origin(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    if (!has_shared(&bank, 1))
        skip();
    struct sitter a = sitter_of(&bank, 0, 1), b = sitter_of(&bank, 2000, 3);
    a.peer = &b.coro;
    start(&b);
    assert_int_equal(ml_coro_start(&bank, &a.coro, ML_STACK_SHARED, try_direct_switch, &a), 0);
    drive(&bank, &a.coro);
    assert_int_equal(a.error, -EAGAIN);
    assert_int_equal(a.done, 1);
    assert_int_equal(b.done, 1);
    run(&a);
    assert_true(ml_coro_is_unbound(&a.coro));
    run_to_the_end(&b);
    close_bank(&bank);
}

static void test_two_alternate_on_one_stack_through_the_origin(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    struct sitter a = sitter_of(&bank, 700, 2000), b = sitter_of(&bank, 900, 2000);
    a.peer = &b.coro, b.peer = &a.coro;
    start(&a), start(&b);
    run(&a);
    assert_int_equal(a.done, 2000);
    assert_int_equal(b.done, 2000);
    assert_false(b.spoiled);
    if (!bank.all_private)
        assert_true(bank.copies >= 3999);
    ml_coro_drop(&bank, &a.coro);
    ml_coro_drop(&bank, &b.coro);
    close_bank(&bank);
}

/* Starts its peer's sitter from inside. */
static void start_another(void *argument)
{
    struct sitter *self = argument;
    struct sitter *other = ml_container_of(self->peer, struct sitter, coro);
    self->error = try_start(other);
    pause_here(self->bank);
    finish_here(self->bank);
}

static void test_a_start_on_the_only_stack_from_itself_is_eagain_and_binds_nothing(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    struct sitter a = sitter_of(&bank, 0, 1), b = sitter_of(&bank, 100, 2);
    a.peer = &b.coro;
    ml_coro_start(&bank, &a.coro, ML_STACK_SHARED, start_another, &a);
    drive(&bank, &a.coro);
    assert_int_equal(a.error, bank.all_private ? 0 : -EAGAIN);
    assert_int_equal(ml_coro_is_unbound(&b.coro), !bank.all_private);
    if (a.error == -EAGAIN)
        start(&b);
    run_to_the_end(&b);
    run(&a);
    close_bank(&bank);
}

static int start_private(struct sitter *sitter)
{
    return ml_coro_start(sitter->bank, &sitter->coro, ML_STACK_PRIVATE, sit_to_the_end, sitter);
}

static void test_private_stacks_are_never_shared_nor_copied(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    struct sitter a = sitter_of(&bank, 800, 500), b = sitter_of(&bank, 900, 500);
    a.peer = &b.coro, b.peer = &a.coro;
    assert_int_equal(start_private(&a), 0);
    assert_int_equal(start_private(&b), 0);
    assert_ptr_not_equal(a.coro.seat, b.coro.seat);
    assert_true(a.coro.seat->is_private && b.coro.seat->is_private);
    run(&a);
    assert_int_equal(a.done + b.done, 1000);
    assert_int_equal(bank.copies, 0);
    assert_int_equal(bank.made, 0);
    ml_coro_drop(&bank, &a.coro);
    ml_coro_drop(&bank, &b.coro);
    close_bank(&bank);
}

static void test_private_and_shared_coroutines_switch_to_each_other(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    struct sitter a = sitter_of(&bank, 800, 500), b = sitter_of(&bank, 900, 500);
    a.peer = &b.coro, b.peer = &a.coro;
    start(&a);
    assert_int_equal(start_private(&b), 0);
    run(&a);
    assert_int_equal(a.done + b.done, 1000);
    assert_int_equal(bank.copies, 0);
    ml_coro_drop(&bank, &a.coro);
    ml_coro_drop(&bank, &b.coro);
    close_bank(&bank);
}

static void test_a_private_stack_whose_coroutine_ended_is_used_again(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 0, SMALL_STACK);
    struct sitter a = sitter_of(&bank, 100, 1);
    const struct ml_seat *seat = NULL;
    for (int i = 0; i < 100; i++) {
        a.done = 0;
        assert_int_equal(start_private(&a), 0);
        assert_true(seat == NULL || a.coro.seat == seat);
        seat = a.coro.seat;
        run_to_the_end(&a);
        assert_int_equal(bank.idle_private_count, 1);
    }
    close_bank(&bank);
}

static void test_many_private_stacks_come_and_go(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    struct ml_bank bank;
    struct sitter sitters[COUNT];
    open_bank(&bank, 0, SMALL_STACK);
    for (int wave = 0; wave < 3; wave++) {
        for (int i = 0; i < COUNT; i++) {
            sitters[i] = sitter_of(&bank, (size_t)i * 10, 2);
            assert_int_equal(start_private(&sitters[i]), 0);
            run(&sitters[i]);
        }
        for (int i = 0; i < COUNT; i++)
            run_to_the_end(&sitters[i]);
    }
    close_bank(&bank);
}

/* They are not hoarded until somebody asks for the next one. */
static void test_few_idle_private_stacks_are_kept(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    struct ml_bank bank;
    struct sitter sitters[COUNT];
    open_bank(&bank, 0, SMALL_STACK);
    for (int i = 0; i < COUNT; i++) {
        sitters[i] = sitter_of(&bank, 10, 1);
        assert_int_equal(start_private(&sitters[i]), 0);
    }
    for (int i = 0; i < COUNT; i++)
        run_to_the_end(&sitters[i]);
    assert_in_range(bank.idle_private_count, 1, 16);
    close_bank(&bank);
}

static void (*volatile end_somewhere_else)(struct ml_bank *) = finish_here;

/* Leaves red zones behind in its frame when it ends: exit returns through nobody. */
static void end_inside_arrays(void *argument)
{
    struct sitter *self = argument;
    volatile unsigned char one[40], two[400], three[72];
    for (int i = 0; i < 40; i++)
        one[i] = two[i * 10] = three[i] = (unsigned char)i;
    self->done += one[3] + two[30] + three[3];
    /* Not declared as the end it is, for which the sanitizer would clean up by itself. */
    end_somewhere_else(self->bank);
}

static void fill_one_array(void *argument)
{
    struct sitter *self = argument;
    volatile unsigned char all[2000];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (unsigned char)i;
    self->done += all[7];
    finish_here(self->bank);
}

static void test_a_stack_that_is_used_again_starts_clean(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    struct sitter a = sitter_of(&bank, 0, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ml_coro_start(&bank, &a.coro, ML_STACK_SHARED, end_inside_arrays, &a), 0);
        drive(&bank, &a.coro);
        assert_int_equal(ml_coro_start(&bank, &a.coro, ML_STACK_SHARED, fill_one_array, &a), 0);
        drive(&bank, &a.coro);
    }
    assert_int_equal(a.done, 3 * (3 + 3 + 3 + 7));
    close_bank(&bank);
}

/* Ends as itself, lives on as its peer. */
static void hand_over_to_peer(void *argument)
{
    struct sitter *self = argument;
    struct sitter *heir = ml_container_of(self->peer, struct sitter, coro);
    pause_here(self->bank);
    ml_coro_hand_over(self->bank, &heir->coro);
    ML_CHECK(self->bank->running == &heir->coro);
    sit(heir);
    finish_here(heir->bank);
}

static void check_hand_over(enum ml_coro_stack kind)
{
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    struct sitter a = sitter_of(&bank, 0, 1), heir = sitter_of(&bank, 3000, 5);
    struct sitter rival = sitter_of(&bank, 5000, 5);
    a.peer = &heir.coro;
    assert_int_equal(ml_coro_start(&bank, &a.coro, kind, hand_over_to_peer, &a), 0);
    struct ml_seat *seat = a.coro.seat;
    run(&a);
    begin(&rival);
    run(&a);
    assert_true(ml_coro_is_unbound(&a.coro));
    assert_null(a.coro.copy);
    assert_ptr_equal(heir.coro.seat, seat);
    assert_ptr_equal(seat->occupant, &heir.coro);
    for (int i = 0; i < 4; i++) {
        run(&rival);
        run(&heir);
        check_books(&bank);
    }
    run_to_the_end(&rival);
    run_to_the_end(&heir);
    close_bank(&bank);
}

static void test_hand_over_goes_on_as_the_next_on_the_same_stack(void **state)
{
    (void)state;
    check_hand_over(ML_STACK_SHARED);
    check_hand_over(ML_STACK_PRIVATE);
}

static void test_the_end_empties_the_seat_and_unbinds(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    struct sitter a = sitter_of(&bank, 100, 1);
    start(&a);
    run_to_the_end(&a);
    assert_null(a.coro.copy);
    assert_ptr_equal(bank.running, &bank.origin);
    if (!bank.all_private) {
        assert_null(bank.shared[0].occupant);
        assert_int_equal(bank.empty, 1);
    }
    a.done = 0;
    start(&a);
    run_to_the_end(&a);
    assert_int_equal(bank.copies, 0);
    close_bank(&bank);
}

/* Ends in favour of its peer; the origin goes on with that where -EAGAIN says so. */
static void end_for_peer(void *argument)
{
    struct sitter *self = argument;
    self->error = ml_bank_place(self->bank, self->peer);
    if (self->error == 0)
        ml_coro_exit(self->bank, self->peer);
    fixture_next = self->peer;
    finish_here(self->bank);
}

static void test_the_end_can_go_straight_to_another_or_says_eagain(void **state)
{
    (void)state;
    for (unsigned stacks = 1; stacks <= 2; stacks++) {
        struct ml_bank bank;
        open_bank(&bank, stacks, SMALL_STACK);
        struct sitter a = sitter_of(&bank, 0, 0), b = sitter_of(&bank, 1000, 2);
        a.peer = &b.coro;
        start(&b);
        assert_int_equal(ml_coro_start(&bank, &a.coro, ML_STACK_SHARED, end_for_peer, &a), 0);
        drive(&bank, &a.coro);
        bool one_stack = !bank.all_private && bank.limit == 1;
        assert_int_equal(a.error, one_stack ? -EAGAIN : 0);
        assert_true(ml_coro_is_unbound(&a.coro));
        assert_int_equal(b.done, 1);
        run_to_the_end(&b);
        close_bank(&bank);
    }
}

static void test_dropping_forgets_the_frames_wherever_they_are(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    struct sitter away = sitter_of(&bank, 9000, 9), here = sitter_of(&bank, 500, 9);
    begin(&away);
    begin(&here);
    ml_coro_drop(&bank, &away.coro);
    assert_true(ml_coro_is_unbound(&away.coro));
    assert_null(away.coro.copy);
    run(&here);
    ml_coro_drop(&bank, &here.coro);
    check_books(&bank);
    assert_true(bank.all_private || bank.empty == 1);
    ml_coro_drop(&bank, &here.coro);
    here.done = 0;
    start(&here);
    run_to_the_end(&here);
    close_bank(&bank);
}

static void test_dropping_frames_that_are_away_leaves_the_occupant_in_peace(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    struct sitter a = sitter_of(&bank, 300, 9), b = sitter_of(&bank, 300, 3);
    begin(&a);
    begin(&b);
    ml_coro_drop(&bank, &a.coro);
    assert_ptr_equal(b.coro.seat->occupant, &b.coro);
    run_to_the_end(&b);
    close_bank(&bank);
}

static void test_an_empty_stack_is_chosen_before_a_new_one(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 3, SMALL_STACK);
    if (!has_shared(&bank, 3))
        skip();
    struct sitter s[4];
    for (int i = 0; i < 4; i++)
        s[i] = sitter_of(&bank, 10, 1);
    start(&s[0]), start(&s[1]);
    assert_ptr_equal(s[0].coro.seat, &bank.shared[0]);
    assert_ptr_equal(s[1].coro.seat, &bank.shared[1]);
    run_to_the_end(&s[0]);
    start(&s[2]);
    assert_ptr_equal(s[2].coro.seat, &bank.shared[0]);
    assert_int_equal(bank.made, 2);
    start(&s[3]);
    assert_ptr_equal(s[3].coro.seat, &bank.shared[2]);
    assert_int_equal(bank.copies, 0);
    for (int i = 1; i < 4; i++)
        run_to_the_end(&s[i]);
    close_bank(&bank);
}

static void test_occupied_stacks_are_chosen_in_turn(void **state)
{
    (void)state;
    enum { STACKS = 4, COUNT = 5 * STACKS };
    struct ml_bank bank;
    struct sitter s[COUNT];
    unsigned tenants[STACKS] = {0};
    open_bank(&bank, STACKS, SMALL_STACK);
    if (!has_shared(&bank, STACKS))
        skip();
    for (int i = 0; i < COUNT; i++) {
        s[i] = sitter_of(&bank, 10, 1);
        start(&s[i]);
        tenants[s[i].coro.seat - bank.shared]++;
        if (i > 0)
            assert_ptr_not_equal(s[i].coro.seat, s[i - 1].coro.seat);
    }
    for (int i = 0; i < STACKS; i++)
        assert_int_equal(tenants[i], COUNT / STACKS);
    for (int i = 0; i < COUNT; i++)
        run_to_the_end(&s[i]);
    close_bank(&bank);
}

enum { BROOD = 20 };

/* Starts many from inside; notes in `error` how many of them got its own stack. */
static void start_a_brood(void *argument)
{
    struct sitter *self = argument;
    struct sitter *brood = ml_container_of(self->peer, struct sitter, coro);
    for (int i = 0; i < BROOD; i++) {
        ML_CHECK(try_start(&brood[i]) == 0);
        self->error += brood[i].coro.seat == self->coro.seat;
    }
    pause_here(self->bank);
    finish_here(self->bank);
}

static void test_the_running_stack_is_never_chosen_while_there_is_another(void **state)
{
    (void)state;
    for (unsigned stacks = 2; stacks <= 5; stacks++) {
        struct ml_bank bank;
        struct sitter brood[BROOD];
        open_bank(&bank, stacks, SMALL_STACK);
        if (!has_shared(&bank, stacks))
            skip();
        struct sitter parent = {.bank = &bank, .peer = &brood[0].coro};
        for (int i = 0; i < BROOD; i++)
            brood[i] = sitter_of(&bank, 10, 1);
        ml_coro_start(&bank, &parent.coro, ML_STACK_SHARED, start_a_brood, &parent);
        drive(&bank, &parent.coro);
        assert_int_equal(parent.error, 0);
        assert_int_equal(bank.made, stacks);
        for (int i = 0; i < BROOD; i++)
            run_to_the_end(&brood[i]);
        run(&parent);
        close_bank(&bank);
    }
}

static void test_deep_frames_are_moved_whole(void **state)
{
    (void)state;
    enum { DEEP = 400 * 1024 };
    struct ml_bank bank;
    open_bank(&bank, 1, LARGE_STACK);
    struct sitter a = sitter_of(&bank, DEEP, 10), b = sitter_of(&bank, DEEP + 4097, 10);
    start(&a), start(&b);
    for (int i = 0; i < 10; i++)
        run(&a), run(&b);
    if (!bank.all_private) {
        assert_true(bank.copied_bytes > (uint64_t)18 * DEEP);
        assert_true(ml_bank_high_water(&bank) > DEEP);
    }
    run_to_the_end(&a);
    run_to_the_end(&b);
    close_bank(&bank);
}

static void test_a_copy_is_freed_when_it_is_back_in_place(void **state)
{
    (void)state;
    struct ml_bank bank;
    open_bank(&bank, 1, LARGE_STACK);
    struct sitter a = sitter_of(&bank, 100000, 2), b = sitter_of(&bank, 100, 2);
    begin(&a);
    start(&b);
    run(&a);
    assert_null(a.coro.copy);
    assert_int_equal(a.coro.copy_size, 0);
    run_to_the_end(&a);
    run_to_the_end(&b);
    close_bank(&bank);
}

enum { CHILD_SKIPS = 77 };

/* The address space ends where it is now. Ends the child where nobody heeds that, as under qemu. */
static void starve(void)
{
    struct rlimit limit = {1 << 20, 1 << 20};
    ML_CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    if (mmap(NULL, LARGE_STACK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        _exit(CHILD_SKIPS);
}

/* Whether all was well in the child, which may skip the test. */
static bool goes_well(int (*body)(void *), void *argument)
{
    int status = run_in_child(body, argument);
    if (exited_with(status, CHILD_SKIPS))
        skip();
    return exited_with(status, 0);
}

static int start_starved(void *argument)
{
    struct ml_bank *bank = argument;
    struct sitter shared = sitter_of(bank, 10, 1), private = sitter_of(bank, 10, 1);
    starve();
    bool fine = try_start(&shared) == -ENOMEM && ml_coro_is_unbound(&shared.coro);
    fine = fine && start_private(&private) == -ENOMEM && ml_coro_is_unbound(&private.coro);
    check_books(bank);
    fine = fine && bank->made == 0 && bank->idle_private_count == 0;
    close_bank(bank);
    return fine ? 0 : 1;
}

static void test_a_start_without_memory_is_enomem_and_binds_nothing(void **state)
{
    (void)state;
    struct ml_bank bank;
    if (ml_tools_need_private_stacks() && !ML_HAS_ASAN)
        skip(); /* Valgrind itself would starve */
    open_bank(&bank, 1, LARGE_STACK);
    assert_true(goes_well(start_starved, &bank));
    close_bank(&bank);
}

static int copy_starved(void *argument)
{
    struct ml_bank *bank = argument;
    struct sitter deep = sitter_of(bank, 3 << 20, 5), other = sitter_of(bank, 10, 5);
    bool fine = try_start(&other) == 0 && try_start(&deep) == 0;
    drive(bank, &deep.coro);
    struct sitter late = sitter_of(bank, 10, 1);
    starve();
    fine = fine && switch_to(bank, &other.coro) == -ENOMEM;
    fine = fine && try_start(&late) == -ENOMEM && ml_coro_is_unbound(&late.coro);
    check_books(bank);
    check_coro(&deep.coro);
    check_coro(&other.coro);
    while (!ml_coro_is_unbound(&deep.coro))
        drive(bank, &deep.coro);
    while (!ml_coro_is_unbound(&other.coro))
        drive(bank, &other.coro);
    close_bank(bank);
    return fine && !deep.spoiled && !other.spoiled ? 0 : 1;
}

static void test_a_switch_without_memory_for_the_copy_is_enomem_and_moves_nothing(void **state)
{
    (void)state;
    struct ml_bank bank;
    if (ml_tools_need_private_stacks())
        skip();
    open_bank(&bank, 1, LARGE_STACK);
    assert_true(goes_well(copy_starved, &bank));
    close_bank(&bank);
}

/*
 * The model: many coroutines switch among each other at random, start and end, each with a local
 * array of random size, nested a few deep, whose content must never change while it is away.
 */
enum { MODEL_COROS = 40, MODEL_STEPS = 100000, MODEL_ARRAY = 3000 };

struct model {
    struct ml_bank bank;
    struct sitter sitters[MODEL_COROS];
    uint64_t random;
    unsigned steps;
    unsigned ends;
    unsigned heirs;
    struct sitter *wanted; /* whom the origin shall start or go on with; NULL: anybody */
};

static struct model *model_of(struct sitter *sitter)
{
    return ml_container_of(sitter->bank, struct model, bank);
}

static uint64_t dice(struct model *model, uint64_t sides)
{
    return next_random(&model->random) % sides;
}

static void live(void *argument);

static int make_ready(struct sitter *sitter)
{
    if (!ml_coro_is_unbound(&sitter->coro))
        return 0;
    enum ml_coro_stack kind = dice(model_of(sitter), 10) == 0 ? ML_STACK_PRIVATE : ML_STACK_SHARED;
    return ml_coro_start(sitter->bank, &sitter->coro, kind, live, sitter);
}

/* One step of the walk: to another coroutine directly, or to the origin. */
static void wander(struct sitter *self)
{
    struct model *model = model_of(self);
    struct sitter *to = &model->sitters[dice(model, MODEL_COROS)];
    model->steps++;
    if (to == self || dice(model, 8) == 0) {
        pause_here(self->bank);
    } else if (make_ready(to) != 0 || switch_to(self->bank, &to->coro) != 0) {
        model->wanted = to;
        pause_here(self->bank);
    }
    ML_CHECK(self->bank->running == &self->coro);
    ML_CHECK(self->coro.seat->occupant == &self->coro);
}

static __attribute__((noinline)) void hold(struct sitter *self, int depth)
{
    struct model *model = model_of(self);
    size_t size = 1 + dice(model, MODEL_ARRAY);
    uint64_t seed = next_random(&model->random);
    unsigned char content[size];
    fill_pattern(content, size, seed);
    for (uint64_t i = dice(model, 4); i > 0; i--) {
        wander(self);
        self->spoiled = self->spoiled || !holds_pattern(content, size, seed);
    }
    if (depth > 0)
        hold(self, depth - 1);
    self->spoiled = self->spoiled || !holds_pattern(content, size, seed);
}

/* An ended one's heir: goes on in its stead on its stack, or NULL. */
static struct sitter *heir_of(struct sitter *self)
{
    struct model *model = model_of(self);
    struct sitter *heir = &model->sitters[dice(model, MODEL_COROS)];
    if (!ml_coro_is_unbound(&heir->coro))
        return NULL;
    ml_coro_hand_over(self->bank, &heir->coro);
    model->heirs++;
    return heir;
}

static void end(struct sitter *self)
{
    struct model *model = model_of(self);
    struct sitter *to = &model->sitters[dice(model, MODEL_COROS)];
    if (to != self && !ml_coro_is_unbound(&to->coro) && ml_bank_place(self->bank, &to->coro) == 0)
        ml_coro_exit(self->bank, &to->coro);
    finish_here(self->bank);
}

static void live(void *argument)
{
    struct sitter *heir = argument, *self;
    do {
        self = heir;
        for (uint64_t i = dice(model_of(self), 6); i > 0; i--)
            hold(self, (int)dice(model_of(self), 5));
        model_of(self)->ends++;
        heir = heir_of(self);
    } while (heir != NULL);
    end(self);
}

static void check_model(struct model *model)
{
    check_books(&model->bank);
    for (int i = 0; i < MODEL_COROS; i++) {
        check_coro(&model->sitters[i].coro);
        assert_false(model->sitters[i].spoiled);
    }
}

/* The origin drops one now and then, as a collector would. */
static void drop_one_at_times(struct model *model)
{
    if (dice(model, 50) == 0)
        ml_coro_drop(&model->bank, &model->sitters[dice(model, MODEL_COROS)].coro);
}

static void walk(struct model *model)
{
    while (model->steps < MODEL_STEPS) {
        struct sitter *to = model->wanted;
        model->wanted = NULL;
        if (to == NULL)
            to = &model->sitters[dice(model, MODEL_COROS)];
        assert_int_equal(make_ready(to), 0);
        assert_int_equal(switch_to(&model->bank, &to->coro), 0);
        check_model(model);
        drop_one_at_times(model);
    }
}

static void check_random_walk(unsigned stacks)
{
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    open_bank(&model->bank, stacks, SMALL_STACK);
    model->random = 20240607 + stacks;
    for (int i = 0; i < MODEL_COROS; i++)
        model->sitters[i].bank = &model->bank;
    walk(model);
    assert_true(model->ends > 100);
    assert_true(model->heirs > 10);
    if (!model->bank.all_private && stacks < MODEL_COROS)
        assert_true(model->bank.copies > 1000);
    for (int i = 0; i < MODEL_COROS; i++)
        ml_coro_drop(&model->bank, &model->sitters[i].coro);
    check_model(model);
    close_bank(&model->bank);
    free(model);
}

static void test_a_random_walk_on_one_stack_spoils_nothing(void **state)
{
    (void)state;
    check_random_walk(1);
}

static void test_a_random_walk_on_two_stacks_spoils_nothing(void **state)
{
    (void)state;
    check_random_walk(2);
}

static void test_a_random_walk_on_three_stacks_spoils_nothing(void **state)
{
    (void)state;
    check_random_walk(3);
}

static void test_a_random_walk_on_64_stacks_spoils_nothing(void **state)
{
    (void)state;
    check_random_walk(64);
}

static void test_all_64_stacks_can_be_occupied_at_once(void **state)
{
    (void)state;
    enum { COUNT = ML_BANK_STACKS + 1 };
    struct ml_bank bank;
    struct sitter s[COUNT];
    open_bank(&bank, 0, SMALL_STACK);
    if (!has_shared(&bank, ML_BANK_STACKS))
        skip();
    for (int i = 0; i < COUNT; i++) {
        s[i] = sitter_of(&bank, 10, 1);
        assert_int_equal(bank.copies, 0);
        start(&s[i]);
    }
    assert_int_equal(bank.made, ML_BANK_STACKS);
    assert_int_equal(bank.empty, 0);
    assert_int_equal(bank.copies, 1);
    for (int i = 0; i < COUNT; i++)
        run_to_the_end(&s[i]);
    assert_true(bank.empty == ~(uint64_t)0);
    close_bank(&bank);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_stack_is_mapped_before_the_first_start),
        cmocka_unit_test(test_frames_stay_in_place_when_nobody_conflicts),
        cmocka_unit_test(test_two_on_two_stacks_switch_directly_without_a_copy),
        cmocka_unit_test(test_conflicting_frames_are_moved_and_come_back_byte_for_byte),
        cmocka_unit_test(test_a_copy_is_not_repeated_while_its_owner_stays_away),
        cmocka_unit_test(test_vacated_frames_are_poisoned_in_the_hostile_build),
        cmocka_unit_test(test_a_direct_switch_on_one_stack_is_eagain_and_works_through_the_origin),
        cmocka_unit_test(test_two_alternate_on_one_stack_through_the_origin),
        cmocka_unit_test(test_a_start_on_the_only_stack_from_itself_is_eagain_and_binds_nothing),
        cmocka_unit_test(test_private_stacks_are_never_shared_nor_copied),
        cmocka_unit_test(test_private_and_shared_coroutines_switch_to_each_other),
        cmocka_unit_test(test_a_private_stack_whose_coroutine_ended_is_used_again),
        cmocka_unit_test(test_many_private_stacks_come_and_go),
        cmocka_unit_test(test_few_idle_private_stacks_are_kept),
        cmocka_unit_test(test_a_stack_that_is_used_again_starts_clean),
        cmocka_unit_test(test_hand_over_goes_on_as_the_next_on_the_same_stack),
        cmocka_unit_test(test_the_end_empties_the_seat_and_unbinds),
        cmocka_unit_test(test_the_end_can_go_straight_to_another_or_says_eagain),
        cmocka_unit_test(test_dropping_forgets_the_frames_wherever_they_are),
        cmocka_unit_test(test_dropping_frames_that_are_away_leaves_the_occupant_in_peace),
        cmocka_unit_test(test_an_empty_stack_is_chosen_before_a_new_one),
        cmocka_unit_test(test_occupied_stacks_are_chosen_in_turn),
        cmocka_unit_test(test_the_running_stack_is_never_chosen_while_there_is_another),
        cmocka_unit_test(test_all_64_stacks_can_be_occupied_at_once),
        cmocka_unit_test(test_deep_frames_are_moved_whole),
        cmocka_unit_test(test_a_copy_is_freed_when_it_is_back_in_place),
        cmocka_unit_test(test_a_start_without_memory_is_enomem_and_binds_nothing),
        cmocka_unit_test(test_a_switch_without_memory_for_the_copy_is_enomem_and_moves_nothing),
        cmocka_unit_test(test_a_random_walk_on_one_stack_spoils_nothing),
        cmocka_unit_test(test_a_random_walk_on_two_stacks_spoils_nothing),
        cmocka_unit_test(test_a_random_walk_on_three_stacks_spoils_nothing),
        cmocka_unit_test(test_a_random_walk_on_64_stacks_spoils_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
