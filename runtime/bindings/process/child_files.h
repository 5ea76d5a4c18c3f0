/*
 * The standard files of a child: what a script gives for each, the descriptors that stand for it,
 * and the streams over the other ends. Knows no child.
 */
#ifndef ML_BINDINGS_PROCESS_CHILD_FILES_H
#define ML_BINDINGS_PROCESS_CHILD_FILES_H

#include "io/stream.h"

#include <lua.h>
#include <stdbool.h>

enum { ML_STANDARD_FILES = 3 };

struct ml_child_file {
    enum {
        ML_FILE_INHERIT,
        ML_FILE_NULL,
        ML_FILE_PIPE,
        ML_FILE_TERMINAL,
        ML_FILE_AS_STDOUT,  /* the same as standard output */
        ML_FILE_DESCRIPTOR, /* of an open file, which stays the script's */
        ML_FILE_STREAM      /* the child gets its descriptor, and it is closed here */
    } kind;
    int fd;                  /* of ML_FILE_DESCRIPTOR; else -1 until it is opened */
    bool is_opened;          /* fd is to be closed here */
    int peer;                /* this program's end of a pipe; -1: none */
    struct ml_stream *given; /* of ML_FILE_STREAM */
    struct ml_stream *ours;  /* over `peer`, once it is opened; NULL: no pipe */
};

struct ml_child_files {
    struct ml_child_file files[ML_STANDARD_FILES];
    bool has_terminal;
    unsigned short rows, columns;
    int terminal; /* the child's side of it; -1 */
    int master;   /* this program's side; -1 */
    struct ml_stream *pty;
};

/* Reads the list of three at `index`: "inherit", "null", "pipe", "terminal", "stdout", files and
 * streams. Raises a text for anything else, and for what has no descriptor to give. */
void ml_child_files_read(lua_State *L, int index, struct ml_child_files *files);

/* Pushes the four streams: a closed one for each pipe and for the terminal, nil for the others. */
void ml_child_files_push_streams(lua_State *L, struct ml_child_files *files);

/* Opens what is to be opened. 0, or a negated errno with nothing left open. Never waits. */
int ml_child_files_open(struct ml_child_files *files);

/* The child has its copies: closes the descriptors that are only its own, and the streams given to
 * it, and opens the streams here. */
void ml_child_files_hand_over(struct ml_child_files *files);

/* There is no child: everything is as before. */
void ml_child_files_undo(struct ml_child_files *files);

#endif
