/*
 * Takes a multipart body apart (RFC 2046, section 5.1; RFC 7578) as it comes: heads of parts, and
 * pieces of their data in the caller's bytes; nothing is copied or allocated. Knows nothing of what
 * the fields of a part mean.
 *
 * Stricter than the RFC: a line that begins with the boundary and goes on is an error.
 */
#ifndef ML_HTTP_MULTIPART_H
#define ML_HTTP_MULTIPART_H

#include "http/head.h"

enum {
    ML_MULTIPART_BOUNDARY = 70,      /* bytes of a boundary at most */
    ML_MULTIPART_FIELDS = 16,        /* of a part */
    ML_MULTIPART_HEAD = 8 * 1024,    /* bytes of a part's head */
    ML_MULTIPART_PREAMBLE = 4 * 1024 /* bytes before the first part */
};

enum ml_multipart_event {
    ML_MULTIPART_MORE,     /* more bytes are needed */
    ML_MULTIPART_PART,     /* a part begins: its fields are in `head` */
    ML_MULTIPART_DATA,     /* `data` of it */
    ML_MULTIPART_PART_END, /* it is complete */
    ML_MULTIPART_END       /* so is the body; what follows means nothing */
};

struct ml_multipart {
    struct ml_http_head head; /* valid until the next call */
    struct ml_http_field fields[ML_MULTIPART_FIELDS];
    struct ml_http_slice data; /* in the bytes of the call */
    char delimiter[4 + ML_MULTIPART_BOUNDARY];
    uint32_t delimiter_size;
    uint32_t head_seen; /* bytes of a head that is not complete, at the start of the bytes */
    uint32_t skipped;   /* of the preamble, or of padding behind a boundary */
    uint32_t parts_left;
    uint8_t state;
};

/* False: it is no boundary. At most `parts` parts are taken. */
bool ml_multipart_begin(struct ml_multipart *multipart, const char *boundary, size_t size,
                        uint32_t parts);

/*
 * One event from the start of the bytes. *taken: how many of them are done with; the next call
 * begins with the others, and after ML_MULTIPART_MORE with further ones behind them. Returns an
 * event, or -EPROTO: malformed; -EMSGSIZE: beyond a limit. After an error it is of no use.
 */
int ml_multipart_next(struct ml_multipart *multipart, const char *bytes, size_t size,
                      size_t *taken);

#endif
