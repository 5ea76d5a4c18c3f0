/* Traces and metrics of a host's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "moonlet.h"
#include "vm/host_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char script[] =
    "local task = require 'moonlet.task'\n"
    "for i = 1, 3 do\n"
    "  task.spawn({ name = 'traced worker' }, function() task.sleep(0.001) end)\n"
    "end\n";

static void test_a_trace_has_what_happened_since_its_start(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    assert_int_equal(moonlet_inspect_trace_last(m, 0, &text, &size), -ENODATA);
    assert_int_equal(moonlet_inspect_trace_start(m, 0), 0);
    assert_int_equal(moonlet_inspect_trace_start(m, 0), -EBUSY);
    assert_int_equal(run_string(m, script), 0);
    assert_int_equal(moonlet_inspect_trace_last(m, 0, &text, &size), 0);
    assert_int_equal(strlen(text), size);
    assert_non_null(strstr(text, "traced worker"));
    assert_non_null(strstr(text, "\"traceEvents\""));
    free(text);
    assert_int_equal(moonlet_inspect_trace_last(m, 1e-9, &text, &size), 0);
    assert_null(strstr(text, "traced worker"));
    free(text);
    assert_int_equal(moonlet_inspect_trace_stop(m), 0);
    assert_int_equal(moonlet_inspect_trace_stop(m), 0);
    assert_int_equal(moonlet_inspect_trace_last(m, 0, &text, &size), -ENODATA);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_metrics_have_each_format(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    assert_int_equal(run_string(m, "require 'moonlet.inspect'.counter('host_orders'):add(3)"), 0);
    assert_int_equal(moonlet_inspect_metrics(m, NULL, &text, &size), 0);
    assert_int_equal(strlen(text), size);
    assert_non_null(strstr(text, "\nhost_orders 3\n"));
    assert_non_null(strstr(text, "\nmoonlet_tasks 0\n"));
    free(text);
    assert_int_equal(moonlet_inspect_metrics(m, "openmetrics", &text, &size), 0);
    assert_string_equal(text + size - strlen("# EOF\n"), "# EOF\n");
    free(text);
    assert_int_equal(moonlet_inspect_metrics(m, "json", &text, &size), 0);
    assert_int_equal(text[0], '{');
    free(text);
    assert_int_equal(moonlet_close(m), 0);
}

static void test_wrong_use_is_an_error(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    assert_int_equal(moonlet_inspect_trace_start(m, (size_t)1 << 30), -EINVAL);
    assert_int_equal(moonlet_inspect_trace_last(m, 0, NULL, &size), -EINVAL);
    assert_int_equal(moonlet_inspect_trace_last(m, 0, &text, NULL), -EINVAL);
    assert_int_equal(moonlet_inspect_metrics(m, "xml", &text, &size), -EINVAL);
    assert_int_equal(moonlet_inspect_metrics(m, NULL, NULL, &size), -EINVAL);
    assert_int_equal(moonlet_inspect_metrics(m, NULL, &text, NULL), -EINVAL);
    assert_null(text);
    assert_int_equal(moonlet_close(m), 0);
    m = open_runtime((struct moonlet_options){.without = MOONLET_UNTRUSTED});
    assert_int_equal(moonlet_inspect_trace_start(m, 0), -EPERM);
    assert_int_equal(moonlet_inspect_metrics(m, NULL, &text, &size), -EPERM);
    assert_int_equal(moonlet_close(m), 0);
}

static int look_inside(struct moonlet *m, void *sizes)
{
    char *text = NULL;
    size_t *size = sizes;
    int error = moonlet_inspect_trace_start(m, 4096);
    if (error == 0)
        error = moonlet_inspect_trace_last(m, 0, &text, &size[0]);
    free(text);
    text = NULL;
    if (error == 0)
        error = moonlet_inspect_metrics(m, NULL, &text, &size[1]);
    free(text);
    return error == 0 ? moonlet_inspect_trace_stop(m) : error;
}

static void test_a_task_of_c_may_call_them_and_no_other_runs_meanwhile(void **state)
{
    (void)state;
    size_t sizes[2] = {0, 0};
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    assert_int_equal(moonlet_spawn(m, "looker", look_inside, sizes, NULL), 0);
    assert_int_equal(moonlet_run(m), 0);
    assert_true(sizes[0] > 0);
    assert_true(sizes[1] > 0);
    assert_int_equal(moonlet_close(m), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_trace_has_what_happened_since_its_start),
        cmocka_unit_test(test_metrics_have_each_format),
        cmocka_unit_test(test_wrong_use_is_an_error),
        cmocka_unit_test(test_a_task_of_c_may_call_them_and_no_other_runs_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
