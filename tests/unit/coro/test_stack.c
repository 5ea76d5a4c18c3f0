/*
 * One mapped stack: its size, its guard, its high-water mark.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "coro_fixture.h"

#include "coro/stack.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static size_t page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void test_a_size_is_rounded_up_to_whole_pages(void **state)
{
    (void)state;
    const size_t asked[] = {1, page() - 1, page(), page() + 1, 10 * page() + 7};
    const size_t pages[] = {1, 1, 1, 2, 11};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct ml_stack stack;
        assert_int_equal(ml_stack_map(&stack, asked[i]), 0);
        assert_int_equal(stack.size, pages[i] * page());
        assert_int_equal((uintptr_t)stack.base % page(), 0);
        assert_ptr_equal(ml_stack_top(&stack), stack.base + stack.size);
        ml_stack_unmap(&stack);
    }
}

static void test_every_byte_from_base_to_top_is_usable_and_zero(void **state)
{
    (void)state;
    struct ml_stack stack;
    assert_int_equal(ml_stack_map(&stack, 4 * page()), 0);
    for (size_t i = 0; i < stack.size; i++)
        assert_int_equal(stack.base[i], 0);
    memset(stack.base, 0x5A, stack.size);
    assert_int_equal(stack.base[0], 0x5A);
    assert_int_equal(ml_stack_top(&stack)[-1], 0x5A);
    ml_stack_unmap(&stack);
}

static int write_byte(void *address)
{
    *(volatile char *)address = 1;
    return 0;
}

static void test_touching_the_guard_is_a_segmentation_fault(void **state)
{
    (void)state;
    struct ml_stack stack;
    assert_int_equal(ml_stack_map(&stack, SMALL_STACK), 0);
    assert_true(exited_with(run_in_child(write_byte, stack.base), 0));
    assert_true(died_by(run_in_child(write_byte, stack.base - 1), SIGSEGV));
    assert_true(died_by(run_in_child(write_byte, stack.base - ML_STACK_GUARD / 2), SIGSEGV));
    assert_true(died_by(run_in_child(write_byte, stack.base - ML_STACK_GUARD), SIGSEGV));
    ml_stack_unmap(&stack);
}

/* As a kernel before 6.13 would: madvise() knows no advice 102. 0, or -1 when it cannot be done. */
static int forget_guard_advice(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 102, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

enum { CHILD_SKIPS = 77, CHILD_FAILS = 1 };

static int touch_fallback_guard(void *argument)
{
    (void)argument;
    struct ml_stack stack;
    if (forget_guard_advice() != 0)
        return CHILD_SKIPS;
    if (ml_stack_map(&stack, SMALL_STACK) != 0)
        return CHILD_FAILS;
    if (madvise(stack.base, page(), 102) == 0 || errno != EINVAL)
        return CHILD_FAILS;
    memset(stack.base, 1, stack.size);
    return write_byte(stack.base - 1);
}

static void test_the_guard_is_there_on_kernels_without_the_advice_too(void **state)
{
    (void)state;
    int status = run_in_child(touch_fallback_guard, NULL);
    if (exited_with(status, CHILD_SKIPS))
        skip();
    assert_true(died_by(status, SIGSEGV));
}

static void test_an_address_in_the_guard_is_told_from_others(void **state)
{
    (void)state;
    struct ml_stack stack;
    assert_int_equal(ml_stack_map(&stack, SMALL_STACK), 0);
    assert_true(ml_stack_guards(&stack, stack.base - 1));
    assert_true(ml_stack_guards(&stack, stack.base - ML_STACK_GUARD));
    assert_false(ml_stack_guards(&stack, stack.base - ML_STACK_GUARD - 1));
    assert_false(ml_stack_guards(&stack, stack.base));
    assert_false(ml_stack_guards(&stack, ml_stack_top(&stack)));
    assert_false(ml_stack_guards(&stack, NULL));
    ml_stack_unmap(&stack);
    assert_false(ml_stack_guards(&stack, NULL));
}

static void test_the_high_water_mark_is_what_was_touched(void **state)
{
    (void)state;
    struct ml_stack stack;
    assert_int_equal(ml_stack_map(&stack, 64 * page()), 0);
    assert_int_equal(ml_stack_high_water(&stack), 0);
    ml_stack_top(&stack)[-1] = 1;
    assert_int_equal(ml_stack_high_water(&stack), page());
    ml_stack_top(&stack)[-(ptrdiff_t)(20 * page())] = 1;
    assert_int_equal(ml_stack_high_water(&stack), 20 * page());
    ml_stack_top(&stack)[-(ptrdiff_t)(10 * page())] = 1;
    assert_int_equal(ml_stack_high_water(&stack), 20 * page());
    stack.base[0] = 1;
    assert_int_equal(ml_stack_high_water(&stack), 64 * page());
    ml_stack_unmap(&stack);
}

static void test_unmapping_gives_the_memory_back_and_may_be_repeated(void **state)
{
    (void)state;
    struct ml_stack stack;
    unsigned char resident[2];
    assert_int_equal(ml_stack_map(&stack, 2 * page()), 0);
    char *base = stack.base;
    assert_int_equal(mincore(base, stack.size, resident), 0);
    ml_stack_unmap(&stack);
    assert_null(stack.base);
    assert_int_equal(mincore(base, 2 * page(), resident), -1);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(mincore(base - ML_STACK_GUARD, page(), resident), -1);
    ml_stack_unmap(&stack);
}

static void test_a_stack_larger_than_the_address_space_is_enomem(void **state)
{
    (void)state;
    struct ml_stack stack = {0};
    assert_int_equal(ml_stack_map(&stack, (size_t)1 << 62), -ENOMEM);
    assert_null(stack.base);
}

static int map_many(void *argument)
{
    (void)argument;
    enum { COUNT = 2000 };
    static struct ml_stack stacks[COUNT];
    for (int i = 0; i < COUNT; i++)
        if (ml_stack_map(&stacks[i], SMALL_STACK) != 0)
            return CHILD_FAILS;
    for (int i = 0; i < COUNT; i++)
        ml_stack_unmap(&stacks[i]);
    return 0;
}

static void test_thousands_of_stacks_can_be_mapped_at_once(void **state)
{
    (void)state;
    assert_true(exited_with(run_in_child(map_many, NULL), 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_size_is_rounded_up_to_whole_pages),
        cmocka_unit_test(test_every_byte_from_base_to_top_is_usable_and_zero),
        cmocka_unit_test(test_touching_the_guard_is_a_segmentation_fault),
        cmocka_unit_test(test_the_guard_is_there_on_kernels_without_the_advice_too),
        cmocka_unit_test(test_an_address_in_the_guard_is_told_from_others),
        cmocka_unit_test(test_the_high_water_mark_is_what_was_touched),
        cmocka_unit_test(test_unmapping_gives_the_memory_back_and_may_be_repeated),
        cmocka_unit_test(test_a_stack_larger_than_the_address_space_is_enomem),
        cmocka_unit_test(test_thousands_of_stacks_can_be_mapped_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
