/*** @submodule moonlet.net */
/* TLS contexts: net.tls{...}. */
#include "bindings/net/tls.h"

#include "base/error.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/object.h"
#include "bindings/core/option.h"
#include "bindings/net/options.h"
#include "io/tls_name.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const char context_type[] = "net.tls";

/* User value 1: the options, to be read again. */
struct context {
    struct ml_tls_config *config;
};

/* Key in the registry of the context for `tls = true`. */
static const char default_key;

/* ---- reading options ---- */

/* Raises about a wrong option in the function's argument of that number. */
static _Noreturn void refuse(lua_State *L, int argument, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    const char *text = lua_pushvfstring(L, format, values);
    va_end(values);
    luaL_argerror(L, argument, text);
    __builtin_unreachable();
}

/* A field of the table on top that must be a string; NULL: absent. The value stays reachable from
 * the table. */
static const char *text_field(lua_State *L, int argument, const char *name, size_t *size)
{
    int type = lua_getfield(L, -1, name);
    if (type != LUA_TNIL && type != LUA_TSTRING)
        refuse(L, argument, "TLS option '%s' must be a string, got %s", name, luaL_typename(L, -1));
    const char *text = lua_tolstring(L, -1, size);
    lua_pop(L, 1);
    return text;
}

/* The same for a text that C reads up to a zero byte. */
static const char *string_field(lua_State *L, int argument, const char *name)
{
    size_t size;
    const char *text = text_field(L, argument, name, &size);
    if (text != NULL && strlen(text) != size)
        refuse(L, argument, "TLS option '%s' must not contain zero bytes", name);
    return text;
}

/* `name` holds the text, `file_name` the file's name. */
static struct ml_pem pem_field(lua_State *L, int argument, const char *name, const char *file_name)
{
    struct ml_pem pem = {0};
    pem.text = text_field(L, argument, name, &pem.size);
    pem.file = string_field(L, argument, file_name);
    if (pem.text != NULL && pem.file != NULL)
        refuse(L, argument, "TLS options '%s' and '%s' exclude each other", name, file_name);
    return pem;
}

static struct ml_tls_credentials credentials_fields(lua_State *L, int argument)
{
    return (struct ml_tls_credentials){
        .cert = pem_field(L, argument, "cert", "cert_file"),
        .key = pem_field(L, argument, "key", "key_file"),
    };
}

static enum ml_tls_verify verify_field(lua_State *L, int argument)
{
    enum ml_tls_verify verify = ML_TLS_VERIFY_DEFAULT;
    int type = lua_getfield(L, -1, "verify");
    if (type == LUA_TBOOLEAN)
        verify = lua_toboolean(L, -1) ? ML_TLS_VERIFY_YES : ML_TLS_VERIFY_NO;
    else if (type == LUA_TSTRING && strcmp(lua_tostring(L, -1), "optional") == 0)
        verify = ML_TLS_VERIFY_OPTIONAL;
    else if (type != LUA_TNIL)
        refuse(L, argument, "TLS option 'verify' must be true, false or \"optional\"");
    lua_pop(L, 1);
    return verify;
}

/* Whether the field is false, rather than absent. */
static bool is_false_field(lua_State *L, const char *name)
{
    bool is_false = lua_getfield(L, -1, name) == LUA_TBOOLEAN && !lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is_false;
}

/* A server_name has at most the length that RFC 6066 allows. NULL: there is none, or it is false.
 */
static const char *server_name_field(lua_State *L, int argument)
{
    enum { NAME_MAX_SIZE = 255 };
    if (is_false_field(L, "server_name"))
        return NULL;
    const char *name = string_field(L, argument, "server_name");
    if (name != NULL && (name[0] == '\0' || strlen(name) > NAME_MAX_SIZE))
        refuse(L, argument, "TLS option 'server_name' must be 1 to 255 bytes long");
    if (name != NULL && !ml_tls_is_name(name))
        refuse(L, argument, "TLS option 'server_name' must be the name of a host, or a number");
    return name;
}

static int min_version_field(lua_State *L, int argument)
{
    const char *text = string_field(L, argument, "min_version");
    if (text == NULL || strcmp(text, "1.2") == 0)
        return TLS1_2_VERSION;
    if (strcmp(text, "1.3") != 0)
        refuse(L, argument, "TLS option 'min_version' must be \"1.2\" or \"1.3\"");
    return TLS1_3_VERSION;
}

