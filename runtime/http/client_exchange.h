/*
 * A request that this program makes, and its response, whatever version of HTTP carries them: the
 * carrier knows how bytes are framed. Knows neither Lua nor pools,
 * redirects or content codings.
 *
 * The order of the calls: send; write, end (only if the body did not go with the head); receive;
 * read and consume until the end. One task may write and end while another receives and reads. Each
 * call may wait up to its absolute deadline and returns 0 or an error: -ECONNRESET, -EPIPE,
 * -ETIMEDOUT, -ECANCELED, -ML_ECLOSED, -ENOMEM; x->problem says more where it is not NULL. After an
 * error the exchange can only be dropped, but for a write that failed and for a receive() whose
 * deadline passed: the response may still be received.
 */
#ifndef ML_HTTP_CLIENT_EXCHANGE_H
#define ML_HTTP_CLIENT_EXCHANGE_H

#include "http/chunked.h"
#include "http/head.h"
#include "io/stream.h"

struct ml_http_client_exchange;

/* A field of a request, checked: a token, and a value without control characters. */
struct ml_http_client_field {
    const char *name, *value;
    size_t name_size, value_size;
};

/* What follows the head. */
enum ml_http_client_body {
    ML_HTTP_CLIENT_NOTHING, /* no content, and no word of it */
    ML_HTTP_CLIENT_SIZED,   /* `length` bytes */
    ML_HTTP_CLIENT_STREAMED /* until end() */
};

struct ml_http_client_request {
    const char *method, *target; /* no white space, no control characters */
    size_t method_size, target_size;
    const char *protocol; /* of a CONNECT (RFC 8441), over HTTP/2 alone; NULL: none */
    enum ml_http_client_body body;
    uint64_t length;
    /* The fields one after the other, Host among them, those of framing left out: false at the
     * end. */
    bool (*next)(const void *fields, size_t *at, struct ml_http_client_field *field);
    const void *fields;
};

struct ml_http_client_carrier {
    /* The head, and `count` pieces of the body. */
    int (*send)(struct ml_http_client_exchange *x, const struct ml_http_client_request *request,
                struct iovec *pieces, int count, ml_time deadline);
    /* More of the body; the array is used up. -EPROTO: more than `length`. */
    int (*write)(struct ml_http_client_exchange *x, struct iovec *pieces, int count,
                 ml_time deadline);
    /* The body is whole; waits until it has left. -EPROTO: it is shorter than its length. */
    int (*end)(struct ml_http_client_exchange *x, ml_time deadline);
    /* The response's head is x->head; its slices are valid until consume_head(). Interim ones are
     * left out; with `stops_at_continue` a 100 is given, too. -EPROTO, -EMSGSIZE: x->problem says
     * more; -ML_EEOF: the connection ended. */
    int (*receive)(struct ml_http_client_exchange *x, bool stops_at_continue, ml_time deadline);
    void (*consume_head)(struct ml_http_client_exchange *x);
    /* The next piece of the body, at most `max` bytes, valid until the next call that may wait; 1:
     * the end, and x->trailers are valid until finish(). -ML_EEOF: the connection ended in the
     * middle. */
    int (*read)(struct ml_http_client_exchange *x, size_t max, struct ml_piece_of_input *piece,
                ml_time deadline);
    void (*consume)(struct ml_http_client_exchange *x, const struct ml_piece_of_input *piece);
    /* After the end of the body. True: the connection may carry another exchange. */
    bool (*finish)(struct ml_http_client_exchange *x);
    /* Whether an idle connection is still good: nothing has come, and it has not ended. Never
     * waits. */
    bool (*is_idle)(struct ml_http_client_exchange *x);
    /* Whether the bytes of x->head and x->trailers are still there: they may have gone with the
     * connection. Never waits. */
    bool (*holds_head)(const struct ml_http_client_exchange *x);
    /* More than 0: the request is not through, though all of it was given, and drop() would cut it
     * off; the less, the more of it has left. NULL: that never happens. Never waits. */
    size_t (*unsent)(const struct ml_http_client_exchange *x);
    /* The rest of the response is not read. Waits of other tasks in it end. Never waits. */
    void (*drop)(struct ml_http_client_exchange *x);
};

/* Fields that a response may have. */
enum { ML_HTTP_CLIENT_FIELDS = 100 };

enum ml_http_client_phase {
    ML_HTTP_CLIENT_IDLE,      /* no request yet, or the last one is over */
    ML_HTTP_CLIENT_AWAITING,  /* the response's head */
    ML_HTTP_CLIENT_RECEIVING, /* its body */
    ML_HTTP_CLIENT_OVER       /* its body has been read */
};

struct ml_http_client_exchange {
    const struct ml_http_client_carrier *carrier;
    struct ml_stream *stream;
    enum ml_http_method method;
    enum ml_http_client_phase phase;
    const char *problem; /* what is wrong, a sentence, static; NULL: the error says all */
    uint64_t sent;       /* bytes of the request that may have left, of all of this exchange */
    uint64_t body_left;  /* bytes of a sized request body that are still to be sent */
    uint64_t left;       /* of a sized response body that are still to come */
    size_t head_size;    /* bytes of the head at the front of the input; 0: consumed */
    size_t pending;      /* bytes of the piece that is not consumed yet */
    size_t max_head;     /* bytes of a response's head, and of trailers */
    bool is_streamed;    /* the request's body is chunked */
    bool is_sending;     /* the request is not whole yet */
    bool is_reusable;    /* so far nothing forbids another exchange */
    bool has_answer;     /* a byte of a response has come */
    bool is_refused;     /* the server says that it has not looked at the request */
    bool wants_http1;    /* it serves the request over HTTP/1.1 only */
    struct ml_http_chunked chunked;
    struct ml_buffer out; /* the request's head */
    struct ml_http_head head, trailers;
    struct ml_http_field fields[ML_HTTP_CLIENT_FIELDS];
};

/* Over HTTP/1.1 on a stream, which is connected and outlives the exchange. */
void ml_http_client_init(struct ml_http_client_exchange *x, struct ml_stream *stream);

/* Gives its memory back; the stream stays. */
void ml_http_client_release(struct ml_http_client_exchange *x);

/* The number of a method, ML_HTTP_METHOD_OTHER for one that is not known. */
enum ml_http_method ml_http_client_method(const char *text, size_t size);

#endif
