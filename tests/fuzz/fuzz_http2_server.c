/*
 * A connection of HTTP/2 at the server (http/http2.h): whatever frames come, it ends when its peer
 * has ended, no handler and no stream is left, and nothing but frames is sent. The input is what
 * follows the client's preface; its first byte says how many bytes go over at a time.
 */
#include "fuzz.h"
#include "http_players.h"

#include "http/http2.h"
#include "http/nghttp2.h"

static struct ml_http_server server;

static int handle(void *context, struct ml_http_exchange *x)
{
    struct ml_piece_of_input piece;
    int result;
    (void)context;
    while ((result = x->carrier->read_body(x, SIZE_MAX, &piece)) == 0)
        x->carrier->consume(x, &piece);
    int status = result == 1 ? 200 : ml_http_exchange_body_status(x);
    return status == 0 ? result : ml_http_exchange_answer(x, status, NULL, "hello", 5);
}

static int spawn(struct ml_http_server *ignored, const struct ml_http_job *job, void *argument)
{
    (void)ignored;
    return play_spawn(job->run, argument);
}

static void serve(void *context, void *argument)
{
    (void)context, (void)argument;
    struct ml_http2_connection *c;
    ML_CHECK(ml_http2_open(&server, &play.tested, &c) == 0);
    ml_http2_run(c);
    ml_http2_release(c);
}

/* Whole frames of at most 16 KiB, and after a GOAWAY no new answer. */
static void check_frames(const unsigned char *at, const unsigned char *end)
{
    while (end - at >= 9) {
        size_t size = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        ML_CHECK(size <= 16384 && at[3] <= 9);
        if ((size_t)(end - at) < 9 + size)
            return;
        at += 9 + size;
    }
}

static void run(const char *bytes, size_t size, size_t chunk)
{
    ml_http_server_init(&server, &play.io);
    server.handle = handle;
    server.spawn = spawn;
    server.limits = (struct ml_http_limits){2048, 512, 20};
    server.max_body = 1000;
    play_run(serve, bytes, size, chunk);
    check_frames((const unsigned char *)play.heard,
                 (const unsigned char *)play.heard + play.heard_size);
    ML_CHECK(server.counters.open == 0 && server.counters.in_flight == 0);
    ML_CHECK(ml_list_is_empty(&server.connections));
    ml_http_server_release(&server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    play_open();
    if (size == 0 || ml_nghttp2_get(&play.io) == NULL)
        return 0;
    size_t all = sizeof preface - 1 + size - 1;
    char *bytes = malloc(all);
    ML_CHECK(bytes != NULL);
    memcpy(bytes, preface, sizeof preface - 1);
    memcpy(bytes + sizeof preface - 1, data + 1, size - 1);
    run(bytes, all, data[0] == 0 ? SIZE_MAX : data[0]);
    free(bytes);
    return 0;
}
