/*
 * URLs by RFC 3986: the parts of a text. Allocates nothing and keeps nothing: parts are slices of
 * the caller's text. Knows no scheme but those of HTTP, whose authority must name a host.
 */
#ifndef ML_HTTP_URL_H
#define ML_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the caller's text. `data` is NULL for a part that is absent, not for one that is
 * empty. */
struct ml_slice {
    const char *data;
    size_t size;
};

struct ml_url {
    struct ml_slice scheme;   /* without ":"; absent in a relative reference */
    struct ml_slice userinfo; /* without "@" */
    struct ml_slice host;     /* for an address in brackets, their content; absent without "//" */
    struct ml_slice port;     /* digits, or nothing after the ":" */
    struct ml_slice path;     /* never absent */
    struct ml_slice query;    /* without "?" */
    struct ml_slice fragment; /* without "#" */
    int port_number;          /* 0 to 65535; -1: the text has none */
    bool is_bracketed;        /* the host stood in brackets */
};

/* Where and why a text is not a URL. */
struct ml_url_error {
    const char *reason; /* a sentence without a full stop, static */
    size_t at;          /* place of the wrong byte, from 0; the size of the text: its end */
};

/*
 * Finds the parts of a URL, or of a relative reference, in `text`, which stays the caller's. The
 * parts stay as they are in the text: neither in lower case nor decoded. Refuses every byte that
 * RFC 3986 does not allow at its place, except for brackets in a query or a fragment, which all
 * browsers send. 0; or -ML_EURL: `error` is filled in and `url` undefined.
 */
int ml_url_parse(const char *text, size_t size, struct ml_url *url, struct ml_url_error *error);

/* Whether the slice equals the text; letters in any case. */
bool ml_slice_is(struct ml_slice slice, const char *text);

/* Whether the scheme is http, https, ws or wss. */
bool ml_url_is_http(const struct ml_url *url);

#endif
