/*
 * Writes the head of an answer for HTTP/1: the status line, the fields, the fields that frame the
 * body. Formats into the caller's memory; knows no connection and no stream.
 */
#ifndef ML_HTTP_ANSWER_H
#define ML_HTTP_ANSWER_H

#include "http/exchange.h"

/* How the body of an answer ends. */
enum ml_http_framing {
    ML_HTTP_WITHOUT,    /* the answer has no body, and no field about one */
    ML_HTTP_BY_LENGTH,  /* content-length */
    ML_HTTP_BY_CHUNKS,  /* transfer-encoding: chunked */
    ML_HTTP_BY_CLOSING, /* the connection ends with it */
};

/* The value of the `connection` field; ML_HTTP_KEEPS: without the field. */
enum ml_http_persistence { ML_HTTP_KEEPS, ML_HTTP_SAYS_KEEP_ALIVE, ML_HTTP_SAYS_CLOSE };

struct ml_http_frame {
    enum ml_http_framing framing;
    enum ml_http_persistence persistence;
    const char *date; /* 29 characters; NULL: without one */
};

/* The most bytes that the head may take. */
size_t ml_http_answer_bound(const struct ml_http_answer *answer);

/* Writes the head, the empty line included. Returns its end. */
char *ml_http_answer_format(char *to, const struct ml_http_answer *answer,
                            const struct ml_http_frame *frame);

/* Writes the head of an interim answer. Status 101 keeps its `upgrade` and `connection` fields. */
char *ml_http_interim_format(char *to, const struct ml_http_answer *answer);

/* Writes trailers, the empty line included. pairs: NULL for none. */
char *ml_http_trailers_format(char *to, const struct ml_http_pair *pairs, int count);

/* "Not Found" for 404; "" for a status code that is not registered. */
const char *ml_http_reason(int status);

/* Whether the carrier writes the field itself: those of connections and of framing. */
bool ml_http_pair_is_framing(const struct ml_http_pair *pair);

/* Whether answers with that status code never have a body. */
static inline bool ml_http_status_is_bare(int status)
{
    return status == 204 || status == 304 || status < 200;
}

/* Writes a number, at most 20 digits. Returns its end. */
char *ml_http_format_number(char *to, uint64_t number);

/* The same in hexadecimal, at most 16 digits. */
char *ml_http_format_hex(char *to, uint64_t number);

/* Whether the name is a token, and the value has no CR, LF, NUL or other control character. */
bool ml_http_pair_is_valid(const struct ml_http_pair *pair);

#endif
