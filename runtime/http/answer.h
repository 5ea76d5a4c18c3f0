/*
 * The head of an answer as HTTP/1 writes it: status line, the fields, what frames the body. Formats
 * into memory of the caller's; knows no connection and no stream.
 */
#ifndef ML_HTTP_ANSWER_H
#define ML_HTTP_ANSWER_H

#include "http/exchange.h"

/* How the body of an answer ends. */
enum ml_http_framing {
    ML_HTTP_WITHOUT,    /* there is none, and nothing is said of one */
    ML_HTTP_BY_LENGTH,  /* content-length */
    ML_HTTP_BY_CHUNKS,  /* transfer-encoding: chunked */
    ML_HTTP_BY_CLOSING, /* the connection ends with it */
};

/* What the `connection` field says; nothing is the usual. */
enum ml_http_persistence { ML_HTTP_KEEPS, ML_HTTP_SAYS_KEEP_ALIVE, ML_HTTP_SAYS_CLOSE };

struct ml_http_frame {
    enum ml_http_framing framing;
    enum ml_http_persistence persistence;
    const char *date; /* 29 characters; NULL: without one */
};

/* Bytes that the head takes at most. */
size_t ml_http_answer_bound(const struct ml_http_answer *answer);

/* Writes the head, the empty line included, and returns where it ends. */
char *ml_http_answer_format(char *to, const struct ml_http_answer *answer,
                            const struct ml_http_frame *frame);

/* The head of an interim answer; `upgrade` and `connection` fields stay where it is 101. */
char *ml_http_interim_format(char *to, const struct ml_http_answer *answer);

/* Trailers, the empty line included; NULL for none. */
char *ml_http_trailers_format(char *to, const struct ml_http_pair *pairs, int count);

/* "Not Found" for 404; "" for a status that is not registered. */
const char *ml_http_reason(int status);

/* Whether the field is one that the carrier writes by itself: of connections and of framing. */
bool ml_http_pair_is_framing(const struct ml_http_pair *pair);

/* Whether an answer of that status never has a body. */
static inline bool ml_http_status_is_bare(int status)
{
    return status == 204 || status == 304 || status < 200;
}

/* Writes a number and returns where it ends: at most 20 digits. */
char *ml_http_format_number(char *to, uint64_t number);

/* The same in hexadecimal: at most 16. */
char *ml_http_format_hex(char *to, uint64_t number);

/* Whether the name is a token and the value has no CR, LF, NUL or other control character. */
bool ml_http_pair_is_valid(const struct ml_http_pair *pair);

#endif
