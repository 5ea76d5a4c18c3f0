/*
 * Breakpoints by chunk and line, and which functions have one. Knows neither conditions nor stops.
 *
 * The owner says in which functions a line has code (their first and last lines), if it knows. So a
 * function without a breakpoint is told by its two line numbers alone; only one with the same
 * numbers has its chunk compared.
 */
#ifndef ML_BINDINGS_INSPECT_BREAKPOINTS_H
#define ML_BINDINGS_INSPECT_BREAKPOINTS_H

#include <limits.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* A function by its place in a chunk. */
struct ml_owner {
    int first, last; /* lines */
    int entry;       /* the line of its first instruction */
    int size;        /* its registers */
};

struct ml_breakpoint {
    int id;
    int line;
    bool is_path;            /* `chunk` is the path of a file, and not a chunk's own name */
    char *chunk;             /* an absolute path, or lua_Debug.source */
    size_t length;           /* of it */
    struct ml_owner *owners; /* the functions that have code in the line */
    int owner_count;         /* 0: not known, any function around the line */
};

struct ml_chunk;

enum { ML_CHUNK_BUCKETS = 64, ML_RANGE_BITS = 1024, ML_ENTRY_BITS = 4096 };

struct ml_breakpoints {
    struct ml_breakpoint *items;
    int count, capacity;
    bool has_unowned;                          /* one has no owners: ranges of lines decide */
    uint64_t ranges[ML_RANGE_BITS / 64];       /* hashes of the owners' line ranges */
    uint64_t entries[ML_ENTRY_BITS / 64];      /* the owners' entries, modulo the bits */
    int least;                                 /* of the owners' sizes */
    struct ml_chunk *chunks[ML_CHUNK_BUCKETS]; /* those seen since the last change */
    unsigned chunk_count;
};

/* Adds a breakpoint, copying all of it. False: no memory, nothing done. */
bool ml_breakpoints_add(struct ml_breakpoints *breakpoints, const struct ml_breakpoint *breakpoint);

/* Forgets all. */
void ml_breakpoints_clear(struct ml_breakpoints *breakpoints);

/*
 * Whether the function that L is about to run, in the hook for the call `event`, may have one.
 * Fills `event->currentline`. Asks for no more than it needs: measured, in a function that does
 * nothing: this takes 1 ns for one with few registers and 5 ns for others; "S" would take 9.
 *
 * In the hook the stack of a Lua function has all its registers, and more if there are more
 * arguments; that of a C function its arguments.
 */
static inline bool ml_breakpoints_may_begin(const struct ml_breakpoints *breakpoints, lua_State *L,
                                            lua_Debug *event)
{
    if (lua_gettop(L) < breakpoints->least)
        return false;
    lua_getinfo(L, "l", event);
    unsigned bit = (unsigned)event->currentline % ML_ENTRY_BITS;
    return (breakpoints->entries[bit / 64] >> bit % 64 & 1) != 0;
}

/* Whether the function that `frame` is about ("S") has one. Allocates on the C heap; without
 * memory: perhaps true for one that has none. */
bool ml_breakpoints_are_in(struct ml_breakpoints *breakpoints, const lua_Debug *frame);

/* The id of the next one at the line of `frame` ("Sl"); 0: there are no more. *cursor: 0 at first.
 */
int ml_breakpoints_at(struct ml_breakpoints *breakpoints, const lua_Debug *frame, int *cursor);

/* The absolute path of a file; links are followed if it is there. */
void ml_breakpoint_path(const char *name, char path[PATH_MAX]);

#endif
