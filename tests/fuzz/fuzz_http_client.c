/*
 * A response at the client (http/client_exchange.h): from a server that answers with the input
 * comes the same head, body and end or error however the bytes are cut.
 */
#include "fuzz.h"
#include "http_players.h"

#include "http/client_exchange.h"

static struct {
    enum ml_http_method method;
    int error, status, fields, trailers;
    size_t size;
    unsigned sum;
    const char *problem;
} got;

static bool no_field(const void *fields, size_t *at, struct ml_http_client_field *field)
{
    (void)fields, (void)at, (void)field;
    return false;
}

static void add(const void *data, size_t size)
{
    got.size += size;
    for (size_t i = 0; i < size; i++)
        got.sum = got.sum * 31 + ((const unsigned char *)data)[i];
}

static int read_body(struct ml_http_client_exchange *x)
{
    struct ml_piece_of_input piece;
    int result;
    while ((result = x->carrier->read(x, SIZE_MAX, &piece, ML_FOREVER)) == 0) {
        add(piece.data, piece.size);
        x->carrier->consume(x, &piece);
    }
    got.trailers = result == 1 ? x->trailers.field_count : 0;
    ML_CHECK(x->carrier->read(x, SIZE_MAX, &piece, ML_FOREVER) != 0);
    return result == 1 ? 0 : result;
}

static int receive(struct ml_http_client_exchange *x)
{
    int error = x->carrier->receive(x, false, ML_FOREVER);
    if (error != 0)
        return error;
    got.status = x->head.status;
    got.fields = x->head.field_count;
    for (int i = 0; i < x->head.field_count; i++)
        add(ml_http_at(&x->head, x->fields[i].value), x->fields[i].value.size);
    x->carrier->consume_head(x);
    return read_body(x);
}

static void ask(void *context, void *argument)
{
    static const char names[][5] = {"GET", "HEAD"};
    bool is_head = got.method == ML_HTTP_HEAD;
    struct ml_http_client_exchange *x = malloc(sizeof *x);
    struct ml_http_client_request request = {.method = names[is_head],
                                             .method_size = strlen(names[is_head]),
                                             .target = "/",
                                             .target_size = 1,
                                             .next = no_field};
    (void)context, (void)argument;
    ML_CHECK(x != NULL);
    ml_http_client_init(x, &play.tested);
    got.error = x->carrier->send(x, &request, NULL, 0, ML_FOREVER);
    if (got.error == 0)
        got.error = receive(x);
    got.problem = x->problem;
    bool is_reusable = x->carrier->finish(x);
    ML_CHECK(got.error == 0 || !is_reusable);
    ml_http_client_release(x);
    free(x);
    ml_stream_close(&play.tested);
}

static void run(const char *bytes, size_t size, size_t chunk, enum ml_http_method method)
{
    memset(&got, 0, sizeof got);
    got.method = method;
    play_run(ask, bytes, size, chunk);
}

static void check(const char *bytes, size_t size, enum ml_http_method method)
{
    static const size_t chunks[] = {1, 2, 7};
    run(bytes, size, SIZE_MAX, method);
    __typeof__(got) whole = got;
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        run(bytes, size, chunks[i], method);
        ML_CHECK(got.error == whole.error && got.problem == whole.problem);
        ML_CHECK(got.status == whole.status && got.fields == whole.fields);
        ML_CHECK(got.error != 0 || (got.size == whole.size && got.sum == whole.sum));
        ML_CHECK(got.error != 0 || got.trailers == whole.trailers);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    play_open();
    check((const char *)data, size, ML_HTTP_GET);
    check((const char *)data, size, ML_HTTP_HEAD);
    return 0;
}
