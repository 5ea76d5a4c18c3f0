/*
 * The samples of a profile: a tree of calls with the time spent in each, and the functions in it,
 * each once. Its memory is taken when it is made; when that is used up, time goes to "(other)".
 * Knows neither how stacks are found nor Lua's state.
 */
#ifndef ML_BINDINGS_INSPECT_PROFILE_STORE_H
#define ML_BINDINGS_INSPECT_PROFILE_STORE_H

#include "base/clock.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

enum ml_profile_frame_kind {
    ML_PROFILE_LUA,  /* a Lua function: by source and line */
    ML_PROFILE_C,    /* a C function: by its address; the name is what a caller calls it */
    ML_PROFILE_MARK, /* no function: by its name, as "(garbage collector)" */
    ML_PROFILE_TASK  /* a task: by its name */
};

enum {
    ML_PROFILE_FRAMES = 8192, /* different functions */
    ML_PROFILE_CALLS = 65536, /* places in the tree */
    ML_PROFILE_DEPTH = 512,   /* the most frames of a sample */
    ML_PROFILE_NAME = 64,
    ML_PROFILE_SOURCE = 128
};

/* The index of the frame "(other)". */
enum { ML_PROFILE_OTHER = 0 };

struct ml_profile_frame {
    enum ml_profile_frame_kind kind;
    int line;
    uint32_t next;
    lua_CFunction function;
    char name[ML_PROFILE_NAME]; /* "": not known yet */
    char source[ML_PROFILE_SOURCE];
};

/* One place in the tree: a function as it is called from the place `parent`. */
struct ml_profile_call {
    uint32_t parent; /* 0: the root */
    uint32_t frame;
    uint32_t next;
    uint32_t samples; /* taken while it was the innermost */
    ml_time time;     /* the same in nanoseconds */
};

struct ml_profile_store {
    uint32_t frame_count, call_count;
    uint32_t *frame_buckets, *call_buckets; /* hash -> index, 0: none */
    struct ml_profile_frame *frames;
    struct ml_profile_call *calls; /* the first is the root */
};

/* 0 or -ENOMEM. Touches little of its memory: what is not used costs address space alone. */
int ml_profile_store_open(struct ml_profile_store *store);
void ml_profile_store_close(struct ml_profile_store *store);

/* The index of the frame that is equal to `frame` in all but the name of a function, which may be
 * "", and in `next`; ML_PROFILE_OTHER: it is new, and there is no room. Allocates nothing. */
uint32_t ml_profile_store_frame(struct ml_profile_store *store,
                                const struct ml_profile_frame *frame);

/* A frame that is no function. */
uint32_t ml_profile_store_mark(struct ml_profile_store *store, enum ml_profile_frame_kind kind,
                               const char *name);

/* Adds `time`, seen `samples` times, to a stack, innermost frame first. Allocates nothing. */
void ml_profile_store_add(struct ml_profile_store *store, const uint32_t *stack, int depth,
                          uint32_t samples, ml_time time);

#endif
