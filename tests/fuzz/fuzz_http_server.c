/*
 * A connection at the server (http/connection.h): a client that sends the input hears the same
 * answers however the bytes are cut, and nothing is left of it.
 */
#include "fuzz.h"
#include "http_players.h"

#include "http/connection.h"
#include "http/http1_peer.h"

#include <errno.h>
#include <stdio.h>

static struct ml_http_server server;

/* Answers with what the request was. */
static int handle(void *context, struct ml_http_exchange *x)
{
    char text[256];
    struct ml_piece_of_input piece;
    unsigned sum = 0;
    int result;
    (void)context;
    while ((result = x->carrier->read_body(x, SIZE_MAX, &piece)) == 0) {
        for (size_t i = 0; i < piece.size; i++)
            sum = sum * 31 + (unsigned char)((const char *)piece.data)[i];
        x->carrier->consume(x, &piece);
    }
    int status = result == 1 ? 200 : ml_http_exchange_body_status(x);
    if (status == 0)
        return result;
    int size = snprintf(text, sizeof text, "%d %u %u %u %u", x->head.method_id, x->head.path.size,
                        x->head.query.size, (unsigned)x->body_read, sum);
    return ml_http_exchange_answer(x, status, "text/plain", text, (size_t)size);
}

/* As bindings/http/server.c serves a connection. */
static void serve(void *context, void *argument)
{
    static struct ml_http_connection c;
    struct ml_http_exchange *x;
    int result;
    (void)context, (void)argument;
    ml_http_connection_open(&c, &server, &play.tested, NULL);
    while ((result = ml_http_connection_next(&c, &x)) == 0) {
        ml_http1_peer_guard(&c);
        result = handle(NULL, x);
        if (ml_http1_peer_unguard(&c) && result == -ECANCELED)
            result = 0;
        if (result == 0)
            result = ml_http_connection_finish(&c);
        if (result != 0)
            break;
    }
    ml_http_connection_close(&c);
}

/* Dates differ from run to run. */
static void hide_dates(void)
{
    static const char name[] = "\r\ndate: ";
    char *at = play.heard, *end = play.heard + play.heard_size;
    while ((at = memmem(at, (size_t)(end - at), name, sizeof name - 1)) != NULL) {
        at += sizeof name - 1;
        ML_CHECK(end - at >= 29);
        memset(at, '.', 29);
    }
}

/* A 100 is left out where the body has come already. */
static void drop_continues(void)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char *at;
    while ((at = memmem(play.heard, play.heard_size, text, sizeof text - 1)) != NULL) {
        char *rest = at + sizeof text - 1, *end = play.heard + play.heard_size;
        memmove(at, rest, (size_t)(end - rest));
        play.heard_size -= sizeof text - 1;
    }
}

static void run(const char *bytes, size_t size, size_t chunk)
{
    ml_http_server_init(&server, &play.io);
    server.handle = handle;
    server.limits = (struct ml_http_limits){2048, 512, 20};
    server.max_body = 1000;
    play_run(serve, bytes, size, chunk);
    hide_dates();
    drop_continues();
    ML_CHECK(server.counters.open == 0 && server.counters.in_flight == 0);
    ML_CHECK(ml_list_is_empty(&server.connections));
    ml_http_server_release(&server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t chunks[] = {1, 2, 7};
    static char whole[PLAYED];
    play_open();
    run((const char *)data, size, SIZE_MAX);
    size_t whole_size = play.heard_size;
    memcpy(whole, play.heard, whole_size);
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        run((const char *)data, size, chunks[i]);
        ML_CHECK(play.heard_size == whole_size && memcmp(play.heard, whole, whole_size) == 0);
    }
    return 0;
}
