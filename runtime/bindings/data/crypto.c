/***
Digests, message authentication, random bytes, passwords, and bytes as text. Digests and password
hashes are OpenSSL's, which is loaded at their first use; they raise if it is not installed.

@module moonlet.crypto
*/
#include "bindings/data/crypto.h"

#include "base/base64.h"
#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/option.h"
#include "bindings/data/password.h"
#include "io/openssl.h"

#include <stdint.h>
#include <string.h>

/* ---- digests ---- */

static const struct ml_openssl *openssl_of(lua_State *L)
{
    const struct ml_openssl *o = ml_openssl_get(&ml_lua_of(L)->io);
    if (o == NULL)
        luaL_error(L, "OpenSSL 3 (libssl.so.3) cannot be loaded");
    else if (o->ERR_peek_error() != 0)
        o->ERR_clear_error();
    return o;
}

static int refuse_digest(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return luaL_argerror(L, 1, lua_pushfstring(L, "unknown digest '%s'", lua_tostring(L, -1)));
}

static const EVP_MD *check_digest(lua_State *L, const struct ml_openssl *o)
{
    size_t size;
    const char *name = luaL_checklstring(L, 1, &size);
    const EVP_MD *digest = strlen(name) == size ? o->EVP_get_digestbyname(name) : NULL;
    if (digest == NULL)
        refuse_digest(L);
    return digest;
}

/* Pushes the bytes of a digest, if it was computed: some that OpenSSL knows by name are not
 * available. */
static int push_digest(lua_State *L, const struct ml_openssl *o, const void *bytes, unsigned size)
{
    if (bytes == NULL || size == 0) {
        bool is_memory = ERR_GET_REASON(o->ERR_peek_error()) == ERR_R_MALLOC_FAILURE;
        o->ERR_clear_error();
        return is_memory ? luaL_error(L, "not enough memory") : refuse_digest(L);
    }
    lua_pushlstring(L, bytes, size);
    return 1;
}

/***
The digest of some data.
@function digest
@tparam string name "sha256", "sha512", "sha3-256", "blake2b512", "sha1", "md5", or another one of
OpenSSL's; an unknown one raises
@tparam string data
@treturn string bytes: `crypto.hex` makes them readable
@usage crypto.hex(crypto.digest("sha256", "abc"))
*/
static int digest(lua_State *L)
{
    size_t size;
    const char *data = luaL_checklstring(L, 2, &size);
    const struct ml_openssl *o = openssl_of(L);
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned count = 0;
    int is_done = o->EVP_Digest(data, size, bytes, &count, check_digest(L, o), NULL);
    return push_digest(L, o, is_done == 1 ? bytes : NULL, count);
}

/***
The HMAC (RFC 2104) of some data under a key. Compare two of them with `crypto.equal`.
@function hmac
@tparam string name of a digest
@tparam string key of any length
@tparam string data
@treturn string bytes
*/
static int hmac(lua_State *L)
{
    size_t key_size, size;
    const char *key = luaL_checklstring(L, 2, &key_size);
    const char *data = luaL_checklstring(L, 3, &size);
    const struct ml_openssl *o = openssl_of(L);
    const EVP_MD *type = check_digest(L, o);
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned count = 0;
    luaL_argcheck(L, key_size <= INT32_MAX, 2, "key is too long");
    const void *result =
        o->HMAC(type, key, (int)key_size, (const unsigned char *)data, size, bytes, &count);
    return push_digest(L, o, result, count);
}

/***
Returns whether two strings are equal, in a time that does not depend on where they differ.
@function equal
@tparam string a
@tparam string b
@treturn boolean
*/
static int equal(lua_State *L)
{
    size_t size, other_size;
    const char *a = luaL_checklstring(L, 1, &size), *b = luaL_checklstring(L, 2, &other_size);
    lua_pushboolean(L, size == other_size && ml_bytes_equal(a, b, size));
    return 1;
}

