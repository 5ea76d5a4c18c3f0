/*
 * The coroutine room on another machine, without a test framework: built statically by a cross
 * compiler and run under an emulator. A compact version of test_coro_switch and test_coro_bank.
 */
#include "../unit/coro_fixture.h"
#include "../unit/coro_registers.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unwind.h>

static int passed, failed;

static void expect(bool condition, const char *statement)
{
    printf("%s %s\n", condition ? "ok  " : "FAIL", statement);
    *(condition ? &passed : &failed) += 1;
}

struct raw {
    void *outside, *inside;
    uint64_t values[KEPT_REGISTERS];
    bool kept;
};

static void set_registers(uint64_t *values, uint64_t seed)
{
    for (int i = 0; i < KEPT_REGISTERS; i++)
        values[i] = next_random(&seed);
}

static bool have_registers(const uint64_t *values, uint64_t seed)
{
    for (int i = 0; i < KEPT_REGISTERS; i++)
        if (values[i] != next_random(&seed))
            return false;
    return true;
}

static void keep_registers(void *first, void *second)
{
    struct raw *raw = first;
    raw->kept = second == raw->values;
    for (uint64_t round = 0;; round++) {
        set_registers(raw->values, ~round);
        switch_with_registers(&raw->inside, raw->outside, raw->values);
        raw->kept = raw->kept && have_registers(raw->values, ~round);
    }
}

static void test_registers(void)
{
    struct ml_stack stack;
    struct raw raw = {0};
    bool kept = ml_stack_map(&stack, SMALL_STACK) == 0;
    raw.inside = ml_context_make(ml_stack_top(&stack), keep_registers, &raw, raw.values);
    for (uint64_t round = 0; round < 100; round++) {
        uint64_t values[KEPT_REGISTERS];
        set_registers(values, round);
        switch_with_registers(&raw.outside, raw.inside, values);
        kept = kept && raw.kept && have_registers(values, round);
    }
    ml_stack_unmap(&stack);
    expect(kept, "a context gets its two values; callee-saved registers survive on both sides");
}

/* A coroutine of these tests: keeps a pattern in a local, checked after each switch. */
struct sitter {
    struct ml_coro coro;
    struct ml_bank *bank;
    struct sitter *peer; /* goes there instead of pausing */
    size_t size;
    unsigned rounds, done;
    int frames;
    bool spoiled;
};

static __attribute__((noinline)) void sit(struct sitter *self)
{
    unsigned char content[self->size + 1];
    fill_pattern(content, self->size, self->size);
    while (self->done < self->rounds) {
        self->done++;
        if (self->peer != NULL)
            go_to(self->bank, &self->peer->coro);
        else
            pause_here(self->bank);
        self->spoiled = self->spoiled || !holds_pattern(content, self->size, self->size);
    }
}

static void sit_to_the_end(void *argument)
{
    struct sitter *self = argument;
    sit(self);
    finish_here(self->bank);
}

static void start(struct sitter *sitter, ml_coro_entry *entry, enum ml_coro_stack kind)
{
    ML_CHECK(ml_coro_start(sitter->bank, &sitter->coro, kind, entry, sitter) == 0);
}

/* Two that go to each other on `stacks` stacks; true when all they held stayed whole. */
static bool alternate(unsigned stacks, enum ml_coro_stack kind, size_t size, unsigned rounds,
                      uint64_t *copies)
{
    struct ml_bank bank;
    open_bank(&bank, stacks, (size_t)4 << 20);
    struct sitter a = {.bank = &bank, .size = size, .rounds = rounds};
    struct sitter b = {.bank = &bank, .size = size + 999, .rounds = rounds, .peer = &a};
    a.peer = &b;
    start(&a, sit_to_the_end, kind);
    start(&b, sit_to_the_end, kind);
    drive(&bank, &a.coro);
    bool whole = !a.spoiled && !b.spoiled && a.done == rounds && b.done == rounds;
    *copies = bank.copies;
    ml_coro_drop(&bank, &a.coro);
    ml_coro_drop(&bank, &b.coro);
    close_bank(&bank);
    return whole;
}

static void test_alternating(void)
{
    uint64_t copies;
    bool whole = alternate(2, ML_STACK_SHARED, 100, 500000, &copies);
    expect(whole, "a million switches between two coroutines");
    expect(copies == 0 || ML_IS_HOSTILE, "frames stay in place when nobody conflicts");
    whole = alternate(1, ML_STACK_SHARED, 3000, 2000, &copies);
    expect(whole, "two on one stack keep their frames byte for byte");
    expect(copies >= 3999, "each of their switches moves frames");
    expect(alternate(1, ML_STACK_SHARED, 400 * 1024, 20, &copies), "deep frames are moved whole");
    whole = alternate(1, ML_STACK_PRIVATE, 1000, 2000, &copies);
    expect(whole && copies == 0, "private stacks are never copied");
}

static void keep_modes(void *argument)
{
    struct sitter *self = argument;
    for (int word = 0; word < CONTROL_WORDS; word++)
        set_rounding(word, self->size % 4);
    for (;;) {
        pause_here(self->bank);
        for (int word = 0; word < CONTROL_WORDS; word++)
            self->spoiled = self->spoiled || get_rounding(word) != self->size % 4;
    }
}