/* Appends the protocol on top, with its length before it. */
static void add_protocol(lua_State *L, int argument, luaL_Buffer *wire, const char *name,
                         size_t size)
{
    if (name == NULL || size == 0 || size > 255)
        refuse(L, argument, "TLS option 'alpn' must be a list of strings of 1 to 255 bytes");
    luaL_addchar(wire, (char)size);
    luaL_addlstring(wire, name, size);
}

/* Pushes `alpn`, a list of names, in the form of RFC 7301; the table that was on top is below it.
 */
static void push_protocols(lua_State *L, int argument)
{
    luaL_Buffer wire;
    int type = lua_getfield(L, -1, "alpn");
    if (type != LUA_TNIL && type != LUA_TTABLE)
        refuse(L, argument, "TLS option 'alpn' must be a list of strings");
    int list = lua_gettop(L);
    lua_Integer count = type == LUA_TTABLE ? luaL_len(L, list) : 0;
    luaL_buffinit(L, &wire);
    for (lua_Integer i = 1; i <= count; i++) {
        /* The buffer must not lie above the string's own value: the list keeps the string alive. */
        size_t size = 0;
        lua_rawgeti(L, list, i);
        const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
        lua_pop(L, 1);
        add_protocol(L, argument, &wire, name, size);
    }
    luaL_pushresult(&wire);
    lua_remove(L, list);
}

/* Adds one of `names`; its options are on top, the host below them. 0, or -1 with *failure set. */
static int add_name(lua_State *L, int argument, struct ml_tls_config *config,
                    struct ml_tls_failure *failure)
{
    static const char *const fields[] = {"cert", "cert_file", "key", "key_file", NULL};
    size_t size;
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TTABLE)
        refuse(L, argument, "TLS option 'names' must be a table: host name -> options");
    ml_check_nested_names(L, lua_gettop(L), argument, fields);
    const char *host = lua_tolstring(L, -2, &size);
    if (size == 0 || strlen(host) != size)
        refuse(L, argument, "a host of TLS option 'names' must not be empty or contain zero bytes");
    if (!ml_tls_is_pattern(host))
        refuse(L, argument, "a host of TLS option 'names' must be a name, or \"*.\" and a name");
    struct ml_tls_credentials credentials = credentials_fields(L, argument);
    return ml_tls_config_add_name(config, host, &credentials, failure);
}

/* Adds what `names` lists; the options are on top. 0, or -1 with *failure set. */
static int add_names(lua_State *L, int argument, struct ml_tls_config *config,
                     struct ml_tls_failure *failure)
{
    int result = 0;
    int type = lua_getfield(L, -1, "names");
    int names = lua_gettop(L);
    if (type != LUA_TNIL && type != LUA_TTABLE)
        refuse(L, argument, "TLS option 'names' must be a table: host name -> options");
    for (lua_pushnil(L); type == LUA_TTABLE && result == 0 && lua_next(L, names) != 0;) {
        result = add_name(L, argument, config, failure);
        lua_pop(L, 1);
    }
    lua_settop(L, names - 1);
    return result;
}

/* Makes the configuration from the options on top; it belongs to the context at `owner` from its
 * first moment. 0, or -1 with *failure set. */
static int configure(lua_State *L, int argument, struct context *owner,
                     struct ml_tls_failure *failure)
{
    push_protocols(L, argument);
    size_t alpn_size;
    const char *alpn = lua_tolstring(L, -1, &alpn_size);
    lua_insert(L, -2);
    struct ml_tls_options options = {
        .own = credentials_fields(L, argument),
        .ca = pem_field(L, argument, "ca", "ca_file"),
        .ca_path = string_field(L, argument, "ca_path"),
        .crl = pem_field(L, argument, "crl", "crl_file"),
        .verify = verify_field(L, argument),
        .server_name = server_name_field(L, argument),
        .names_nobody = is_false_field(L, "server_name"),
        .alpn = (const unsigned char *)alpn,
        .alpn_size = alpn_size,
        .min_version = min_version_field(L, argument),
    };
    owner->config = ml_tls_config_new(&ml_lua_of(L)->io, &options, failure);
    lua_remove(L, -2);
    return owner->config != NULL ? add_names(L, argument, owner->config, failure) : -1;
}

static struct context *push_context(lua_State *L)
{
    struct context *context = ml_push_object(L, context_type, sizeof *context, 1);
    return context;
}

