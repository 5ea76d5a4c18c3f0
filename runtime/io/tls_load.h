/*
 * Reads certificates, keys and revocation lists in PEM form into OpenSSL's contexts. Knows no
 * connection.
 */
#ifndef ML_IO_TLS_LOAD_H
#define ML_IO_TLS_LOAD_H

#include "io/openssl.h"

#include <stdbool.h>
#include <stddef.h>

/* Certificates or a key in PEM: the text itself, or the name of its file; neither: none. */
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

/* The reason of a failure. */
struct ml_tls_failure {
    int error; /* negated */
    char message[256];
};

/* Fills it in with "what: why"; returns -1. */
int ml_tls_fail(struct ml_tls_failure *failure, int error, const char *what, const char *why);

/* The functions below return 0, or -1 with *failure set, unless they say otherwise. */

/* Loads one's own certificate, if one is given. Without a key beside it, its text must have the
 * key, too. */
int ml_tls_load_credentials(const struct ml_openssl *o, SSL_CTX *ctx,
                            const struct ml_tls_credentials *credentials,
                            struct ml_tls_failure *failure);

/* Loads the trusted certificates: `ca`, and `path` (NULL: none), a directory as c_rehash makes it;
 * with neither the system's roots. */
int ml_tls_load_trusted(const struct ml_openssl *o, SSL_CTX *ctx, const struct ml_pem *ca,
                        const char *path, struct ml_tls_failure *failure);

/* Loads the system's roots, if there are any: 0; or -EMFILE, -ENFILE, -ENOMEM: they cannot be read
 * now. */
int ml_tls_load_system_roots(const struct ml_openssl *o, SSL_CTX *ctx);

/* Loads a list of revoked certificates, if one is given. */
int ml_tls_load_revoked(const struct ml_openssl *o, SSL_CTX *ctx, const struct ml_pem *pem,
                        struct ml_tls_failure *failure);

#endif
