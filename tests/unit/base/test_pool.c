/*
 * The pool of small blocks after a peak: a few blocks that live on, spread over all its memory, do
 * not keep the rest of it from the system.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 100000, SIZE = 256, KEPT_EVERY = 2000 };

/* With AddressSanitizer every block is malloc's. */
#if defined(__SANITIZE_ADDRESS__)
enum { IS_POOLED = 0 };
#elif defined(__has_feature)
enum { IS_POOLED = !__has_feature(address_sanitizer) };
#else
enum { IS_POOLED = 1 };
#endif

/* Bytes in memory, of the whole process. */
static size_t resident(void)
{
    unsigned long all, pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &all, &pages), 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static char *new_block(struct ml_pool *pool, int number)
{
    char *block = ml_pool_realloc(pool, NULL, 0, SIZE);
    assert_non_null(block);
    memset(block, number, SIZE);
    return block;
}

static void fill(struct ml_pool *pool, char **blocks)
{
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i] == NULL)
            blocks[i] = new_block(pool, i);
}

/* In four steps: it is not looked more often than every 100 ms for what can go back. */
static void free_most(struct ml_pool *pool, char **blocks, int kept_every)
{
    for (int i = 0; i < BLOCKS; i++) {
        if (i % (BLOCKS / 4) == 0)
            usleep(120 * 1000);
        if (i % kept_every != 0 && blocks[i] != NULL) {
            ml_pool_realloc(pool, blocks[i], SIZE, 0);
            blocks[i] = NULL;
        }
    }
}

static void check_contents(char *const *blocks)
{
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i] != NULL)
            for (int j = 0; j < SIZE; j++)
                assert_int_equal(blocks[i][j], (char)i);
}

static void test_memory_goes_back_after_a_peak_and_serves_again(void **state)
{
    (void)state;
    struct ml_pool pool;
    static char *blocks[BLOCKS];
    ml_pool_init(&pool);
    size_t before = resident();
    for (int round = 0; round < 3; round++) {
        fill(&pool, blocks);
        size_t peak = resident() - before;
        assert_true(peak >= (size_t)BLOCKS * SIZE / 2);
        free_most(&pool, blocks, KEPT_EVERY);
        check_contents(blocks);
        if (IS_POOLED)
            assert_true(resident() - before < peak / 2);
    }
    fill(&pool, blocks);
    check_contents(blocks);
    free_most(&pool, blocks, BLOCKS);
    ml_pool_realloc(&pool, blocks[0], SIZE, 0);
    ml_pool_release(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_goes_back_after_a_peak_and_serves_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
