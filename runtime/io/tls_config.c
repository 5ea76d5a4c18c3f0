#include "io/tls_config.h"

#include "base/check.h"
#include "base/error.h"
#include "io/address.h"
#include "io/io.h"
#include "io/tls_tickets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Sessions that a client keeps to resume, one for each server name. */
enum { SESSIONS = 64 };

struct session {
    char *name;
    SSL_SESSION *session;
};

struct name {
    struct name *next;
    char *host;
    SSL_CTX *ctx;
};

struct ml_tls_config {
    const struct ml_openssl *o;
    SSL_CTX *ctx;
    unsigned references;
    bool verifies_servers;
    bool names_nobody;
    bool lacks_roots;  /* the system's, which the first client's connection reads */
    bool asks_clients; /* for a certificate */
    bool has_certificate;
    int min_version;
    char *server_name;
    unsigned char *alpn;
    size_t alpn_size;
    struct name *names;
    struct ml_tls_tickets *tickets; /* NULL: OpenSSL makes the context's own */
    struct session sessions[SESSIONS];
    unsigned next_session;
};

/* ---- a server's choices by the client's hello ---- */

/* Whether the name that a client asked for is `host`, or matches its "*." for one label. */
static bool matches(const char *host, const char *asked)
{
    if (strncmp(host, "*.", 2) != 0)
        return strcasecmp(host, asked) == 0;
    const char *rest = strchr(asked, '.');
    return rest != NULL && rest != asked && strcasecmp(host + 1, rest) == 0;
}

/* A host's own name takes precedence over a "*." that matches it; NULL: there is neither. */
static const struct name *find_name(const struct ml_tls_config *config, const char *asked)
{
    const struct name *found = NULL;
    for (const struct name *name = config->names; name != NULL; name = name->next)
        if (matches(name->host, asked) && (found == NULL || found->host[0] == '*'))
            found = name;
    return found;
}

static X509 *certificate_for(const struct ml_tls_config *config, const struct name *name)
{
    return config->o->SSL_CTX_get0_certificate(name != NULL ? name->ctx : config->ctx);
}

/* Names that share a certificate are one host to a client that compares certificates. */
bool ml_tls_config_is_misdirected(const struct ml_tls_config *config, SSL *ssl, const char *host)
{
    const struct name *wanted = find_name(config, host);
    const char *asked = config->o->SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (wanted == NULL || asked == NULL)
        return false;
    const struct name *chosen = find_name(config, asked);
    if (chosen == wanted)
        return false;
    X509 *shown = certificate_for(config, chosen);
    return shown == NULL || config->o->X509_cmp(shown, certificate_for(config, wanted)) != 0;
}

static int on_server_name(SSL *ssl, int *alert, void *data)
{
    (void)alert;
    const struct ml_tls_config *config = data;
    const struct ml_openssl *o = config->o;
    const char *asked = o->SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct name *name = asked != NULL ? find_name(config, asked) : NULL;
    if (name != NULL)
        o->SSL_set_SSL_CTX(ssl, name->ctx);
    return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301: the server's preference decides; no protocol in common is an error. */
static int on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_size,
                        const unsigned char *offered, unsigned offered_size, void *data)
{
    (void)ssl;
    const struct ml_tls_config *config = data;
    int result =
        config->o->SSL_select_next_proto((unsigned char **)chosen, chosen_size, config->alpn,
                                         (unsigned)config->alpn_size, offered, offered_size);
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- sessions of a client ---- */

static struct session *find_session(struct ml_tls_config *config, const char *name)
{
    for (int i = 0; i < SESSIONS; i++)
        if (config->sessions[i].name != NULL && strcmp(config->sessions[i].name, name) == 0)
            return &config->sessions[i];
    return NULL;
}

/* The entry of a name, or another one that is reused for it; NULL: no memory. */
static struct session *claim_session(struct ml_tls_config *config, const char *name)
{
    struct session *entry = find_session(config, name);
    char *copy = entry != NULL ? entry->name : strdup(name);
    if (copy == NULL)
        return NULL;
    if (entry == NULL) {
        entry = &config->sessions[config->next_session++ % SESSIONS];
        free(entry->name);
    }
    entry->name = copy;
    config->o->SSL_SESSION_free(entry->session);
    entry->session = NULL;
    return entry;
}

void ml_tls_config_keep_session(struct ml_tls_config *config, SSL *ssl, const char *server_name)
{
    SSL_SESSION *session = server_name != NULL ? config->o->SSL_get1_session(ssl) : NULL;
    bool is_resumable = session != NULL && config->o->SSL_SESSION_is_resumable(session);
    struct session *entry = is_resumable ? claim_session(config, server_name) : NULL;
    if (entry != NULL)
        entry->session = session;
    else
        config->o->SSL_SESSION_free(session);
}

/* ---- connections ---- */

/* A client that verifies a number: compared by value, without form and scope. */
static bool set_number(const struct ml_openssl *o, SSL *ssl, const struct ml_address *number)
{
    bool is_inet = number->any.sa_family == AF_INET;
    const unsigned char *bytes =
        is_inet ? (const unsigned char *)&number->inet.sin_addr : number->inet6.sin6_addr.s6_addr;
    return o->X509_VERIFY_PARAM_set1_ip(o->SSL_get0_param(ssl), bytes, is_inet ? 4 : 16) == 1;
}

/* Sets the name that a client asks for, and verifies. */
static bool set_server_name(const struct ml_openssl *o, SSL *ssl, const char *name)
{
    struct ml_address number;
    if (ml_address_parse(&number, name, 0))
        return set_number(o, ssl, &number);
    /* RFC 9525: a name counts as a subject alternative name only, a wildcard as a whole label only.
     */
    o->SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                  X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return o->SSL_set1_host(ssl, name) == 1 &&
           o->SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                       (void *)name) == 1;
}

