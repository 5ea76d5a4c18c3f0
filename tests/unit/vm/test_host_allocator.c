/*
 * A host's own allocator for the memory of the Lua state: all of it comes from there and goes back,
 * with the sizes told right, and whatever call fails, the runtime answers with an error and gives
 * back what it had.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hostile.h"
#include "moonlet.h"

#include <errno.h>
#include <lua.h>
#include <stdbool.h>
#include <stdlib.h>

struct heap {
    size_t bytes, blocks, peak;
    unsigned long calls;   /* for memory */
    unsigned long fail_at; /* the number of the call that fails; 0: none */
    bool fails_on;         /* and all after it */
    bool wrong_size;
};

/* Each block knows its size, to compare with what is told. */
enum { HEAD = 16 };

static void note(struct heap *heap, const char *block, size_t old_size)
{
    heap->wrong_size |= (block != NULL ? *(const size_t *)(block - HEAD) : 0) != old_size;
}

static bool fails(struct heap *heap)
{
    heap->calls++;
    return heap->fail_at != 0 &&
           (heap->calls == heap->fail_at || (heap->fails_on && heap->calls > heap->fail_at));
}

static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    struct heap *heap = context;
    char *old = block != NULL ? (char *)block - HEAD : NULL;
    note(heap, block, old_size);
    if (size > old_size && fails(heap))
        return NULL;
    if (size == 0) {
        heap->bytes -= old_size;
        heap->blocks -= old != NULL;
        free(old);
        return NULL;
    }
    char *moved = realloc(old, HEAD + size);
    assert_non_null(moved);
    *(size_t *)moved = size;
    heap->bytes += size - old_size;
    heap->blocks += old == NULL;
    heap->peak = heap->bytes > heap->peak ? heap->bytes : heap->peak;
    return moved + HEAD;
}

static void ignore(void *context, const char *text)
{
    (void)text;
    ++*(int *)context;
}

static int wait_a_little(struct moonlet *m, void *argument)
{
    (void)argument;
    return moonlet_sleep(m, 0.0001);
}

static const char source[] =
    "local task, channel = require 'moonlet.task', require 'moonlet.channel'\n"
    "local c = channel.new(2)\n"
    "for i = 1, 10 do task.spawn(function() c:put(i) task.yield() end) end\n"
    "local sum = 0\n"
    "for i = 1, 10 do sum = sum + c:get() end\n"
    "assert(sum == 55)\n"
    "for i in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do sum = sum + i end\n"
    "local t = {} for i = 1, 2000 do t[i] = 'text' .. i end\n"
    "assert(#table.concat(t) > 10000 and #('x'):rep(100000) == 100000)\n";

/* 0: all went well. Whatever happened, nothing is left. */
static int live(struct heap *heap)
{
    int reports = 0, result = -1;
    struct moonlet_options options = {.allocator = allocate,
                                      .allocator_context = heap,
                                      .report = ignore,
                                      .report_context = &reports,
                                      .ignore_environment = true};
    struct moonlet *m = moonlet_create(&options);
    if (m != NULL) {
        struct moonlet_task *task = NULL;
        int spawned = moonlet_spawn(m, "waiter", wait_a_little, NULL, &task);
        assert_true(spawned == 0 || spawned == -ENOMEM);
        assert_int_equal(moonlet_load_string(m, source, "=test"), 0);
        result = moonlet_run(m);
        assert_true(result >= 0);
        assert_true(result == 0 || reports > 0);
        moonlet_release(task);
        assert_int_equal(moonlet_close(m), 0);
    } else {
        assert_int_equal(errno, ENOMEM);
    }
    assert_int_equal(heap->bytes, 0);
    assert_int_equal(heap->blocks, 0);
    assert_false(heap->wrong_size);
    return result;
}

/* Calls of a script's functions while one call for memory after the other fails: an error, and
 * nothing is left. */
static void test_a_call_that_finds_no_memory_is_an_error(void **state)
{
    (void)state;
    static const char functions[] =
        "function f(...) local t = {...} return 'x' .. #t, t, table.unpack(t) end\n"
        "function g() error {'an error', ('y'):rep(100)} end\n";
    bool has_failed = true;
    for (unsigned long at = 1; has_failed; at++) {
        struct heap heap = {0};
        int reports = 0;
        struct moonlet_options options = {.allocator = allocate,
                                          .allocator_context = &heap,
                                          .report = ignore,
                                          .report_context = &reports,
                                          .ignore_environment = true};
        struct moonlet *m = moonlet_create(&options);
        assert_int_equal(moonlet_load_string(m, functions, "=test"), 0);
        assert_int_equal(moonlet_run(m), 0);
        lua_State *L = moonlet_lua(m);
        for (int i = 0; i < 40; i++)
            lua_pushinteger(L, i);
        heap.fail_at = heap.calls + at;
        heap.fails_on = true;
        int result = moonlet_call(m, L, "f", 40, -1, 10);
        int failed = moonlet_call(m, L, "g", 0, 0, 10);
        has_failed = heap.calls >= heap.fail_at;
        assert_true(result == 42 || result == -ENOMEM || result == -MOONLET_EFAILED);
        assert_true(failed == -MOONLET_EFAILED || failed == -ENOMEM);
        int count = (result == 42 ? 42 : result == -MOONLET_EFAILED) + (failed == -MOONLET_EFAILED);
        assert_int_equal(lua_gettop(L), count);
        heap.fail_at = 0;
        lua_settop(L, 0);
        assert_int_equal(moonlet_call(m, L, "f", 0, 1, 10), 1);
        assert_int_equal(reports, 0);
        assert_int_equal(moonlet_close(m), 0);
        assert_int_equal(heap.bytes, 0);
    }
}

static void test_all_memory_comes_from_the_host_and_goes_back(void **state)
{
    (void)state;
    struct heap heap = {0};
    assert_int_equal(live(&heap), 0);
    assert_true(heap.calls > 1000);
    assert_true(heap.peak > 100000);
}

static void fail_everywhere(bool fails_on)
{
    unsigned long at = 1;
    for (bool has_failed = true; has_failed; at += 1 + at / 30) {
        struct heap heap = {.fail_at = at, .fails_on = fails_on};
        live(&heap);
        has_failed = heap.calls >= at;
    }
    assert_true(at > 1000);
}

/* Lua collects its garbage and tries again. */
static void test_a_single_failure_leaves_no_leak(void **state)
{
    (void)state;
    fail_everywhere(false);
}

static void test_failures_without_end_are_an_error_and_no_leak(void **state)
{
    (void)state;
    fail_everywhere(true);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_memory_comes_from_the_host_and_goes_back),
        cmocka_unit_test(test_a_single_failure_leaves_no_leak),
        cmocka_unit_test(test_failures_without_end_are_an_error_and_no_leak),
        cmocka_unit_test(test_a_call_that_finds_no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
