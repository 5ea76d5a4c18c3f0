/* A handler of HTTP in C: what it is told of a request, how it answers, and what its mistakes do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host_fixture.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

static int reports;
static char told[512];

static void keep_report(void *context, const char *text)
{
    (void)context;
    reports++;
    snprintf(told, sizeof told, "%s", text);
}

/* Serves one connection in memory with the global `handler`, or a router of it. */
static const char script[] =
    "local http, net, task = require 'moonlet.http', require 'moonlet.net', require 'moonlet.task'\n"
    "local router = http.router():any('/routed/{name}', handler)\n"
    "local near, far = net.memory_pair()\n"
    "local server = http.server({read_timeout = 30}, function(req, res)\n"
    "  if req.path:find '^/routed' then return router(req, res) end\n"
    "  return handler(req, res)\n"
    "end)\n"
    "local t = task.spawn(function() server:serve(far) end)\n"
    "near:write(request)\n"
    "answer = near:read_all()\n"
    "t:join()\n";

/* The answer to `request` by the handler; "" if it was cut off before its head. Static. */
static const char *ask(moonlet_handler *handler, void *context, const char *request)
{
    static char answer[8192];
    struct moonlet *m = open_runtime((struct moonlet_options){.report = keep_report});
    lua_State *L = moonlet_lua(m);
    reports = 0;
    assert_int_equal(moonlet_push_handler(m, L, handler, context), 0);
    lua_setglobal(L, "handler");
    lua_pushstring(L, request);
    lua_setglobal(L, "request");
    int status = run_string(m, script);
    assert_int_equal(status, reports > 0);
    lua_getglobal(L, "answer");
    snprintf(answer, sizeof answer, "%s", lua_isstring(L, -1) ? lua_tostring(L, -1) : "");
    moonlet_close(m);
    return answer;
}

#define END "\r\nhost: example.test\r\nconnection: close\r\n\r\n"

