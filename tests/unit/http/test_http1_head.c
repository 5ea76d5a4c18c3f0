/* http/http1_head.h: a head keeps what it says when it is packed, and gives its room back. */
#include "http/http1_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void setup(struct ml_http_server *server)
{
    ml_http_server_init(server, NULL);
}

/* A request whose only long field has `size` bytes. */
static struct ml_http1 *make_request(struct ml_http_server *server, int size)
{
    char *text = malloc((size_t)size + 100);
    int length = sprintf(text, "GET /p?q HTTP/1.1\r\nHost: h\r\nX: %0*d\r\n\r\n", size, 7);
    struct ml_http1 *r = ml_http1_take(server);
    assert_non_null(r);
    assert_int_equal(length,
                     ml_http_parse_request(&r->x.head, text, (size_t)length, 0, &server->limits));
    assert_int_equal(0, ml_http1_keep_head(server, r, text, (size_t)length));
    memset(text, '?', (size_t)length);
    free(text);
    return r;
}

static void check_request(const struct ml_http1 *r, int size)
{
    const struct ml_http_head *head = &r->x.head;
    assert_int_equal(2, head->field_count);
    assert_memory_equal("/p?q", ml_http_at(head, head->target), 4);
    const struct ml_http_field *field = ml_http_find_name(head, "x", 1, NULL);
    assert_non_null(field);
    assert_int_equal(size, field->value.size);
    assert_int_equal('7', ml_http_at(head, field->value)[size - 1]);
}

static void packing_keeps_the_head_and_gives_the_room_back(void **state)
{
    static const int sizes[] = {1, 5000, 20000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct ml_http_server server;
        setup(&server);
        struct ml_http1 *r = make_request(&server, sizes[i]);
        assert_int_equal(0, server.blocks.count);
        check_request(r, sizes[i]);
        ml_http1_pack_head(&server, r);
        assert_int_equal(1, server.blocks.count);
        check_request(r, sizes[i]);
        ml_http1_give(&server, r);
        assert_int_equal(1, server.blocks.count);
        assert_int_equal(1, server.requests.count);
        ml_http_server_release(&server);
    }
}

static void memory_of_a_request_serves_the_next(void **state)
{
    struct ml_http_server server;
    (void)state;
    setup(&server);
    struct ml_http1 *first = make_request(&server, 5);
    ml_http1_give(&server, first);
    struct ml_http1 *second = make_request(&server, 6);
    assert_ptr_equal(first, second);
    check_request(second, 6);
    ml_http1_give(&server, second);
    ml_http_server_release(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_keeps_the_head_and_gives_the_room_back),
        cmocka_unit_test(memory_of_a_request_serves_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
