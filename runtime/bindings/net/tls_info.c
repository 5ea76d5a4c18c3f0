/*** @submodule moonlet.net */
/* tls_info: the properties that a stream's handshake has agreed on, as a table. */
#include "bindings/net/tls_info.h"

#include "base/error.h"
#include "bindings/core/object.h"
#include "bindings/net/stream_object.h"
#include "io/tls.h"

#include <time.h>

static const char question_type[] = "net.tls question";

/*
 * OpenSSL's objects that are held while Lua values are made, which may raise, or run a finalizer
 * that closes the stream. The collector owns it, and frees the rest after an error.
 */
struct question {
    const struct ml_openssl *o;
    SSL *ssl;
    X509 *certificate;
    GENERAL_NAMES *names;
    BIO *text;
};

static void release(struct question *q)
{
    const struct ml_openssl *o = q->o;
    if (o == NULL)
        return;
    o->BIO_free(q->text);
    o->GENERAL_NAMES_free(q->names);
    o->X509_free(q->certificate);
    o->SSL_free(q->ssl);
    *q = (struct question){0};
}

static int question_gc(lua_State *L)
{
    release(ml_to_object(L, 1));
    return 0;
}

/* False: the stream has no handshake to describe. */
static bool begin(struct question *q, const struct ml_stream *s)
{
    SSL *ssl = ml_tls_connection(s);
    if (ssl == NULL || ml_tls_openssl(s)->SSL_up_ref(ssl) != 1)
        return false;
    *q = (struct question){.o = ml_tls_openssl(s), .ssl = ssl};
    return true;
}

/* ---- the certificate ---- */

static BIO *new_text(lua_State *L, struct question *q)
{
    q->text = q->o->BIO_new(q->o->BIO_s_mem());
    if (q->text == NULL)
        luaL_error(L, "not enough memory");
    return q->text;
}

/* Sets a field to the text that OpenSSL has printed, if it could. */
static void set_printed(lua_State *L, struct question *q, bool is_printed, const char *field)
{
    char *text = NULL;
    long size = q->o->BIO_ctrl(q->text, BIO_CTRL_INFO, 0, &text);
    if (!is_printed || size < 0)
        luaL_error(L, "not enough memory");
    lua_pushlstring(L, size > 0 ? text : "", (size_t)size);
    lua_setfield(L, -2, field);
    q->o->BIO_free(q->text);
    q->text = NULL;
}

static void set_name_field(lua_State *L, struct question *q, const char *field,
                           const X509_NAME *name)
{
    BIO *text = new_text(L, q);
    set_printed(L, q, q->o->X509_NAME_print_ex(text, name, 0, XN_FLAG_RFC2253) >= 0, field);
}

static void set_pem_field(lua_State *L, struct question *q)
{
    BIO *text = new_text(L, q);
    set_printed(L, q, q->o->PEM_write_bio_X509(text, q->certificate) == 1, "pem");
}

/* Seconds since 1970. */
static void set_time_field(lua_State *L, const struct question *q, const char *field,
                           const ASN1_TIME *time)
{
    struct tm parts;
    if (q->o->ASN1_TIME_to_tm(time, &parts) != 1)
        return;
    lua_pushinteger(L, (lua_Integer)timegm(&parts));
    lua_setfield(L, -2, field);
}

/* Damaged names count as none; want of memory is an error. */
static GENERAL_NAMES *read_names(lua_State *L, struct question *q)
{
    const struct ml_openssl *o = q->o;
    o->ERR_clear_error();
    q->names = o->X509_get_ext_d2i(q->certificate, NID_subject_alt_name, NULL, NULL);
    bool had_memory = ERR_GET_REASON(o->ERR_peek_error()) != ERR_R_MALLOC_FAILURE;
    o->ERR_clear_error();
    if (!had_memory)
        luaL_error(L, "not enough memory");
    return q->names;
}

/* The DNS names for which a certificate is good. */
static void set_names_field(lua_State *L, struct question *q)
{
    const struct ml_openssl *o = q->o;
    lua_newtable(L);
    const OPENSSL_STACK *names = (const OPENSSL_STACK *)read_names(L, q);
    int count = o->OPENSSL_sk_num(names);
    for (int i = 0; i < count; i++) {
        const GENERAL_NAME *name = o->OPENSSL_sk_value(names, i);
        if (name->type != GEN_DNS)
            continue;
        const unsigned char *text = o->ASN1_STRING_get0_data(name->d.dNSName);
        lua_pushlstring(L, (const char *)text, (size_t)o->ASN1_STRING_length(name->d.dNSName));
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    lua_setfield(L, -2, "names");
}

/* Sets `peer` in the table on top, if the peer has shown a certificate. */
static void set_peer_field(lua_State *L, struct question *q)
{
    const struct ml_openssl *o = q->o;
    q->certificate = o->SSL_get1_peer_certificate(q->ssl);
    if (q->certificate == NULL)
        return;
    lua_createtable(L, 0, 6);
    set_name_field(L, q, "subject", o->X509_get_subject_name(q->certificate));
    set_name_field(L, q, "issuer", o->X509_get_issuer_name(q->certificate));
    set_time_field(L, q, "not_before", o->X509_get0_notBefore(q->certificate));
    set_time_field(L, q, "not_after", o->X509_get0_notAfter(q->certificate));
    set_names_field(L, q);
    set_pem_field(L, q);
    lua_setfield(L, -2, "peer");
}

/* ---- the connection ---- */

static void set_alpn_field(lua_State *L, const struct question *q)
{
    const unsigned char *protocol;
    unsigned size;
    q->o->SSL_get0_alpn_selected(q->ssl, &protocol, &size);
    if (size == 0)
        return;
    lua_pushlstring(L, (const char *)protocol, size);
    lua_setfield(L, -2, "alpn");
}

static void push_answers(lua_State *L, struct question *q)
{
    const struct ml_openssl *o = q->o;
    lua_createtable(L, 0, 6);
    lua_pushstring(L, o->SSL_get_version(q->ssl));
    lua_setfield(L, -2, "version");
    lua_pushstring(L, o->SSL_CIPHER_get_name(o->SSL_get_current_cipher(q->ssl)));
    lua_setfield(L, -2, "cipher");
    lua_pushstring(L, o->SSL_get_servername(q->ssl, TLSEXT_NAMETYPE_host_name));
    lua_setfield(L, -2, "server_name");
    lua_pushboolean(L, o->SSL_session_reused(q->ssl));
    lua_setfield(L, -2, "resumed");
    set_alpn_field(L, q);
    set_peer_field(L, q);
}

/***
Returns the properties that the handshake has agreed on. Never waits.
@function stream:tls_info
@treturn table version ("TLSv1.3"), cipher, alpn, server_name, resumed (boolean), peer (the
certificate: subject, issuer, not_before and not_after in seconds since 1970, names, pem); nil
before the handshake and without TLS
*/
int ml_net_stream_tls_info(lua_State *L)
{
    const struct ml_stream *s = ml_check_stream(L, 1);
    struct question *q = ml_push_object(L, question_type, sizeof *q, 0);
    if (begin(q, s))
        push_answers(L, q);
    else
        lua_pushnil(L);
    release(q);
    return 1;
}

void ml_open_tls_question_type(lua_State *L)
{
    static const luaL_Reg no_methods[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", question_gc}, {NULL, NULL}};
    ml_open_object_type(L, question_type, no_methods, metamethods);
}
