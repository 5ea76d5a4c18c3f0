#include "bindings/net/datagram_options.h"

#include "base/error.h"
#include "bindings/core/option.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

/* The values allowed for each option. */
static const struct option_entry {
    const char *name;
    enum ml_datagram_option option;
    int least, most; /* 0, 0: a truth value */
} entries[] = {
    {"broadcast", ML_DATAGRAM_BROADCAST, 0, 0},
    {"reuse", ML_DATAGRAM_REUSE, 0, 0},
    {"reuseport", ML_DATAGRAM_REUSEPORT, 0, 0},
    {"ttl", ML_DATAGRAM_TTL, 1, 255},
    {"multicast_ttl", ML_DATAGRAM_MULTICAST_TTL, 0, 255},
    {"multicast_loop", ML_DATAGRAM_MULTICAST_LOOP, 0, 0},
    {"receive_buffer", ML_DATAGRAM_RECEIVE_BUFFER, 1, INT_MAX},
    {"send_buffer", ML_DATAGRAM_SEND_BUFFER, 1, INT_MAX},
};
enum { ENTRIES = sizeof entries / sizeof *entries };
_Static_assert((int)ENTRIES <= (int)ML_UDP_OPTIONS_MAX, "room for every option");

static int wrong(lua_State *L, int index, const char *name, const char *what)
{
    return luaL_argerror(L, index, lua_pushfstring(L, "option '%s' must be %s", name, what));
}

/* Reads the number on top of the stack. */
static int check_number(lua_State *L, int index, const char *name, int least, int most)
{
    int is_integer;
    lua_Integer value = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || value < least || value > most)
        wrong(L, index, name, lua_pushfstring(L, "an integer from %d to %d", least, most));
    return (int)value;
}

static void read_entry(lua_State *L, int index, const struct option_entry *entry,
                       struct ml_udp_options *options)
{
    bool is_number = entry->most > 0;
    if (lua_getfield(L, index, entry->name) != LUA_TNIL) {
        int i = options->count++;
        options->given[i].option = entry->option;
        options->given[i].name = entry->name;
        options->given[i].value =
            is_number ? check_number(L, index, entry->name, entry->least, entry->most)
                      : lua_toboolean(L, -1);
    }
    lua_pop(L, 1);
}

static void read_interface(lua_State *L, int index, struct ml_udp_options *options)
{
    static const char name[] = "multicast_interface";
    if (lua_getfield(L, index, name) != LUA_TNIL) {
        if (lua_type(L, -1) != LUA_TSTRING)
            wrong(L, index, name, "the name or the address of a network interface");
        options->interface_name = lua_tostring(L, -1);
    }
    lua_pop(L, 1);
}

static void check_names(lua_State *L, int index, bool with_end)
{
    const char *names[ENTRIES + 7] = {"multicast_interface", "max"};
    int count = 2;
    for (int i = 0; i < ENTRIES; i++)
        names[count++] = entries[i].name;
    if (with_end) {
        names[count++] = "host";
        names[count++] = "port";
        names[count++] = "family";
        names[count++] = "exclusive";
    }
    ml_check_option_names(L, index, names);
}

struct ml_udp_options ml_check_udp_options(lua_State *L, int index, bool with_end)
{
    struct ml_udp_options options = {0};
    check_names(L, index, with_end);
    for (int i = 0; i < ENTRIES; i++)
        read_entry(L, index, &entries[i], &options);
    read_interface(L, index, &options);
    if (lua_getfield(L, index, "max") != LUA_TNIL)
        options.max = (size_t)check_number(L, index, "max", 1, ML_IO_READ_SIZE);
    lua_pop(L, 1);
    return options;
}

bool ml_udp_options_have(const struct ml_udp_options *options, enum ml_datagram_option option)
{
    bool has_it = false;
    for (int i = 0; i < options->count; i++)
        if (options->given[i].option == option)
            has_it = options->given[i].value != 0;
    return has_it;
}

static int apply_interface(const struct ml_udp_options *options, struct ml_datagram *d)
{
    struct ml_interface interface;
    int error = ml_interface_find(&interface, options->interface_name);
    return error == 0 ? ml_datagram_set_interface(d, &interface) : error;
}

int ml_udp_options_apply(const struct ml_udp_options *options, struct ml_datagram *d,
                         const char **name)
{
    int error = ml_datagram_is_open(d) ? 0 : -ML_ECLOSED;
    if (options->max > 0)
        d->max = options->max;
    for (int i = 0; i < options->count && error == 0; i++) {
        *name = options->given[i].name;
        error = ml_datagram_set(d, options->given[i].option, options->given[i].value);
    }
    if (error == 0 && options->interface_name != NULL) {
        *name = "multicast_interface";
        error = apply_interface(options, d);
    }
    return error;
}
