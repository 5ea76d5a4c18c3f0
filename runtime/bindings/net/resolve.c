/*** @submodule moonlet.net */
#include "bindings/net/resolve.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/option.h"
#include "bindings/net/address.h"
#include "bindings/net/connect_target.h"
#include "bindings/net/options.h"
#include "io/dns.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

static const char resolver_type[] = "net.resolver", answer_type[] = "net.answer";

/* The answer, until it stands in a table. The collector frees it after an error. */
struct answer {
    struct ml_addresses addresses;
    struct ml_records records;
};

/* ---- records as values ---- */

static void push_host(lua_State *L, const struct ml_record *record, uint16_t port)
{
    (void)port;
    lua_pushlstring(L, record->text, record->length);
}

static void push_address(lua_State *L, const struct ml_record *record, uint16_t port)
{
    struct ml_address address = record->address;
    ml_address_set_port(&address, port);
    ml_push_address(L, &address);
}

static void set_integer(lua_State *L, const char *name, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static void push_mx(lua_State *L, const struct ml_record *record, uint16_t port)
{
    (void)port;
    lua_createtable(L, 0, 5);
    lua_pushlstring(L, record->text, record->length);
    lua_setfield(L, -2, "host");
    set_integer(L, "priority", record->priority);
    set_integer(L, "ttl", record->ttl);
}

static void push_srv(lua_State *L, const struct ml_record *record, uint16_t port)
{
    push_mx(L, record, port);
    set_integer(L, "weight", record->weight);
    set_integer(L, "port", record->port);
}

static const struct record_form {
    const char *name;
    enum ml_record_type type;
    void (*push)(lua_State *L, const struct ml_record *record, uint16_t port);
} forms[] = {
    {"A", ML_RECORD_A, push_address},      {"AAAA", ML_RECORD_AAAA, push_address},
    {"SRV", ML_RECORD_SRV, push_srv},      {"TXT", ML_RECORD_TXT, push_host},
    {"MX", ML_RECORD_MX, push_mx},         {"PTR", ML_RECORD_PTR, push_host},
    {"CNAME", ML_RECORD_CNAME, push_host}, {"NS", ML_RECORD_NS, push_host},
};

static void push_records(lua_State *L, const struct ml_records *records,
                         const struct record_form *form, uint16_t port)
{
    lua_createtable(L, (int)records->count, 0);
    for (size_t i = 0; i < records->count; i++) {
        form->push(L, &records->items[i], port);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_addresses(lua_State *L, const struct ml_addresses *addresses)
{
    lua_createtable(L, (int)addresses->count, 0);
    for (size_t i = 0; i < addresses->count; i++) {
        ml_push_address(L, &addresses->items[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void release_answer(struct answer *answer)
{
    ml_addresses_release(&answer->addresses);
    ml_records_release(&answer->records);
}

static int answer_gc(lua_State *L)
{
    release_answer(ml_to_object(L, 1));
    return 0;
}

/* ---- options ---- */

/* NULL without the option: addresses. */
static const struct record_form *type_option(lua_State *L, int options)
{
    const struct record_form *form = NULL;
    if (options == 0)
        return NULL;
    bool is_absent = lua_getfield(L, options, "type") == LUA_TNIL;
    const char *name = lua_isstring(L, -1) ? lua_tostring(L, -1) : "";
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i].name, name) == 0)
            form = &forms[i];
    luaL_argcheck(L, is_absent || form != NULL, options,
                  "option 'type' must be \"A\", \"AAAA\", \"SRV\", \"TXT\", \"MX\", \"PTR\", "
                  "\"CNAME\" or \"NS\"");
    lua_pop(L, 1);
    return form;
}

/* An integer from `least` to `most`; 0 without the option. */
static int integer_option(lua_State *L, int options, const char *name, int least, int most)
{
    if (options == 0)
        return 0;
    bool is_absent = lua_getfield(L, options, name) == LUA_TNIL;
    lua_Integer value = lua_tointeger(L, -1);
    if (!is_absent && (!lua_isinteger(L, -1) || value < least || value > most))
        luaL_argerror(
            L, options,
            lua_pushfstring(L, "option '%s' must be an integer from %d to %d", name, least, most));
    lua_pop(L, 1);
    return (int)value;
}

/* ---- resolving ---- */

struct question {
    const char *name;
    struct ml_resolver *resolver;
    const struct record_form *form; /* NULL: addresses */
    int family;
    uint16_t port;
    ml_time deadline;
};

/* The name stands at `index`, and the options, or nothing, after it. */
static struct question check_question(lua_State *L, int index)
{
    static const char *const names[] = {"type", "family", "port", "timeout", "resolver", NULL};
    size_t length;
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_typeerror(L, index, "string");
    struct question question = {.name = luaL_checklstring(L, index, &length)};
    luaL_argcheck(L, strlen(question.name) == length, index, "name contains a zero byte");
    int options = lua_isnoneornil(L, index + 1) ? 0 : index + 1;
    if (options != 0)
        luaL_checktype(L, options, LUA_TTABLE);
    ml_check_option_names(L, options, names);
    question.resolver = ml_resolver_option(L, options);
    question.form = type_option(L, options);
    question.family = ml_family_option(L, options);
    question.port = (uint16_t)integer_option(L, options, "port", 0, 65535);
    question.deadline = ml_timeout_option(L, options);
    return question;
}

static int ask(struct ml_io *io, const struct question *question, struct answer *answer)
{
    if (question->form == NULL)
        return ml_resolve(io, question->resolver, question->name, question->port, question->family,
                          question->deadline, &answer->addresses);
    return ml_resolve_records(io, question->resolver, question->name, question->form->type,
                              question->deadline, &answer->records);
}

static int resolve(lua_State *L, const struct question *question)
{
    struct answer *answer = ml_push_object(L, answer_type, sizeof *answer, 0);
    struct ml_lua *lua = ml_blocking_begin(L);
    int error = ml_blocking_end(L, ask(&lua->io, question, answer));
    if (error != 0)
        return ml_push_net_failure(L, error, question->name);
    if (question->form == NULL)
        push_addresses(L, &answer->addresses);
    else
        push_records(L, &answer->records, question->form, question->port);
    release_answer(answer);
    return 1;
}

/***
Resolves a name. May wait.

Without a type the result is its addresses, in the order in which to try them (RFC 6724), from the
hosts file or else from a name server: those of both families, or of one if the other's do not come
within the time limit. With a type, servers are asked for records of that type, and the result is a
list of Address objects (A, AAAA), of strings (TXT, its pieces joined; PTR, CNAME, NS: hosts), of
tables {priority=, host=, ttl=} by priority (MX), or of tables {priority=, weight=, host=, port=,
ttl=} (SRV) by priority and, among equals, drawn anew each time, the heavy ones earlier more often
(RFC 2782): try them in that order. A numeric address has its PTR records under in-addr.arpa or
ip6.arpa.

Codes: "ENOTFOUND": there is no such name, or it has no such record, the message says which; "EDNS":
the servers failed, refused, could not be reached, or gave a broken answer; "ETIMEDOUT"; "EMFILE":
no descriptor is free; "CLOSED": the resolver is closed.
@function resolve
@tparam string name
@tparam[opt] table opts
@tparam[opt] string opts.type "A", "AAAA", "SRV", "TXT", "MX", "PTR", "CNAME" or "NS"
@tparam[opt] string opts.family "inet" or "inet6"; without a type
@tparam[opt=0] integer opts.port of the addresses
@tparam[opt] number opts.timeout seconds
@tparam[opt] resolver opts.resolver
@treturn table a list; or nil, message, code
*/
int ml_net_resolve(lua_State *L)
{
    struct question question = check_question(L, 1);
    return resolve(L, &question);
}

/* ---- resolvers ---- */

/* The userdata holds a pointer: tasks may still be leaving it when the collector frees the
 * userdata. */
static struct ml_resolver *check_resolver(lua_State *L, int index)
{
    struct ml_resolver *resolver = *(struct ml_resolver **)ml_check_object(L, index, resolver_type);
    luaL_argcheck(L, resolver != NULL, index, "resolver was collected");
    return resolver;
}

struct ml_resolver *ml_resolver_option(lua_State *L, int options)
{
    if (options == 0)
        return NULL;
    bool is_absent = lua_getfield(L, options, "resolver") == LUA_TNIL;
    luaL_argcheck(L, is_absent || ml_test_object(L, -1, resolver_type) != NULL, options,
                  "option 'resolver' must be a net.resolver");
    struct ml_resolver *resolver = is_absent ? NULL : check_resolver(L, -1);
    lua_pop(L, 1);
    return resolver;
}

/* Adds the server on top. */
static int add_server(lua_State *L, struct ml_addresses *servers)
{
    enum { DNS_PORT = 53 };
    struct ml_address address;
    if (!lua_isstring(L, -1) ||
        !ml_address_parse_with_port(&address, lua_tostring(L, -1), DNS_PORT))
        luaL_argerror(L, 1,
                      "option 'servers' must be a list of \"host\" or \"host:port\" with "
                      "numeric hosts");
    return ml_addresses_add(servers, &address);
}

/* The servers belong to the answer, so that they are freed after an error. */
static int check_servers(lua_State *L, struct ml_addresses *servers)
{
    int error = 0;
    bool is_absent = lua_getfield(L, 1, "servers") == LUA_TNIL;
    luaL_argcheck(L, is_absent || (lua_istable(L, -1) && lua_rawlen(L, -1) > 0), 1,
                  "option 'servers' must be a list that is not empty");
    lua_Integer count = is_absent ? 0 : (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count && error == 0; i++) {
        lua_rawgeti(L, -1, i);
        error = add_server(L, servers);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return error;
}

static ml_time try_option(lua_State *L)
{
    bool is_absent = lua_getfield(L, 1, "timeout") == LUA_TNIL;
    luaL_argcheck(L, is_absent || (lua_isnumber(L, -1) && lua_tonumber(L, -1) > 0), 1,
                  "option 'timeout' must be a positive number of seconds");
    ml_time span = is_absent ? 0 : ml_time_from_seconds(lua_tonumber(L, -1));
    lua_pop(L, 1);
    return is_absent || span >= ML_MILLISECOND ? span : ML_MILLISECOND;
}

/* Leaves the path on the stack. */
static const char *push_hosts_option(lua_State *L)
{
    int type = lua_getfield(L, 1, "hosts");
    bool is_off = type == LUA_TBOOLEAN && !lua_toboolean(L, -1);
    luaL_argcheck(L, type == LUA_TNIL || type == LUA_TSTRING || is_off, 1,
                  "option 'hosts' must be the path of a hosts file, or false");
    return is_off ? "" : lua_tostring(L, -1);
}

/***
Makes a resolver of its own, for net.resolve and net.connect. The default resolver asks the servers
of /etc/resolv.conf, with its search list and options, and follows changes of that file.
@function resolver
@tparam table opts
@tparam[opt] {string,...} opts.servers "host" or "host:port", numeric; without: the system's. With
it names are asked as they are, without a search list
@tparam[opt] number opts.timeout seconds until the second try; each further one waits twice as long;
without: 2, or the value of /etc/resolv.conf if its servers are asked
@tparam[opt] integer opts.tries without: 3, or the value of that file
@tparam[opt="/etc/hosts"] string|boolean opts.hosts path of a hosts file; false: none
@treturn resolver or nil, message, code
*/
int ml_net_resolver(lua_State *L)
{
    static const char *const names[] = {"servers", "timeout", "tries", "hosts", NULL};
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    ml_check_option_names(L, 1, names);
    struct ml_resolver **resolver = ml_push_object(L, resolver_type, sizeof(void *), 0);
    ml_object_note_source_line(L, resolver);
    struct answer *owner = ml_push_object(L, answer_type, sizeof *owner, 0);
    int error = check_servers(L, &owner->addresses);
    struct ml_resolver_options options = {.servers = owner->addresses,
                                          .timeout = try_option(L),
                                          .tries = integer_option(L, 1, "tries", 1, 100),
                                          .hosts = push_hosts_option(L)};
    if (error == 0)
        error = ml_resolver_new(&ml_lua_of(L)->io, &options, resolver);
    if (error == -ENOMEM)
        return luaL_error(L, "not enough memory");
    lua_settop(L, 2);
    return error == 0 ? 1 : ml_push_failure(L, error);
}

/***
Name servers, time limits and a hosts file to ask for names. `<close>` closes it.
@object resolver
*/

/***
As net.resolve, with this resolver. May wait.
@function resolver:resolve
@tparam string name
@tparam[opt] table opts as for net.resolve
@treturn table a list; or nil, message, code
*/
static int resolver_resolve(lua_State *L)
{
    struct ml_resolver *resolver = check_resolver(L, 1);
    struct question question = check_question(L, 2);
    question.resolver = resolver;
    return resolve(L, &question);
}

/***
Closes at once; tasks that wait for an answer get nil, "name: closed", "CLOSED". Idempotent, never
waits.
@function resolver:close
*/
static int resolver_close(lua_State *L)
{
    struct ml_resolver *resolver = check_resolver(L, 1);
    ml_resolver_close(resolver);
    lua_pushboolean(L, 1);
    return 1;
}

static int resolver_tostring(lua_State *L)
{
    bool is_open = ml_resolver_is_open(check_resolver(L, 1));
    lua_pushstring(L, is_open ? "net.resolver (open)" : "net.resolver (closed)");
    return 1;
}

static int resolver_gc(lua_State *L)
{
    struct ml_resolver **resolver = ml_check_object(L, 1, resolver_type);
    if (*resolver == NULL)
        return 0;
    if (ml_resolver_is_open(*resolver))
        ml_warn_unclosed(L, resolver);
    ml_resolver_free(*resolver);
    *resolver = NULL;
    return 0;
}

static const luaL_Reg methods[] = {
    {"resolve", resolver_resolve}, {"close", resolver_close}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__gc", resolver_gc},
                                       {"__close", resolver_close},
                                       {"__tostring", resolver_tostring},
                                       {NULL, NULL}};

void ml_open_resolver_type(lua_State *L)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg collected[] = {{"__gc", answer_gc}, {NULL, NULL}};
    ml_open_object_type(L, resolver_type, methods, metamethods);
    ml_open_object_type(L, answer_type, none, collected);
}
