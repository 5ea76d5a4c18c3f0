#include "http/exchange.h"

#include "base/error.h"
#include "io/tls.h"

#include <errno.h>
#include <string.h>

int ml_http_exchange_body_status(const struct ml_http_exchange *x)
{
    switch (x->body_error) {
    case -EMSGSIZE:
        return 413;
    case -ETIMEDOUT:
        return 408;
    case -EPROTO:
    case -ML_EEOF:
    case -ECONNRESET:
        return 400;
    default:
        return 0;
    }
}

bool ml_http_exchange_is_misdirected(const struct ml_http_exchange *x)
{
    const struct ml_http_head *head = &x->head;
    return x->stream->tls != NULL && head->method_id != ML_HTTP_CONNECT &&
           ml_tls_is_misdirected(x->stream, ml_http_at(head, head->authority),
                                 head->authority.size);
}

int ml_http_exchange_answer_busy(struct ml_http_exchange *x)
{
    static const char text[] = "too many requests at a time\n";
    static const struct ml_http_pair pairs[] = {
        {"retry-after", "1", 11, 1}, {"content-type", "text/plain; charset=utf-8", 12, 25}};
    struct iovec piece = {.iov_base = (void *)text, .iov_len = sizeof text - 1};
    struct ml_http_answer answer = {
        .status = 503, .pairs = pairs, .pair_count = 2, .length = sizeof text - 1};
    return x->carrier->send_whole(x, &answer, &piece, 1);
}

int ml_http_exchange_answer(struct ml_http_exchange *x, int status, const char *type,
                            const char *text, size_t size)
{
    struct ml_http_pair pair = {.name = "content-type", .name_size = 12, .value = type};
    struct iovec piece = {.iov_base = (void *)text, .iov_len = size};
    struct ml_http_answer answer = {.status = status, .pairs = &pair, .length = (int64_t)size};
    if (type != NULL) {
        pair.value_size = (uint32_t)strlen(type);
        answer.pair_count = 1;
    }
    return x->carrier->send_whole(x, &answer, &piece, 1);
}
