/*
 * Dumps that a host asks for: where the text goes, from where they may be asked for, and want of
 * memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct text {
    size_t size;
    char bytes[16384];
};

static void append(void *context, const char *piece, size_t size)
{
    struct text *text = context;
    assert_true(text->size + size < sizeof text->bytes);
    memcpy(text->bytes + text->size, piece, size);
    text->size += size;
    text->bytes[text->size] = '\0';
}

static void take_report(void *context, const char *report)
{
    append(context, report, strlen(report));
}

static const char sleepers[] =
    "local task = require 'moonlet.task'\n"
    "for i = 1, 3 do task.spawn({ name = 'sleeper' }, function() task.sleep(1000) end) end\n";

static void test_the_text_tells_of_all_tasks(void **state)
{
    (void)state;
    struct text text = {0};
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    start_string(m, sleepers);
    moonlet_step(m, 0, 1);
    assert_int_equal(moonlet_inspect_tasks(m, append, &text), 0);
    assert_non_null(strstr(text.bytes, "3 tasks: 3 waiting\n"));
    assert_non_null(strstr(text.bytes, "3 tasks wait for the clock:\n  task 'sleeper' (#2)"));
    assert_non_null(strstr(text.bytes, "test:2: in function <test:2>\nspawned at test:2\n"));
    moonlet_cancel_all(m, PATIENCE);
    text.size = 0;
    assert_int_equal(moonlet_inspect_tasks(m, append, &text), 0);
    assert_string_equal(text.bytes, "0 tasks\n");
    assert_int_equal(moonlet_close(m), 0);
}

static int dump_in_task(struct moonlet *m, void *text)
{
    return moonlet_inspect_tasks(m, append, text);
}

static void test_a_task_of_c_is_shown_as_running(void **state)
{
    (void)state;
    struct text text = {0};
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    assert_int_equal(moonlet_spawn(m, "dumper", dump_in_task, &text, NULL), 0);
    assert_int_equal(moonlet_run(m), 0);
    assert_non_null(strstr(text.bytes, "1 task, running:\n  task 'dumper'"));
    assert_int_equal(moonlet_close(m), 0);
}

static void *dump_elsewhere(void *m)
{
    struct text text = {0};
    int error = moonlet_inspect_tasks(m, append, &text);
    return (void *)(intptr_t)error;
}

static void test_another_thread_is_refused(void **state)
{
    (void)state;
    pthread_t thread;
    void *error;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    assert_int_equal(pthread_create(&thread, NULL, dump_elsewhere, m), 0);
    pthread_join(thread, &error);
    assert_true((intptr_t)error == -MOONLET_ETHREAD);
    assert_int_equal(moonlet_close(m), 0);
    assert_false(moonlet_inspect_dump(m));
}

static void test_a_dump_that_is_asked_for_goes_to_the_report(void **state)
{
    (void)state;
    struct text text = {0};
    struct moonlet *m =
        open_runtime((struct moonlet_options){.report = take_report, .report_context = &text});
    start_string(m, sleepers);
    moonlet_step(m, 0, 1);
    assert_true(moonlet_inspect_dump(m));
    double end = now() + PATIENCE;
    while (text.size == 0 && now() < end)
        moonlet_step(m, 0.1, 1);
    assert_non_null(strstr(text.bytes, "3 tasks wait for the clock:\n"));
    assert_null(strstr(text.bytes, "'dump'"));
    moonlet_cancel_all(m, PATIENCE);
    assert_int_equal(moonlet_close(m), 0);
}

/* Allocations from the `first`-th on fail; 0: none does. */
struct memory {
    unsigned calls, first;
};

static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    struct memory *memory = context;
    (void)old_size;
    if (size == 0) {
        free(block);
        return NULL;
    }
    bool grows = block == NULL || size > old_size;
    if (grows && memory->first > 0 && ++memory->calls >= memory->first)
        return NULL;
    return realloc(block, size);
}

static void test_without_memory_the_text_says_so_and_the_program_goes_on(void **state)
{
    (void)state;
    struct memory memory = {0};
    struct moonlet *m =
        open_runtime((struct moonlet_options){.allocator = allocate, .allocator_context = &memory});
    start_string(m, sleepers);
    moonlet_step(m, 0, 1);
    unsigned cut = 0;
    bool is_whole = false;
    for (unsigned first = 1; !is_whole; first++) {
        struct text text = {0};
        memory = (struct memory){.first = first};
        assert_int_equal(moonlet_inspect_tasks(m, append, &text), 0);
        memory = (struct memory){0};
        is_whole = strstr(text.bytes, "not enough memory") == NULL;
        cut += !is_whole;
        if (is_whole)
            assert_non_null(strstr(text.bytes, "spawned at test:2\n"));
    }
    assert_true(cut > 5);
    assert_int_equal(moonlet_cancel_all(m, PATIENCE), 0);
    assert_int_equal(moonlet_close(m), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_text_tells_of_all_tasks),
        cmocka_unit_test(test_a_task_of_c_is_shown_as_running),
        cmocka_unit_test(test_another_thread_is_refused),
        cmocka_unit_test(test_a_dump_that_is_asked_for_goes_to_the_report),
        cmocka_unit_test(test_without_memory_the_text_says_so_and_the_program_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
