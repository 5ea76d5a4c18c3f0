/*
 * One request and its answer, whatever version of HTTP carries them. A carrier (HTTP/1:
 * http/http1.h) fills in the request and sends the answer; a handler, in Lua or in C, sees an
 * exchange alone. Knows neither Lua nor how bytes are framed.
 */
#ifndef ML_HTTP_EXCHANGE_H
#define ML_HTTP_EXCHANGE_H

#include "base/check.h"
#include "http/head.h"
#include "io/stream.h"

struct ml_http_exchange;
struct ml_http_server;

/* A field of an answer. Both parts have been checked: ml_http_pair_is_valid(). */
struct ml_http_pair {
    const char *name;
    const char *value;
    uint32_t name_size;
    uint32_t value_size;
};

/* The head of an answer. Connection and framing fields among the pairs are left out by the carrier,
 * which makes its own. */
struct ml_http_answer {
    int status;
    const struct ml_http_pair *pairs;
    int pair_count;
    int64_t length; /* of the body; -1: unknown; it is what is sent until `end` */
};

/*
 * What carries exchanges. Unless said otherwise: called by the exchange's own task, may wait,
 * returns 0 or an error: -EPIPE, -ECONNRESET: the peer is gone; -ETIMEDOUT: it is too slow;
 * -ECANCELED; -ML_ECLOSED; -ENOMEM. After a failure of what sends, the answer is broken.
 */
struct ml_http_carrier {
    /*
     * The next piece of the request's body, without framing, at most `max` bytes; `piece` as
     * ml_stream_read_some() has it, valid until the next call that may wait. The first call asks a
     * peer that expects it to go on (100). 0; 1: the end; -EPROTO: its framing is wrong; -EMSGSIZE:
     * it is larger than the exchange's max_body; -ML_EEOF: the peer left in its middle.
     */
    int (*read_body)(struct ml_http_exchange *x, size_t max, struct ml_piece_of_input *piece);
    void (*consume)(struct ml_http_exchange *x, const struct ml_piece_of_input *piece);
    /* Head and whole body: the usual answer, kept together with those of requests that have come
     * already. answer->length is the size of the pieces. */
    int (*send_whole)(struct ml_http_exchange *x, const struct ml_http_answer *answer,
                      struct iovec *pieces, int count);
    /* An answer in parts: the head, the body's pieces (the array is used up), the end with
     * `count` trailers (NULL: none). The head may be held back until there is more to send. */
    int (*send_head)(struct ml_http_exchange *x, const struct ml_http_answer *answer);
    int (*send_body)(struct ml_http_exchange *x, struct iovec *pieces, int count);
    /* `count` bytes of a file; *sent: as ml_stream_send_file(). */
    int (*send_file)(struct ml_http_exchange *x, int file, off_t offset, uint64_t count,
                     uint64_t *sent);
    int (*end)(struct ml_http_exchange *x, const struct ml_http_pair *trailers, int count);
    /* Sends all that is held back. */
    int (*flush)(struct ml_http_exchange *x);
    /* An interim answer, 102 to 199, but not 101. Nothing for a peer that does not know them. */
    int (*inform)(struct ml_http_exchange *x, const struct ml_http_answer *answer);
    /* Cuts the answer off, so that the peer sees that it is not whole. Idempotent; never waits. */
    void (*abort)(struct ml_http_exchange *x);
    /* Whether the peer has left. Never waits. */
    bool (*gone)(struct ml_http_exchange *x);
    /* For a wait for several things: the running task is woken when gone() may have changed. As
     * ml_stream_watch(). */
    int (*watch)(struct ml_http_exchange *x, struct ml_waiter *waiter, ml_time *again);
    void (*unwatch)(struct ml_http_exchange *x);
    /* The exchange's on_gone has changed: a peer that has left already cancels the handler now.
     * Never waits. */
    void (*heed)(struct ml_http_exchange *x);
    /* The connection becomes the handler's: nothing is sent any more, the unread input stays in
     * x->stream. -EOPNOTSUPP: it carries other exchanges, too. */
    int (*hijack)(struct ml_http_exchange *x);
    /* The request asks for a protocol over its own stream of the connection (RFC 8441): answers
     * with this head, and opens `stream`, which is closed, over what follows it. The exchange's end
     * closes it. -EOPNOTSUPP: it does not ask. NULL: the carrier has no such requests. */
    int (*tunnel)(struct ml_http_exchange *x, const struct ml_http_answer *answer,
                  struct ml_stream *stream);
    /* The fields after the body, once read_body() has returned 1: a head that has fields alone;
     * NULL: there were none. Never waits. */
    const struct ml_http_head *(*trailers)(struct ml_http_exchange *x);
};