static int push_tls_failure(lua_State *L, const struct ml_tls_failure *failure)
{
    luaL_pushfail(L);
    lua_pushstring(L, failure->message);
    lua_pushstring(L, ml_error_name(failure->error));
    return 3;
}

/* Pushes the context for the options at `index`, which came with that argument: true; or a failure.
 */
static bool make_context(lua_State *L, int index, int argument)
{
    static const char *const names[] = {"ca",        "ca_file",     "ca_path",     "cert",
                                        "cert_file", "key",         "key_file",    "verify",
                                        "alpn",      "names",       "crl",         "crl_file",
                                        "role",      "min_version", "server_name", NULL};
    struct ml_tls_failure failure;
    ml_check_nested_names(L, index, argument, names);
    struct context *context = push_context(L);
    lua_pushvalue(L, index);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, index);
    int result = configure(L, argument, context, &failure);
    lua_pop(L, 1);
    if (result != 0)
        push_tls_failure(L, &failure);
    return result == 0;
}

/* ---- the context ---- */

/***
Makes a TLS context, for the option `tls` of connect and listen, and for starttls, as often as
wanted. `{context = ctx, server_name = "a.example"}` there is the same context, with another server
name for a client.
@function tls
@tparam[opt] table opts
@tparam[opt] string opts.ca trusted certificates: PEM text; without ca, ca_file and ca_path the
system's roots
@tparam[opt] string opts.ca_file the same, a file
@tparam[opt] string opts.ca_path the same, a directory of hashed certificates
@tparam[opt] string opts.cert one's own certificate with those that lead to its root: PEM text
@tparam[opt] string opts.cert_file the same, a file
@tparam[opt] string opts.key its key: PEM text
@tparam[opt] string opts.key_file the same, a file
@tparam[opt] boolean|string opts.verify true: the peer must show a certificate that is trusted, for
a client the default; "optional": a server asks for one and verifies it if there is one; false:
nothing is verified
@tparam[opt] string|boolean opts.server_name the name that a client asks for and verifies instead of
the host connected to; false: none, any trusted certificate will do. Where there is no host to
connect to (Unix domain, pairs, accepted streams) a client that verifies needs one of both
@tparam[opt] {string,...} opts.alpn protocols, the preferred first
@tparam[opt] table opts.names `{["b.example"] = {cert=, key=}}`: certificates by the name that
clients ask for,
  "*.b.example" for one label
@tparam[opt] string opts.crl revoked certificates: PEM text
@tparam[opt] string opts.crl_file the same, a file
@tparam[opt="1.2"] string opts.min_version "1.2" or "1.3"
@treturn Context or nil, message, code
*/
int ml_net_tls(lua_State *L)
{
    ml_take_options_alone(L);
    return make_context(L, 1, 1) ? 1 : 3;
}

/***
Certificates, keys and rules of TLS connections.
@object Context
*/

/***
Reads the files again: new connections use their present content, existing ones stay as they are. A
server that asks for no certificate still resumes earlier sessions. Other servers, and clients,
begin anew, since a peer that resumes is not verified again.
@function Context:reload
@treturn boolean true; or nil, message, code, and all is as before
*/
static int context_reload(lua_State *L)
{
    struct context *context = ml_check_object(L, 1, context_type);
    luaL_argcheck(L, context->config != NULL, 1, "the context was collected");
    struct ml_tls_failure failure;
    lua_settop(L, 1);
    struct context *fresh = push_context(L);
    lua_getiuservalue(L, 1, 1);
    if (configure(L, 1, fresh, &failure) != 0)
        return push_tls_failure(L, &failure);
    struct ml_tls_config *old = context->config;
    ml_tls_config_keep_tickets(fresh->config, old);
    context->config = fresh->config;
    fresh->config = old;
    lua_pushboolean(L, 1);
    return 1;
}

static int context_gc(lua_State *L)
{
    struct context *context = ml_check_object(L, 1, context_type);
    ml_tls_config_unref(context->config);
    context->config = NULL;
    return 0;
}

static int context_tostring(lua_State *L)
{
    const struct context *context = ml_check_object(L, 1, context_type);
    lua_pushfstring(L, "net.tls: %p", (const void *)context);
    return 1;
}

struct ml_tls_config *ml_tls_context_config(lua_State *L, int index)
{
    return ((struct context *)ml_to_object(L, index))->config;
}