/* A server that asks for no certificate has no use for the system's roots, which take time and
 * memory to read. */
int ml_tls_config_read_roots(struct ml_tls_config *config)
{
    int error = config->lacks_roots ? ml_tls_load_system_roots(config->o, config->ctx) : 0;
    config->lacks_roots = error != 0;
    return error;
}

static bool prepare_client(struct ml_tls_config *config, SSL *ssl, const char *name)
{
    const struct ml_openssl *o = config->o;
    const struct session *entry = name != NULL ? find_session(config, name) : NULL;
    o->SSL_set_connect_state(ssl);
    o->SSL_set_verify(ssl, config->verifies_servers ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (entry != NULL)
        o->SSL_set_session(ssl, entry->session);
    return name == NULL || set_server_name(o, ssl, name);
}

SSL *ml_tls_config_connection(struct ml_tls_config *config, bool is_server, const char *server_name,
                              ml_tls_ticket_function *on_ticket)
{
    const struct ml_openssl *o = config->o;
    SSL *ssl = o->SSL_new(config->ctx);
    if (ssl == NULL)
        return NULL;
    if (config->tickets != NULL)
        o->SSL_CTX_set_tlsext_ticket_key_evp_cb(config->ctx, on_ticket);
    if (is_server)
        o->SSL_set_accept_state(ssl);
    else if (!prepare_client(config, ssl, server_name)) {
        o->SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

/* ---- making a context ---- */

/* The settings of every context of a config, also of those for further names. */
static SSL_CTX *new_context(const struct ml_openssl *o, int min_version)
{
    SSL_CTX *ctx = o->SSL_CTX_new(o->TLS_method());
    if (ctx == NULL)
        return NULL;
    o->SSL_CTX_ctrl(ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, min_version, NULL);
    o->SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* No chain is completed: to look for the issuer of one's own certificate among the trusted ones
     * may mean to read a directory in each handshake. */
    o->SSL_CTX_ctrl(ctx, SSL_CTRL_MODE,
                    SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                        SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN,
                    NULL);
    /* One message for each call, however many a record holds; io/tls.c reads ahead, and counts. */
    o->SSL_CTX_ctrl(ctx, SSL_CTRL_CLEAR_MODE, SSL_MODE_AUTO_RETRY, NULL);
    /* Tickets alone: no table of sessions that grows. */
    o->SSL_CTX_ctrl(ctx, SSL_CTRL_SET_SESS_CACHE_MODE,
                    SSL_SESS_CACHE_BOTH | SSL_SESS_CACHE_NO_INTERNAL, NULL);
    o->SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"moonlet", 7);
    return ctx;
}

static int set_protocols(struct ml_tls_config *config, const struct ml_tls_options *options)
{
    const struct ml_openssl *o = config->o;
    if (options->alpn_size == 0)
        return 0;
    config->alpn = malloc(options->alpn_size);
    if (config->alpn == NULL)
        return -1;
    memcpy(config->alpn, options->alpn, options->alpn_size);
    config->alpn_size = options->alpn_size;
    o->SSL_CTX_set_alpn_select_cb(config->ctx, on_protocols, config);
    return o->SSL_CTX_set_alpn_protos(config->ctx, config->alpn, (unsigned)config->alpn_size);
}

static int verify_mode_of_server(enum ml_tls_verify verify)
{
    return verify == ML_TLS_VERIFY_YES        ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
           : verify == ML_TLS_VERIFY_OPTIONAL ? SSL_VERIFY_PEER
                                              : SSL_VERIFY_NONE;
}

/* Without verification the trusted certificates need not be read. Whether this config will serve a
 * client that verifies is not known yet. */
static int load_all(struct ml_tls_config *config, const struct ml_tls_options *options,
                    struct ml_tls_failure *failure)
{
    const struct ml_openssl *o = config->o;
    o->SSL_CTX_set_verify(config->ctx, verify_mode_of_server(options->verify), NULL);
    if (ml_tls_load_credentials(o, config->ctx, &options->own, failure) != 0)
        return -1;
    if (options->verify == ML_TLS_VERIFY_NO)
        return 0;
    config->lacks_roots = options->verify == ML_TLS_VERIFY_DEFAULT &&
                          !ml_pem_is_given(&options->ca) && options->ca_path == NULL;
    if (!config->lacks_roots &&
        ml_tls_load_trusted(o, config->ctx, &options->ca, options->ca_path, failure) != 0)
        return -1;
    return ml_tls_load_revoked(o, config->ctx, &options->crl, failure);
}

static struct ml_tls_config *new_config(const struct ml_openssl *o,
                                        const struct ml_tls_options *options)
{
    struct ml_tls_config *config = calloc(1, sizeof *config);
    if (config == NULL)
        return NULL;
    *config = (struct ml_tls_config){
        .o = o,
        .references = 1,
        .verifies_servers = options->verify != ML_TLS_VERIFY_NO,
        .names_nobody = options->names_nobody,
        .asks_clients = verify_mode_of_server(options->verify) != SSL_VERIFY_NONE,
        .has_certificate = ml_pem_is_given(&options->own.cert),
        .min_version = options->min_version != 0 ? options->min_version : TLS1_2_VERSION,
    };
    config->ctx = new_context(o, config->min_version);
    if (options->server_name != NULL)
        config->server_name = strdup(options->server_name);
    bool has_all = config->ctx != NULL && set_protocols(config, options) == 0 &&
                   (options->server_name == NULL || config->server_name != NULL);
    if (has_all)
        return config;
    ml_tls_config_unref(config);
    return NULL;
}

/* A server that asks for certificates keeps keys of its own: whom it trusts is not part of the
 * keys. False: no memory. */
static bool share_tickets(const struct ml_io *io, struct ml_tls_config *config,
                          const struct ml_pem *certificate)
{
    if (io->tickets == NULL || config->asks_clients || !config->has_certificate)
        return true;
    config->tickets = ml_tls_tickets_new(io, config->o, certificate);
    return config->tickets != NULL;
}

struct ml_tls_config *ml_tls_config_new(struct ml_io *io, const struct ml_tls_options *options,
                                        struct ml_tls_failure *failure)
{
    const struct ml_openssl *o = ml_openssl_get(io);
    if (o == NULL) {
        ml_tls_fail(failure, -ML_ETLS, "TLS", "OpenSSL 3 (libssl.so.3) cannot be loaded");
        return NULL;
    }
    o->ERR_clear_error();
    struct ml_tls_config *config = new_config(o, options);
    if (config == NULL) {
        ml_tls_fail(failure, -ENOMEM, "TLS", "not enough memory");
        return NULL;
    }
    bool is_whole = load_all(config, options, failure) == 0;
    if (is_whole && share_tickets(io, config, &options->own.cert))
        return config;
    if (is_whole)
        ml_tls_fail(failure, -ENOMEM, "TLS", "not enough memory");
    ml_tls_config_unref(config);
    return NULL;
}

/* ---- names ---- */

/* Requests to clients, and offers, do not depend on the name. (Without memory for the list of
 * signers the client is asked for a certificate of any.) */
static void share_with_name(struct ml_tls_config *config, SSL_CTX *ctx)
{
    const struct ml_openssl *o = config->o;
    const STACK_OF(X509_NAME) *signers = o->SSL_CTX_get_client_CA_list(config->ctx);
    o->SSL_CTX_set1_cert_store(ctx, o->SSL_CTX_get_cert_store(config->ctx));
    o->SSL_CTX_set_client_CA_list(ctx, o->SSL_dup_CA_list(signers));
    if (config->alpn != NULL)
        o->SSL_CTX_set_alpn_select_cb(ctx, on_protocols, config);
}

static void use_names(struct ml_tls_config *config)
{
    config->o->SSL_CTX_callback_ctrl(config->ctx, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                                     (void (*)(void))on_server_name);
    config->o->SSL_CTX_ctrl(config->ctx, SSL_CTRL_SET_TLSEXT_SERVERNAME_ARG, 0, config);
}

int ml_tls_config_add_name(struct ml_tls_config *config, const char *host,
                           const struct ml_tls_credentials *credentials,
                           struct ml_tls_failure *failure)
{
    const struct ml_openssl *o = config->o;
    struct name *name = calloc(1, sizeof *name);
    if (name == NULL)
        return ml_tls_fail(failure, -ENOMEM, host, "not enough memory");
    name->next = config->names;
    config->names = name;
    name->host = strdup(host);
    name->ctx = new_context(o, config->min_version);
    if (name->host == NULL || name->ctx == NULL)
        return ml_tls_fail(failure, -ENOMEM, host, "not enough memory");
    use_names(config);
    share_with_name(config, name->ctx);
    if (!ml_pem_is_given(&credentials->cert))
        return ml_tls_fail(failure, -EINVAL, host, "it has no certificate");
    return ml_tls_load_credentials(o, name->ctx, credentials, failure);
}

/* ---- tickets ---- */

enum { KEYS_SIZE = 80 }; /* of OpenSSL's own tickets: a name of 16 bytes, two keys of 32 */

void ml_tls_config_keep_tickets(struct ml_tls_config *config, const struct ml_tls_config *old)
{
    unsigned char keys[KEYS_SIZE];
    const struct ml_openssl *o = config->o;
    if (config->asks_clients || old->asks_clients)
        return;
    if (config->tickets != NULL && old->tickets != NULL)
        ml_tls_tickets_follow(config->tickets, old->tickets);
    if (o->SSL_CTX_ctrl(old->ctx, SSL_CTRL_GET_TLSEXT_TICKET_KEYS, KEYS_SIZE, keys) == 1)
        o->SSL_CTX_ctrl(config->ctx, SSL_CTRL_SET_TLSEXT_TICKET_KEYS, KEYS_SIZE, keys);
    o->OPENSSL_cleanse(keys, sizeof keys);
}

struct ml_tls_tickets *ml_tls_config_tickets(const struct ml_tls_config *config)
{
    return config->tickets;
}

/* ---- life ---- */

void ml_tls_config_ref(struct ml_tls_config *config)
{
    config->references++;
}

static void free_names(struct ml_tls_config *config)
{
    while (config->names != NULL) {
        struct name *name = config->names;
        config->names = name->next;
        config->o->SSL_CTX_free(name->ctx);
        free(name->host);
        free(name);
    }
}

void ml_tls_config_unref(struct ml_tls_config *config)
{
    if (config == NULL || --config->references > 0)
        return;
    for (int i = 0; i < SESSIONS; i++) {
        free(config->sessions[i].name);
        config->o->SSL_SESSION_free(config->sessions[i].session);
    }
    free_names(config);
    config->o->SSL_CTX_free(config->ctx);
    ml_tls_tickets_free(config->tickets);
    free(config->alpn);
    free(config->server_name);
    free(config);
}

bool ml_tls_config_has_names(const struct ml_tls_config *config)
{
    return config->names != NULL;
}

bool ml_tls_config_can_serve(const struct ml_tls_config *config)
{
    return config->has_certificate || config->names != NULL;
}

const char *ml_tls_config_server_name(const struct ml_tls_config *config)
{
    return config->server_name;
}

bool ml_tls_config_names_nobody(const struct ml_tls_config *config)
{
    return config->names_nobody;
}

bool ml_tls_config_verifies_servers(const struct ml_tls_config *config)
{
    return config->verifies_servers;
}

const struct ml_openssl *ml_tls_config_openssl(const struct ml_tls_config *config)
{
    return config->o;
}
