/* The TLS side of streams: starttls, handshake, tls_info. */
#include "bindings/net_tls.h"

#include "base/error.h"
#include "bindings/blocking.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* ---- questions about certificates ---- */

/* Pushes what OpenSSL has printed into a memory BIO, and frees that. */
static void push_printed(lua_State *L, const struct ml_openssl *o, BIO *bio)
{
    char *text = NULL;
    long size = o->BIO_ctrl(bio, BIO_CTRL_INFO, 0, &text);
    lua_pushlstring(L, size > 0 ? text : "", size > 0 ? (size_t)size : 0);
    o->BIO_free(bio);
}

static BIO *new_memory(lua_State *L, const struct ml_openssl *o)
{
    BIO *bio = o->BIO_new(o->BIO_s_mem());
    if (bio == NULL)
        luaL_error(L, "not enough memory");
    return bio;
}

static void set_name_field(lua_State *L, const struct ml_openssl *o, const char *field,
                           const X509_NAME *name)
{
    BIO *bio = new_memory(L, o);
    o->X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
    push_printed(L, o, bio);
    lua_setfield(L, -2, field);
}

/* Seconds since 1970. */
static void set_time_field(lua_State *L, const struct ml_openssl *o, const char *field,
                           const ASN1_TIME *time)
{
    struct tm parts;
    if (o->ASN1_TIME_to_tm(time, &parts) != 1)
        return;
    lua_pushinteger(L, (lua_Integer)timegm(&parts));
    lua_setfield(L, -2, field);
}