const char ml_tls_needs_name[] =
    "TLS option 'server_name' is needed: a name to compare the certificate with, or false";

bool ml_tls_server_name(lua_State *L, int index, const char *host, const char **name)
{
    const struct ml_tls_config *config = ml_tls_context_config(L, index);
    const char *beside = lua_tostring(L, index + 1);
    const char *given = beside != NULL ? beside : ml_tls_config_server_name(config);
    bool is_left_out =
        lua_isboolean(L, index + 1) || (given == NULL && ml_tls_config_names_nobody(config));
    *name = is_left_out ? NULL : given != NULL ? given : host;
    bool is_compared = !is_left_out && ml_tls_config_verifies_servers(config);
    return !is_compared || (*name != NULL && ml_tls_is_name(*name));
}

/* ---- as an option ---- */

/* One context for all connections with `tls = true`, so that sessions are resumed. */
static bool push_default(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &default_key) != LUA_TNIL)
        return true;
    lua_pop(L, 1);
    lua_newtable(L);
    if (!make_context(L, lua_gettop(L), 0))
        return false;
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &default_key);
    return true;
}

/* The name of the value at `index` in an error about that argument. */
static const char *name_of(int index, int argument)
{
    return index == argument ? "" : "option 'tls': ";
}

/* Pushes the content of the table with a ready-made context: the context, and the server name or
 * nil. */
static void push_ready_made(lua_State *L, int index, int argument)
{
    static const char *const names[] = {"context", "role", "server_name", NULL};
    ml_check_nested_names(L, index, argument, names);
    lua_getfield(L, index, "context");
    if (ml_test_object(L, -1, context_type) == NULL)
        refuse(L, argument, "TLS option 'context' must be a context, got %s", luaL_typename(L, -1));
    lua_pushvalue(L, index);
    const char *name = server_name_field(L, argument);
    if (is_false_field(L, "server_name"))
        lua_pushboolean(L, 0);
    else
        lua_pushstring(L, name);
    lua_remove(L, -2);
}

static bool is_ready_made(lua_State *L, int index)
{
    if (!lua_istable(L, index))
        return false;
    bool is_given = lua_getfield(L, index, "context") != LUA_TNIL;
    lua_pop(L, 1);
    return is_given;
}

/* Pushes the context for the value at `index`: an existing one, or one that is made. */
static bool push_meant(lua_State *L, int index, int argument)
{
    if (lua_isboolean(L, index))
        return push_default(L);
    if (lua_istable(L, index))
        return make_context(L, index, argument);
    if (ml_test_object(L, index, context_type) == NULL)
        refuse(L, argument, "%strue, a table or a context expected, got %s",
               name_of(index, argument), luaL_typename(L, index));
    lua_pushvalue(L, index);
    return true;
}

/* The same, and the server name beside it or nil. False: nil, message, code instead. */
static bool push_context_and_name(lua_State *L, int index, int argument)
{
    if (is_ready_made(L, index)) {
        push_ready_made(L, index, argument);
        return true;
    }
    bool is_made = push_meant(L, index, argument);
    if (is_made)
        lua_pushnil(L);
    return is_made;
}

bool ml_push_tls_context(lua_State *L, int index, int argument, bool is_server)
{
    index = lua_absindex(L, index);
    if (!lua_toboolean(L, index)) {
        lua_pushnil(L);
        lua_pushnil(L);
        return true;
    }
    if (!push_context_and_name(L, index, argument))
        return false;
    if (ml_tls_context_config(L, -2) == NULL)
        refuse(L, argument, "%sthe context was collected", name_of(index, argument));
    if (is_server && !ml_tls_config_can_serve(ml_tls_context_config(L, -2)))
        refuse(L, argument, "%sa server needs a certificate (cert or cert_file)",
               name_of(index, argument));
    return true;
}

bool ml_push_tls_option(lua_State *L, int options, bool is_server)
{
    if (options == 0) {
        lua_pushnil(L);
        lua_pushnil(L);
        return true;
    }
    lua_getfield(L, options, "tls");
    bool is_made = ml_push_tls_context(L, -1, options, is_server);
    lua_remove(L, is_made ? -3 : -4);
    return is_made;
}

void ml_open_tls_type(lua_State *L)
{
    static const luaL_Reg methods[] = {{"reload", context_reload}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", context_gc}, {"__tostring", context_tostring}, {NULL, NULL}};
    ml_open_object_type(L, context_type, methods, metamethods);
}
