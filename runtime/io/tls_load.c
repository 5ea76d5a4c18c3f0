#include "io/tls_load.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int ml_tls_fail(struct ml_tls_failure *failure, int error, const char *what, const char *why)
{
    failure->error = error;
    snprintf(failure->message, sizeof failure->message, "%s: %s", what, why);
    return -1;
}

/* The reason that OpenSSL gives for its last error. */
static int fail_for_its_reason(const struct ml_openssl *o, struct ml_tls_failure *failure,
                               const char *what)
{
    const char *reason = o->ERR_reason_error_string(o->ERR_peek_last_error());
    return ml_tls_fail(failure, -ML_ETLS, what, reason != NULL ? reason : "refused");
}

/* ---- PEM ---- */

static const char *name_of(const struct ml_pem *pem, const char *what)
{
    return pem->file != NULL ? pem->file : what;
}

/* Opens it for reading; NULL with *failure set. */
static BIO *open_pem(const struct ml_openssl *o, const struct ml_pem *pem, const char *what,
                     struct ml_tls_failure *failure)
{
    errno = ENOMEM;
    BIO *bio = pem->file != NULL ? o->BIO_new_file(pem->file, "r")
                                 : o->BIO_new_mem_buf(pem->text, (int)pem->size);
    if (bio == NULL)
        ml_tls_fail(failure, -errno, name_of(pem, what), ml_error_text(errno));
    return bio;
}

/* Whether reading stopped at the end, and not at something unreadable. */
static bool is_at_end(const struct ml_openssl *o)
{
    unsigned long code = o->ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

/* A key that is encrypted cannot be used: there is no way to ask for the passphrase. */
static int no_passphrase(char *text, int size, int writes, void *data)
{
    (void)text, (void)size, (void)writes, (void)data;
    return -1;
}

/* Handles one certificate of a PEM text, and takes it over. False: it is refused. */
typedef bool take_certificate(const struct ml_openssl *o, SSL_CTX *ctx, X509 *certificate,
                              int number);

/* Handles each certificate in order; -1 with *failure set, also when there is none. */
static int read_certificates(const struct ml_openssl *o, SSL_CTX *ctx, const struct ml_pem *pem,
                             const char *what, take_certificate *take,
                             struct ml_tls_failure *failure)
{
    BIO *bio = open_pem(o, pem, what, failure);
    if (bio == NULL)
        return -1;
    int count = 0;
    int result = 0;
    X509 *certificate;
    while (result == 0 && (certificate = o->PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        if (!take(o, ctx, certificate, count++))
            result = fail_for_its_reason(o, failure, name_of(pem, what));
    if (result == 0 && !is_at_end(o))
        result = fail_for_its_reason(o, failure, name_of(pem, what));
    if (result == 0 && count == 0)
        result = ml_tls_fail(failure, -ML_ETLS, name_of(pem, what), "no certificate in PEM form");
    o->BIO_free(bio);
    return result;
}

/* ---- one's own certificate ---- */

static bool take_own(const struct ml_openssl *o, SSL_CTX *ctx, X509 *certificate, int number)
{
    if (number > 0) {
        bool is_taken = o->SSL_CTX_ctrl(ctx, SSL_CTRL_CHAIN_CERT, 0, certificate) == 1;
        if (!is_taken)
            o->X509_free(certificate);
        return is_taken;
    }
    bool is_taken = o->SSL_CTX_use_certificate(ctx, certificate) == 1;
    o->X509_free(certificate);
    return is_taken;
}

static int load_key(const struct ml_openssl *o, SSL_CTX *ctx, const struct ml_pem *pem,
                    struct ml_tls_failure *failure)
{
    BIO *bio = open_pem(o, pem, "key", failure);
    if (bio == NULL)
        return -1;
    EVP_PKEY *key = o->PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    o->BIO_free(bio);
    if (key == NULL)
        return ml_tls_fail(failure, -ML_ETLS, name_of(pem, "key"),
                           "no private key in PEM form, or encrypted");
    bool is_taken = o->SSL_CTX_use_PrivateKey(ctx, key) == 1;
    o->EVP_PKEY_free(key);
    if (!is_taken || o->SSL_CTX_check_private_key(ctx) != 1)
        return ml_tls_fail(failure, -ML_ETLS, name_of(pem, "key"),
                           "it does not belong to the certificate");
    return 0;
}

/* A certificate without a key beside it brings the key in the same text. */
int ml_tls_load_credentials(const struct ml_openssl *o, SSL_CTX *ctx,
                            const struct ml_tls_credentials *credentials,
                            struct ml_tls_failure *failure)
{
    const struct ml_pem *key =
        ml_pem_is_given(&credentials->key) ? &credentials->key : &credentials->cert;
    if (!ml_pem_is_given(&credentials->cert))
        return ml_pem_is_given(&credentials->key)
                   ? ml_tls_fail(failure, -EINVAL, "key", "it has no certificate")
                   : 0;
    if (read_certificates(o, ctx, &credentials->cert, "cert", take_own, failure) != 0)
        return -1;
    return load_key(o, ctx, key, failure);
}

/* ---- trusted certificates ---- */

/* Trusts it, and names it to clients that are asked for a certificate. */
static bool take_trusted(const struct ml_openssl *o, SSL_CTX *ctx, X509 *certificate, int number)
{
    (void)number;
    bool is_taken = o->X509_STORE_add_cert(o->SSL_CTX_get_cert_store(ctx), certificate) == 1 &&
                    o->SSL_CTX_add_client_CA(ctx, certificate) == 1;
    o->X509_free(certificate);
    return is_taken;
}

static const char *setting(const char *variable, const char *otherwise)
{
    const char *value = secure_getenv(variable);
    return value != NULL ? value : otherwise;
}

/* 0, or -EMFILE, -ENFILE, -ENOMEM: the file cannot be read at this moment. */
static int look_at_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0)
        close(fd);
    bool is_passing = fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM);
    return is_passing ? -errno : 0;
}