/* The DNS names for which a certificate is good. */
static void set_names_field(lua_State *L, const struct ml_openssl *o, const X509 *certificate)
{
    GENERAL_NAMES *names = o->X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    lua_newtable(L);
    for (int i = 0; i < o->OPENSSL_sk_num((const OPENSSL_STACK *)names); i++) {
        const GENERAL_NAME *name = o->OPENSSL_sk_value((const OPENSSL_STACK *)names, i);
        if (name->type != GEN_DNS)
            continue;
        const unsigned char *text = o->ASN1_STRING_get0_data(name->d.dNSName);
        lua_pushlstring(L, (const char *)text, (size_t)o->ASN1_STRING_length(name->d.dNSName));
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    lua_setfield(L, -2, "names");
    o->GENERAL_NAMES_free(names);
}

static void set_pem_field(lua_State *L, const struct ml_openssl *o, X509 *certificate)
{
    BIO *bio = new_memory(L, o);
    o->PEM_write_bio_X509(bio, certificate);
    push_printed(L, o, bio);
    lua_setfield(L, -2, "pem");
}

/* Upvalue-free and protected: the certificate is a light userdata at 1, the table at 2. */
static int describe_certificate(lua_State *L)
{
    const struct ml_openssl *o = ml_lua_of(L)->io.openssl;
    X509 *certificate = lua_touserdata(L, 1);
    set_name_field(L, o, "subject", o->X509_get_subject_name(certificate));
    set_name_field(L, o, "issuer", o->X509_get_issuer_name(certificate));
    set_time_field(L, o, "not_before", o->X509_get0_notBefore(certificate));
    set_time_field(L, o, "not_after", o->X509_get0_notAfter(certificate));
    set_names_field(L, o, certificate);
    set_pem_field(L, o, certificate);
    return 1;
}

/* Sets `peer` in the table on top, if the peer has shown a certificate. */
static void set_peer_field(lua_State *L, const struct ml_openssl *o, const SSL *ssl)
{
    X509 *certificate = o->SSL_get1_peer_certificate(ssl);
    if (certificate == NULL)
        return;
    lua_pushcfunction(L, describe_certificate);
    lua_pushlightuserdata(L, certificate);
    lua_newtable(L);
    int status = lua_pcall(L, 2, 1, 0);
    o->X509_free(certificate);
    if (status != LUA_OK)
        lua_error(L);
    lua_setfield(L, -2, "peer");
}

static void set_alpn_field(lua_State *L, const struct ml_openssl *o, const SSL *ssl)
{
    const unsigned char *protocol;
    unsigned size;
    o->SSL_get0_alpn_selected(ssl, &protocol, &size);
    if (size == 0)
        return;
    lua_pushlstring(L, (const char *)protocol, size);
    lua_setfield(L, -2, "alpn");
}

/***
What the handshake has agreed on.
@function stream:tls_info
@treturn table version ("TLSv1.3"), cipher, alpn, server_name, resumed (boolean), peer (the certificate: subject,
issuer, not_before and not_after in seconds since 1970, names, pem); nil before the handshake and without TLS
*/
int ml_net_stream_tls_info(lua_State *L)
{
    const struct ml_stream *s = ml_check_stream(L, 1);
    SSL *ssl = ml_tls_connection(s);
    if (ssl == NULL) {
        lua_pushnil(L);
        return 1;
    }
    const struct ml_openssl *o = ml_tls_openssl(s);
    lua_createtable(L, 0, 6);
    lua_pushstring(L, o->SSL_get_version(ssl));
    lua_setfield(L, -2, "version");
    lua_pushstring(L, o->SSL_CIPHER_get_name(o->SSL_get_current_cipher(ssl)));
    lua_setfield(L, -2, "cipher");
    lua_pushstring(L, o->SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    lua_setfield(L, -2, "server_name");
    lua_pushboolean(L, o->SSL_session_reused(ssl));
    lua_setfield(L, -2, "resumed");
    set_alpn_field(L, o, ssl);
    set_peer_field(L, o, ssl);
    return 1;
}

/* ---- the handshake ---- */

static int push_handshake(lua_State *L, const struct ml_stream *s, int error)
{
    if (error == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    luaL_pushfail(L);
    lua_pushstring(L, ml_tls_error_text(s, error));
    lua_pushstring(L, ml_error_name(error));
    return 3;
}

/***
Shakes hands now instead of at the first use. May wait.
@function stream:handshake
@tparam[opt] number timeout seconds
@treturn boolean true; or nil, message, code ("ETLS": the certificate was refused, say; "ENOTSUP": no TLS)
*/
int ml_net_stream_handshake(lua_State *L)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    ml_time deadline = ml_check_deadline(L, 2);
    if (ml_stream_is_open(s) && s->tls == NULL)
        return push_handshake(L, s, -ENOTSUP);
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, ml_tls_handshake(s, deadline));
    return push_handshake(L, s, error);
}

/* Which side the caller takes: the option `role`, else that in which the connection was made. */
static bool is_server_side(lua_State *L, const struct ml_stream *s, int options)
{
    if (!lua_istable(L, options) || lua_getfield(L, options, "role") == LUA_TNIL)
        return s->is_accepted;
    const char *role = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    bool is_server = strcmp(role, "server") == 0;
    luaL_argcheck(L, is_server || strcmp(role, "client") == 0, options,
                  "TLS option 'role' must be \"client\" or \"server\"");
    return is_server;
}

/* Whether TLS can begin on the stream: 0, or why not. */
static int may_start(const struct ml_stream *s)
{
    if (!ml_stream_is_open(s))
        return -ML_ECLOSED;
    if (s->is_reading || s->writer != NULL)
        return -EBUSY;
    if (s->tls != NULL)
        return -EISCONN;
    if (s->write_broken)
        return -EPIPE;
    /* RFC 3207, section 6: what came in plain text must not be taken for what came after the handshake. */
    return ml_stream_has_input(s) ? -EPROTO : 0;
}

/***
Begins TLS on a plain connection and shakes hands. May wait.
@function stream:starttls
@tparam[opt=true] table opts a context, true, or the options of net.tls and role ("client" or "server"; by default
the side that accepted the connection is the server)
@tparam[opt] number timeout seconds
@treturn boolean true; or nil, message, code; "EPROTO": input that came before is still unread
*/
int ml_net_stream_starttls(lua_State *L)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    ml_time deadline = ml_check_deadline(L, 3);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_pushboolean(L, 1);
        lua_replace(L, 2);
    }
    bool is_server = is_server_side(L, s, 2);
    if (!ml_push_tls_context(L, 2, 2, is_server))
        return 3;
    luaL_argcheck(L, !lua_isnil(L, -1), 2, "true, a table or a context expected");
    struct ml_tls_config *config = ml_tls_context_config(L, -1);
    lua_getiuservalue(L, 1, 1);
    const char *name = is_server ? NULL : ml_tls_server_name(config, lua_tostring(L, -1));
    int error = may_start(s);
    if (error != 0)
        return push_handshake(L, s, error);
    ml_blocking_begin(L);
    error = ml_tls_open(s, config, is_server, name);
    if (error == 0)
        error = ml_tls_handshake(s, deadline);
    error = ml_blocking_end(L, error);
    return push_handshake(L, s, error);
}