static void test_control_words(void)
{
    struct ml_bank bank;
    struct sitter s[3];
    bool kept = true;
    open_bank(&bank, 0, SMALL_STACK);
    for (size_t i = 0; i < 3; i++) {
        s[i] = (struct sitter){.bank = &bank, .size = i + 1};
        start(&s[i], keep_modes, ML_STACK_SHARED);
    }
    for (int step = 0; step < 30; step++) {
        drive(&bank, &s[step % 3].coro);
        for (int word = 0; word < CONTROL_WORDS; word++)
            kept = kept && get_rounding(word) == 0;
        kept = kept && !s[step % 3].spoiled;
    }
    for (int i = 0; i < 3; i++)
        ml_coro_drop(&bank, &s[i].coro);
    close_bank(&bank);
    expect(kept, "each coroutine has floating-point control words of its own");
}

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *argument)
{
    struct sitter *sitter = argument;
    (void)context;
    return ++sitter->frames < 100 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

static void note_entry(void *argument)
{
    struct sitter *self = argument;
    _Alignas(16) char local[16];
    void *where = local;
    __asm__ volatile("" : "+r"(where));
    self->spoiled = (uintptr_t)where % 16 != 0;
    if (_Unwind_Backtrace(count_frame, self) != _URC_END_OF_STACK)
        self->frames = 100;
    finish_here(self->bank);
}

static void test_entry(void)
{
    struct ml_bank bank;
    open_bank(&bank, 0, SMALL_STACK);
    struct sitter a = {.bank = &bank};
    start(&a, note_entry, ML_STACK_SHARED);
    drive(&bank, &a.coro);
    close_bank(&bank);
    expect(!a.spoiled, "the stack is aligned at entry");
    expect(a.frames >= 2 && a.frames <= 8, "a backtrace ends at the entry of the coroutine");
}

static void pass_on(void *argument)
{
    struct sitter *self = argument;
    struct sitter *heir = self->peer;
    ml_coro_hand_over(self->bank, &heir->coro);
    sit(heir);
    finish_here(heir->bank);
}

static void test_hand_over(void)
{
    struct ml_bank bank;
    open_bank(&bank, 1, SMALL_STACK);
    struct sitter heir = {.bank = &bank, .size = 2000, .rounds = 3};
    struct sitter a = {.bank = &bank, .peer = &heir}, rival = heir;
    start(&a, pass_on, ML_STACK_SHARED);
    drive(&bank, &a.coro);
    start(&rival, sit_to_the_end, ML_STACK_SHARED);
    while (!ml_coro_is_unbound(&heir.coro)) {
        drive(&bank, &rival.coro);
        drive(&bank, &heir.coro);
    }
    ml_coro_drop(&bank, &rival.coro);
    expect(ml_coro_is_unbound(&a.coro) && !heir.spoiled && !rival.spoiled && heir.done == 3,
           "hand over goes on as the next on the same stack");
    close_bank(&bank);
}

/* Many sit, pause and end at random on a few stacks. */
static bool walk(unsigned stacks)
{
    enum { COUNT = 30, STEPS = 20000 };
    struct ml_bank bank;
    struct sitter s[COUNT] = {0};
    uint64_t random = stacks;
    bool whole = true;
    open_bank(&bank, stacks, SMALL_STACK);
    for (int step = 0; step < STEPS; step++) {
        struct sitter *one = &s[next_random(&random) % COUNT];
        if (ml_coro_is_unbound(&one->coro)) {
            *one = (struct sitter){.bank = &bank, .size = next_random(&random) % 5000};
            one->rounds = next_random(&random) % 10;
            start(one, sit_to_the_end,
                  next_random(&random) % 8 ? ML_STACK_SHARED : ML_STACK_PRIVATE);
        }
        drive(&bank, &one->coro);
        whole = whole && !one->spoiled;
    }
    for (int i = 0; i < COUNT; i++)
        ml_coro_drop(&bank, &s[i].coro);
    close_bank(&bank);
    return whole;
}

static int touch_guard(void *argument)
{
    *(volatile char *)argument = 1;
    return 0;
}

/* qemu's user mode says yes to every advice it does not know and does nothing: no guard then. */
static bool ignores_advice(const struct ml_stack *stack)
{
    enum { NO_SUCH_ADVICE = 12345 };
    return madvise(stack->base, stack->size, NO_SUCH_ADVICE) == 0;
}

static void test_guard(void)
{
    struct ml_stack stack;
    expect(ml_stack_map(&stack, 100000) == 0 && stack.size >= 100000, "a stack can be mapped");
    expect(exited_with(run_in_child(touch_guard, stack.base), 0), "its lowest byte is usable");
    int status = run_in_child(touch_guard, stack.base - 1);
    expect(died_by(status, SIGSEGV) || ignores_advice(&stack),
           "touching the guard is a segmentation fault");
    ml_stack_unmap(&stack);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    test_registers();
    test_control_words();
    test_entry();
    test_alternating();
    test_hand_over();
    expect(walk(1), "a random walk on one stack spoils nothing");
    expect(walk(3), "a random walk on three stacks spoils nothing");
    expect(walk(64), "a random walk on 64 stacks spoils nothing");
    test_guard();
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