static void assert_status(const char *answer, const char *status)
{
    assert_memory_equal(answer, "HTTP/1.1 ", 9);
    assert_memory_equal(answer + 9, status, 3);
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

/* ---- what it is told ---- */

static int append(char *to, struct moonlet_request *r, int part)
{
    size_t size;
    const char *bytes = moonlet_request_part(r, part, &size);
    return sprintf(to, "[%.*s]", bytes != NULL ? (int)size : 1, bytes != NULL ? bytes : "-");
}

static int tell_parts(struct moonlet_request *r, void *context)
{
    char text[512];
    size_t size;
    int length = 0;
    for (int part = MOONLET_METHOD; part <= MOONLET_HOST + 1; part++)
        length += append(text + length, r, part);
    const char *field = moonlet_request_field(r, "X-THING", &size);
    length += sprintf(text + length, "(%.*s)", (int)size, field);
    assert_null(moonlet_request_field(r, "x-other", &size));
    assert_int_equal(size, 0);
    assert_false(moonlet_request_gone(r));
    assert_string_equal(context, "context");
    return moonlet_request_answer(r, 200, NULL, 0, text, (size_t)length);
}

static void test_it_sees_the_request(void **state)
{
    (void)state;
    const char *answer =
        ask(tell_parts, (void *)"context", "GET /a%20b?q=1 HTTP/1.1\r\nx-thing: one" END);
    assert_status(answer, "200");
    assert_string_equal(body_of(answer), "[GET][/a%20b?q=1][/a%20b][q=1][example.test][-](one)");
}

static void test_a_router_takes_it(void **state)
{
    (void)state;
    const char *answer =
        ask(tell_parts, (void *)"context", "PURGE /routed/1 HTTP/1.1\r\nx-thing: 2" END);
    assert_string_equal(body_of(answer), "[PURGE][/routed/1][/routed/1][-][example.test][-](2)");
}

/* ---- bodies ---- */

static int echo(struct moonlet_request *r, void *context)
{
    static const struct moonlet_field fields[] = {{"content-type", "text/x-echo"}};
    char part[3];
    int size, error = 0;
    (void)context;
    while (error == 0 && (size = moonlet_request_read(r, part, sizeof part)) != 0) {
        if (size < 0)
            return size;
        error = moonlet_request_begin(r, 201, fields, 1);
        if (error == 0 || error == -EALREADY)
            error = moonlet_request_write(r, part, (size_t)size);
    }
    return error;
}

static void test_bodies_are_read_and_written_in_parts(void **state)
{
    (void)state;
    const char *answer =
        ask(echo, NULL, "POST /routed/x HTTP/1.1\r\ncontent-length: 7" END "1234567");
    assert_status(answer, "201");
    assert_non_null(strstr(answer, "content-type: text/x-echo\r\n"));
    assert_non_null(strstr(answer, "\r\n0\r\n\r\n"));
    assert_int_equal(reports, 0);
}

static void test_a_body_that_breaks_off_is_an_error_and_no_report(void **state)
{
    (void)state;
    const char *answer =
        ask(echo, NULL, "POST / HTTP/1.1\r\ntransfer-encoding: chunked" END "zz\r\n");
    assert_status(answer, "400");
}

/* ---- answers ---- */

static int result_of(struct moonlet_request *r, void *context)
{
    static const struct moonlet_field bad[] = {{"x-a", "1\r\nx-b: 2"}, {"", "1"}, {NULL, ""}};
    int *wrong = context;
    assert_int_equal(moonlet_request_answer(r, 199, NULL, 0, NULL, 0), -EINVAL);
    assert_int_equal(moonlet_request_answer(r, 600, NULL, 0, NULL, 0), -EINVAL);
    assert_int_equal(moonlet_request_answer(r, 204, NULL, 0, "a", 1), -EINVAL);
    assert_int_equal(moonlet_request_answer(r, 200, NULL, 1, "a", 1), -EINVAL);
    assert_int_equal(moonlet_request_answer(r, 200, NULL, 0, NULL, 1), -EINVAL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(moonlet_request_answer(r, 200, &bad[i], 1, "a", 1), -EINVAL);
    assert_int_equal(moonlet_request_write(r, "a", 1), -EPIPE);
    assert_int_equal(moonlet_request_answer(r, 204, NULL, 0, NULL, 0), 0);
    assert_int_equal(moonlet_request_answer(r, 204, NULL, 0, NULL, 0), -EALREADY);
    assert_int_equal(moonlet_request_begin(r, 200, NULL, 0), -EALREADY);
    *wrong = 0;
    return 0;
}

static void test_what_cannot_be_sent_is_refused_with_nothing_sent(void **state)
{
    (void)state;
    int wrong = 1;
    const char *answer = ask(result_of, &wrong, "GET / HTTP/1.1" END);
    assert_status(answer, "204");
    assert_int_equal(wrong, 0);
    assert_null(strstr(answer, "x-b"));
}

static int answer_framed(struct moonlet_request *r, void *context)
{
    static const struct moonlet_field fields[] = {
        {"Content-Length", "99"}, {"transfer-encoding", "chunked"}, {"x-c", "3"}};
    (void)context;
    return moonlet_request_answer(r, 200, fields, 3, "ok", 2);
}

static void test_fields_that_frame_are_left_out(void **state)
{
    (void)state;
    const char *answer = ask(answer_framed, NULL, "GET / HTTP/1.1" END);
    assert_non_null(strstr(answer, "content-length: 2\r\n"));
    assert_null(strstr(answer, "99"));
    assert_null(strstr(answer, "chunked"));
    assert_string_equal(body_of(answer), "ok");
}

static int answer_nothing(struct moonlet_request *r, void *context)
{
    (void)r;
    return *(int *)context;
}

static void test_without_an_answer_it_is_500_and_told(void **state)
{
    (void)state;
    int result = 0;
    assert_status(ask(answer_nothing, &result, "GET / HTTP/1.1" END), "500");
    assert_int_equal(reports, 1);
    assert_non_null(strstr(told, "the handler has not answered"));
    result = -ENOSPC;
    assert_status(ask(answer_nothing, &result, "GET / HTTP/1.1" END), "500");
    assert_int_equal(reports, 1);
    assert_non_null(strstr(told, "No space left"));
}

static int answer_in_parts(struct moonlet_request *r, void *context)
{
    (void)context;
    int error = moonlet_request_begin(r, 200, NULL, 0);
    return error == 0 ? moonlet_request_write(r, "done", 4) : error;
}

static void test_head_has_no_body(void **state)
{
    (void)state;
    const char *answer = ask(answer_in_parts, NULL, "HEAD / HTTP/1.1" END);
    assert_status(answer, "200");
    assert_string_equal(body_of(answer), "");
}

static void test_wrong_use_is_an_error(void **state)
{
    (void)state;
    struct moonlet *m = open_runtime((struct moonlet_options){0});
    struct moonlet *other = open_runtime((struct moonlet_options){0});
    size_t size;
    assert_int_equal(moonlet_push_handler(NULL, moonlet_lua(m), echo, NULL), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_push_handler(m, NULL, echo, NULL), -EINVAL);
    assert_int_equal(moonlet_push_handler(m, moonlet_lua(m), NULL, NULL), -EINVAL);
    assert_int_equal(moonlet_push_handler(m, moonlet_lua(other), echo, NULL), -EINVAL);
    assert_int_equal(lua_gettop(moonlet_lua(m)), 0);
    assert_null(moonlet_request_part(NULL, MOONLET_PATH, &size));
    assert_null(moonlet_request_field(NULL, "a", &size));
    assert_int_equal(moonlet_request_read(NULL, &size, 1), -EINVAL);
    assert_int_equal(moonlet_request_answer(NULL, 200, NULL, 0, NULL, 0), -EINVAL);
    assert_int_equal(moonlet_request_write(NULL, "", 0), -EINVAL);
    assert_true(moonlet_request_gone(NULL));
    moonlet_close(other);
    moonlet_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_sees_the_request),
        cmocka_unit_test(test_a_router_takes_it),
        cmocka_unit_test(test_bodies_are_read_and_written_in_parts),
        cmocka_unit_test(test_a_body_that_breaks_off_is_an_error_and_no_report),
        cmocka_unit_test(test_what_cannot_be_sent_is_refused_with_nothing_sent),
        cmocka_unit_test(test_fields_that_frame_are_left_out),
        cmocka_unit_test(test_without_an_answer_it_is_500_and_told),
        cmocka_unit_test(test_head_has_no_body),
        cmocka_unit_test(test_wrong_use_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
