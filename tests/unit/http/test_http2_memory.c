/* http/http2_memory.h: blocks keep their bytes and are apart, and what is freed serves again. */
#include "http/http2_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct ml_http2_memory *memory;
static nghttp2_mem m;

static int setup(void **state)
{
    (void)state;
    memory = ml_http2_memory_new();
    m = ml_http2_memory_functions(memory);
    return memory == NULL;
}

static int teardown(void **state)
{
    (void)state;
    ml_http2_memory_free(memory);
    return 0;
}

static void *take(size_t size)
{
    void *block = m.malloc(size, memory);
    assert_non_null(block);
    assert_int_equal(0, (uintptr_t)block % 16);
    return block;
}

static void test_blocks_of_all_sizes_are_apart(void **state)
{
    enum { BLOCKS = 1200 };
    unsigned char *blocks[BLOCKS];
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < BLOCKS; i++)
            memset(blocks[i] = take((size_t)i), i % 251, (size_t)i);
        for (int i = 0; i < BLOCKS; i++)
            for (int k = 0; k < i; k++)
                assert_int_equal(i % 251, blocks[i][k]);
        for (int i = 0; i < BLOCKS; i++)
            m.free(blocks[i], memory);
    }
}

static void test_a_block_that_grows_and_shrinks_keeps_its_bytes(void **state)
{
    static const size_t sizes[] = {1, 63, 64, 65, 1000, 1023, 1024, 5000, 100000, 1024, 63, 1, 0};
    (void)state;
    unsigned char *block = NULL;
    size_t old = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        block = m.realloc(block, sizes[i], memory);
        assert_non_null(block);
        for (size_t k = 0; k < old && k < sizes[i]; k++)
            assert_int_equal(k % 251, block[k]);
        for (size_t k = 0; k < sizes[i]; k++)
            block[k] = (unsigned char)(k % 251);
        old = sizes[i];
    }
    m.free(block, memory);
}

static void test_zeroed_blocks_are_zero_also_if_they_were_used_before(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        unsigned char *block = m.calloc(20, 10, memory);
        assert_non_null(block);
        for (int i = 0; i < 200; i++)
            assert_int_equal(0, block[i]);
        memset(block, 0xff, 200);
        m.free(block, memory);
    }
}

static void test_sizes_that_no_memory_has_are_refused(void **state)
{
    (void)state;
    assert_null(m.malloc(SIZE_MAX, memory));
    assert_null(m.calloc(SIZE_MAX / 2, 3, memory));
    unsigned char *block = take(10);
    assert_null(m.realloc(block, SIZE_MAX, memory));
    m.free(block, memory);
    m.free(NULL, memory);
}

static void test_what_is_kept_is_bounded(void **state)
{
    enum { BLOCKS = 2000 };
    static void *blocks[BLOCKS];
    (void)state;
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = take(1000);
    for (int i = 0; i < BLOCKS; i++)
        m.free(blocks[i], memory);
    assert_true(ml_http2_memory_kept(memory) <= 513 * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_blocks_of_all_sizes_are_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_block_that_grows_and_shrinks_keeps_its_bytes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_zeroed_blocks_are_zero_also_if_they_were_used_before,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_sizes_that_no_memory_has_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_kept_is_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