/* How far the answer has come. */
enum ml_http_phase {
    ML_HTTP_UNSENT,   /* not a byte of it is out or held back */
    ML_HTTP_HEADED,   /* its head is */
    ML_HTTP_COMPLETE, /* all of it is */
    ML_HTTP_BROKEN,   /* it will never be whole */
    ML_HTTP_HIJACKED
};

/* When a peer that leaves cancels the handler. */
enum ml_http_on_gone { ML_HTTP_GONE_STREAMING, ML_HTTP_GONE_CANCEL, ML_HTTP_GONE_IGNORE };

struct ml_http_exchange {
    const struct ml_http_carrier *carrier;
    struct ml_http_server *server;
    struct ml_stream *stream; /* of the connection */
    void *context;            /* the handler's: a lua_State */
    void *object;             /* the same: what it has made of the exchange; NULL: nothing yet */
    const char *scheme;       /* "http" or "https" */
    uint64_t max_body;        /* bytes; UINT64_MAX: no limit */
    ml_time read_timeout;     /* spans, of single waits */
    ml_time write_timeout;
    uint64_t body_read; /* bytes of the request's body so far */
    uint64_t body_sent; /* of the answer's */
    uint64_t file; /* the number of the file that is sent; 0: none, as struct ml_stream has it */
    ml_time began; /* when its head was there */
    /* Calls of the carrier that are under way, in whatever tasks, and what is told when the last of
     * them ends, once the exchange is over; NULL: none is told. */
    uint32_t calls;
    void (*left)(struct ml_http_exchange *x);
    int body_error;   /* what read_body() failed with; 0: nothing */
    int syntax_error; /* with -EPROTO: the ml_http_error */
    int status;       /* of the answer; 0: none yet; hijacked: what upgrades are answered with */
    uint8_t version;  /* 10, 11, 20 */
    enum ml_http_phase phase : 8;
    enum ml_http_on_gone on_gone : 8;
    bool is_body_read : 1;  /* to its end */
    bool is_body_begun : 1; /* read_body() was called */
    bool is_head : 1;       /* the method is HEAD: the answer has no body */
    bool must_close : 1;    /* the connection ends after it */
    bool is_refused : 1;    /* answered without a handler: it is only to be logged */
    bool compresses : 1;    /* the handler's: its answer may get a content coding */
    /* Its bytes stay while the exchange does. It is parsed in place, and comes last: an exchange
     * begins with all that is before it zero. */
    struct ml_http_head head;
};

/* Around calls of the carrier by tasks that may outlive the handler: its memory stays until the
 * last has left. */
static inline void ml_http_exchange_enter(struct ml_http_exchange *x)
{
    x->calls++;
}

static inline void ml_http_exchange_leave(struct ml_http_exchange *x)
{
    if (--x->calls == 0 && ml_unlikely(x->left != NULL))
        x->left(x);
}

/* The status for a body that could not be read: 400 (the peer has left in the middle, too), 408,
 * 413; 0: it could, or this end has failed. */
int ml_http_exchange_body_status(const struct ml_http_exchange *x);

/* The text of a 421. */
#define ML_HTTP_MISDIRECTED "this connection is for another host"

/* Whether the request is for a host whose certificate the connection did not show: 421. The
 * authority of a CONNECT is no host of this server's. */
bool ml_http_exchange_is_misdirected(const struct ml_http_exchange *x);

/* Answers with a text of `size` bytes; type: of its content, NULL: none is told. As send_whole().
 */
int ml_http_exchange_answer(struct ml_http_exchange *x, int status, const char *type,
                            const char *text, size_t size);

/* Answers 503, with Retry-After, where too many requests are in flight. As send_whole(). */
int ml_http_exchange_answer_busy(struct ml_http_exchange *x);

#endif