/* ---- random bytes ---- */

/***
Random bytes of the kernel's, fit for keys and tokens.
@function random
@tparam integer n how many, up to 1 MiB
@treturn string
@usage local token = crypto.base64(crypto.random(32), true)
*/
static int random_bytes(lua_State *L)
{
    enum { MOST = 1 << 20 };
    lua_Integer n = luaL_checkinteger(L, 1);
    luaL_argcheck(L, n >= 0 && n <= MOST, 1, "must be from 0 to 1048576");
    luaL_Buffer b;
    char *bytes = luaL_buffinitsize(L, &b, (size_t)n);
    if (ml_random_fill(bytes, (size_t)n) != 0)
        return luaL_error(L, "the kernel gives no random bytes");
    luaL_pushresultsize(&b, (size_t)n);
    return 1;
}

/* ---- bytes as text ---- */

static void check_size(lua_State *L, size_t size)
{
    if (size > SIZE_MAX / 4)
        luaL_error(L, "not enough memory");
}

/***
Two hexadecimal digits for each byte, in lower case.
@function hex
@tparam string data
@treturn string
*/
static int hex(lua_State *L)
{
    size_t size;
    const char *data = luaL_checklstring(L, 1, &size);
    check_size(L, size);
    luaL_Buffer b;
    ml_hex_encode(data, size, luaL_buffinitsize(L, &b, 2 * size));
    luaL_pushresultsize(&b, 2 * size);
    return 1;
}

static int push_bad(lua_State *L, const char *what, size_t at, size_t size)
{
    luaL_pushfail(L);
    if (at < size)
        lua_pushfstring(L, "bad %s: byte %I", what, (lua_Integer)at + 1);
    else
        lua_pushfstring(L, "bad %s: it ends too early", what);
    lua_pushliteral(L, "EINVAL");
    return 3;
}

/***
The reverse of `crypto.hex`; takes digits in either case.
@function unhex
@tparam string text
@treturn string or nil, message, code: "EINVAL"
*/
static int unhex(lua_State *L)
{
    size_t size, bad = 0;
    const char *text = luaL_checklstring(L, 1, &size);
    luaL_Buffer b;
    ptrdiff_t count = ml_hex_decode(text, size, luaL_buffinitsize(L, &b, size), &bad);
    if (count < 0)
        return push_bad(L, "hexadecimal text", bad, size);
    luaL_pushresultsize(&b, (size_t)count);
    return 1;
}

/***
Base64 (RFC 4648), in one line.
@function base64
@tparam string data
@tparam[opt=false] boolean url with "-" and "_" instead of "+" and "/", and without "=" at the end
@treturn string
*/
static int base64(lua_State *L)
{
    size_t size;
    const char *data = luaL_checklstring(L, 1, &size);
    enum ml_base64 form = lua_toboolean(L, 2) ? ML_BASE64_URL : ML_BASE64;
    check_size(L, size);
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, ML_BASE64_SIZE(size));
    luaL_pushresultsize(&b, ml_base64_encode(data, size, form, out));
    return 1;
}

/***
The reverse of `crypto.base64`. White space, other characters, and bits left over are refused, as
are missing or needless "="; of the url form they may be there or not.
@function unbase64
@tparam string text
@tparam[opt=false] boolean url
@treturn string or nil, message, code: "EINVAL", the message says which byte is wrong
*/
static int unbase64(lua_State *L)
{
    size_t size, bad = 0;
    const char *text = luaL_checklstring(L, 1, &size);
    enum ml_base64 form = lua_toboolean(L, 2) ? ML_BASE64_URL : ML_BASE64;
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, ML_BASE64_DECODED_SIZE(size));
    ptrdiff_t count = ml_base64_decode(text, size, form, out, &bad);
    if (count < 0)
        return push_bad(L, "base64", bad, size);
    luaL_pushresultsize(&b, (size_t)count);
    return 1;
}

/* ---- passwords ---- */

