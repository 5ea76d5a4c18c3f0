/*
 * Lines of scripts, "file.lua:12", as small numbers: where a task was spawned or an object made,
 * for reports. Each line is kept once, until the runtime is closed.
 */
#ifndef ML_BINDINGS_CORE_SOURCE_LINE_H
#define ML_BINDINGS_CORE_SOURCE_LINE_H

#include <lua.h>
#include <stdint.h>

/* The lines last asked for, found by the address of the chunk's name and the line. */
enum { ML_SOURCE_LINES_CACHED = 256 };

struct ml_source_lines {
    char **texts; /* number - 1 -> text */
    uint32_t count;
    uint32_t capacity;
    uint16_t *index; /* hash -> number, open addressing; 0: nothing. Twice `capacity` of them */
    struct {
        const char *source;
        int line;
        uint32_t number;
    } cache[ML_SOURCE_LINES_CACHED];
};

/* The number of the line where the function at `level` on L (1: the caller of the running C
 * function) is. 0: in no Lua code, or there is no room; after 65,535 lines no new ones are kept.
 * Never raises. measured: 35 ns; the first time for a line 0.2 us, however many there are. */
uint32_t ml_source_line_of(struct ml_source_lines *lines, lua_State *L, int level);

/* Its text, "?" for 0. Valid until ml_source_lines_release(). */
const char *ml_source_line_text(const struct ml_source_lines *lines, uint32_t number);

/* Pushes "file.lua:12: ", the line of the nearest caller outside of moonlet's own modules, or "".
 */
void ml_push_script_line(lua_State *L);

void ml_source_lines_release(struct ml_source_lines *lines);

#endif
