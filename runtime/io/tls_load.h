/*
 * Certificates, keys and revocation lists in PEM form, read into OpenSSL's contexts. Knows no
 * connection.
 */
#ifndef ML_IO_TLS_LOAD_H
#define ML_IO_TLS_LOAD_H

#include "io/openssl.h"

#include <stdbool.h>
#include <stddef.h>

/* Certificates or a key in PEM: the text itself, or the file that holds it; neither: none. */
struct ml_pem {
    const char *text;
    size_t size;
    const char *file;
};

struct ml_tls_credentials {
    struct ml_pem cert; /* the certificate and those that lead from it to a root */
    struct ml_pem key;
};

static inline bool ml_pem_is_given(const struct ml_pem *pem)
{
    return pem->text != NULL || pem->file != NULL;
}

/* Why something could not be made. */
struct ml_tls_failure {
    int error; /* negated */
    char message[256];
};

/* Fills it in with "what: why"; returns -1. */
int ml_tls_fail(struct ml_tls_failure *failure, int error, const char *what, const char *why);

/* These return 0, or -1 with *failure set, unless they say otherwise. */

/* One's own certificate, if one is given. One without a key beside it brings the key in the same
 * text. */
int ml_tls_load_credentials(const struct ml_openssl *o, SSL_CTX *ctx,
                            const struct ml_tls_credentials *credentials,
                            struct ml_tls_failure *failure);

/* Whom to trust; the system's roots with neither `ca` nor `path` (NULL), a directory as c_rehash
 * makes it. */
int ml_tls_load_trusted(const struct ml_openssl *o, SSL_CTX *ctx, const struct ml_pem *ca,
                        const char *path, struct ml_tls_failure *failure);

/* The system's roots, if there are any: 0; or -EMFILE, -ENFILE, -ENOMEM: they cannot be read now.
 */
int ml_tls_load_system_roots(const struct ml_openssl *o, SSL_CTX *ctx);

/* Certificates that are not trusted any more, if a list of them is given. */
int ml_tls_load_revoked(const struct ml_openssl *o, SSL_CTX *ctx, const struct ml_pem *pem,
                        struct ml_tls_failure *failure);

#endif