/* OpenSSL's own SSL_CTX_set_default_verify_paths() reports success even if it could not open the
 * file. */
int ml_tls_load_system_roots(const struct ml_openssl *o, SSL_CTX *ctx)
{
    const char *file =
        setting(o->X509_get_default_cert_file_env(), o->X509_get_default_cert_file());
    const char *directory =
        setting(o->X509_get_default_cert_dir_env(), o->X509_get_default_cert_dir());
    int error = look_at_file(file);
    if (error == 0 && o->SSL_CTX_load_verify_file(ctx, file) != 1 &&
        ERR_GET_REASON(o->ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE)
        error = -ENOMEM;
    if (error == 0 && o->SSL_CTX_load_verify_dir(ctx, directory) != 1)
        error = -ENOMEM;
    o->ERR_clear_error();
    return error;
}

/* Loads those of the system, with the reason if they cannot be read. */
static int load_roots(const struct ml_openssl *o, SSL_CTX *ctx, struct ml_tls_failure *failure)
{
    int error = ml_tls_load_system_roots(o, ctx);
    return error == 0
               ? 0
               : ml_tls_fail(failure, error, "the system's certificates", ml_error_text(error));
}

int ml_tls_load_trusted(const struct ml_openssl *o, SSL_CTX *ctx, const struct ml_pem *ca,
                        const char *path, struct ml_tls_failure *failure)
{
    if (ml_pem_is_given(ca) && read_certificates(o, ctx, ca, "ca", take_trusted, failure) != 0)
        return -1;
    if (path != NULL && o->SSL_CTX_load_verify_dir(ctx, path) != 1)
        return fail_for_its_reason(o, failure, path);
    return ml_pem_is_given(ca) || path != NULL ? 0 : load_roots(o, ctx, failure);
}

int ml_tls_load_revoked(const struct ml_openssl *o, SSL_CTX *ctx, const struct ml_pem *pem,
                        struct ml_tls_failure *failure)
{
    BIO *bio = ml_pem_is_given(pem) ? open_pem(o, pem, "crl", failure) : NULL;
    if (bio == NULL)
        return ml_pem_is_given(pem) ? -1 : 0;
    X509_STORE *store = o->SSL_CTX_get_cert_store(ctx);
    X509_CRL *crl;
    int count = 0;
    bool is_taken = true;
    while (is_taken && (crl = o->PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        is_taken = o->X509_STORE_add_crl(store, crl) == 1;
        o->X509_CRL_free(crl);
        count++;
    }
    o->BIO_free(bio);
    o->X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    if (!is_taken || !is_at_end(o))
        return fail_for_its_reason(o, failure, name_of(pem, "crl"));
    return count > 0 ? 0
                     : ml_tls_fail(failure, -ML_ETLS, name_of(pem, "crl"),
                                   "no revocation list in PEM form");
}