static const struct ml_wait_kind hashing_kind = {.text = "a password hash", .external = true};

/* Computes the key of a password, the text at 1, on a worker while the task waits. Raises. */
static void derive(lua_State *L, const struct ml_password *password, unsigned char *key)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    const struct ml_openssl *o = openssl_of(L);
    struct ml_lua *lua = ml_blocking_begin(L);
    int error =
        ml_password_derive(&lua->hub, &hashing_kind, o->EVP_PBE_scrypt, text, size, password, key);
    ml_blocking_end(L, error);
    if (error != 0)
        luaL_error(L, "a password cannot be hashed: %s", ml_error_text(error));
}

static int cost_option(lua_State *L, int options)
{
    static const char *const names[] = {"cost", NULL};
    if (lua_isnoneornil(L, options))
        return ML_PASSWORD_COST;
    luaL_checktype(L, options, LUA_TTABLE);
    ml_check_option_names(L, options, names);
    bool is_absent = lua_getfield(L, options, "cost") == LUA_TNIL;
    lua_Integer cost = is_absent ? ML_PASSWORD_COST : lua_tointeger(L, -1);
    luaL_argcheck(L,
                  is_absent || (lua_isinteger(L, -1) && cost >= ML_PASSWORD_LEAST_COST &&
                                cost <= ML_PASSWORD_LARGEST_COST),
                  options, "option 'cost' must be an integer from 10 to 18");
    lua_pop(L, 1);
    return (int)cost;
}

/***
The hash of a password, to be kept in its place: scrypt (RFC 7914) with a salt of its own, as
"$scrypt$ln=15,r=8,p=3$SALT$HASH". It takes about 0.2 s and 32 MB on a worker thread; only the task
waits.
@function password_hash
@tparam string text the password
@tparam[opt] table opts
@tparam[opt=15] integer opts.cost from 10 to 18; each step doubles time and memory
@treturn string
*/
static int password_hash(lua_State *L)
{
    luaL_checkstring(L, 1);
    struct ml_password password = {.cost = cost_option(L, 2), .block = 8, .lanes = 3};
    unsigned char key[ML_PASSWORD_KEY];
    char text[ML_PASSWORD_TEXT];
    password.salt_size = ML_PASSWORD_SALT;
    if (ml_random_fill(password.salt, password.salt_size) != 0)
        return luaL_error(L, "the kernel gives no random bytes");
    derive(L, &password, key);
    memcpy(password.key, key, sizeof key);
    lua_pushlstring(L, text, ml_password_write(&password, text));
    return 1;
}

/***
Returns whether a password is the one of a hash. Takes as long as making the hash took, on a worker
thread.
@function password_verify
@tparam string text the password
@tparam string hash of `crypto.password_hash`, or scrypt of another program in that form
@treturn boolean or nil, message, code: "EINVAL", the hash is not in that form, or needs more than
256 MB
*/
static int password_verify(lua_State *L)
{
    size_t size;
    luaL_checkstring(L, 1);
    const char *hash = luaL_checklstring(L, 2, &size);
    struct ml_password password;
    unsigned char key[ML_PASSWORD_KEY];
    if (!ml_password_read(hash, size, &password)) {
        luaL_pushfail(L);
        lua_pushliteral(L, "not a password hash of scrypt");
        lua_pushliteral(L, "EINVAL");
        return 3;
    }
    derive(L, &password, key);
    lua_pushboolean(L, ml_bytes_equal(key, password.key, sizeof key));
    return 1;
}

/* ---- the module ---- */

int ml_open_crypto(lua_State *L)
{
    static const luaL_Reg functions[] = {{"digest", digest},
                                         {"hmac", hmac},
                                         {"equal", equal},
                                         {"random", random_bytes},
                                         {"hex", hex},
                                         {"unhex", unhex},
                                         {"base64", base64},
                                         {"unbase64", unbase64},
                                         {"password_hash", password_hash},
                                         {"password_verify", password_verify},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
