/*
 * A walk through a tree of directories, in portions: a worker goes through the next part, and what
 * it found lies in a buffer from which the task takes it. Knows no Lua.
 */
#ifndef ML_SYSTEM_FILE_WALK_H
#define ML_SYSTEM_FILE_WALK_H

#include "system/file/call.h"
#include "system/file/tree.h"

struct ml_walk {
    struct ml_tree tree;
    bool follows;   /* symbolic links that lead to directories are entered */
    unsigned depth; /* the most levels below the root */
    char
        *skipped; /* names that are neither told nor entered, each with a zero; an empty one ends */
    bool has_begun;
    bool has_ended;
    atomic_bool is_lent; /* a worker has it, and nobody else may touch it */
    atomic_uint users;   /* its owner, and the worker */
    char *buffer;        /* what was found: records, see ml_walk_next() */
    size_t size;
    size_t at;
    size_t room;
};

/* One thing that was found. */
struct ml_walk_record {
    const char *path; /* in the buffer */
    size_t path_size;
    unsigned char type; /* DT_REG and the like */
    int error;          /* 0; or this failed, and `path` is the path */
};

/* `skipped` is taken over; NULL: none. NULL: no memory, and it is freed. */
struct ml_walk *ml_walk_new(const char *path, unsigned depth, bool follows, char *skipped);

/* Its owner leaves it. NULL is harmless. */
void ml_walk_leave(struct ml_walk *walk);

/* Lends it to `call`, which is to be made by ml_walk_fill(), until that is freed. */
void ml_walk_lend(struct ml_walk *walk, struct ml_file_call *call);

/* Takes the next thing from the buffer. False: it is empty. */
bool ml_walk_next(struct ml_walk *walk, struct ml_walk_record *record);

/* Fills the buffer: blocks. call->object is the walk. Given up, it ends early, with what it has. 0,
 * or -ENOMEM. */
int ml_walk_fill(struct ml_file_call *call);

#endif
