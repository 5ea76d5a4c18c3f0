/*
 * The state of an open file, and the calls that workers make for it, for the files that work on it:
 * file.c, file_transport.c, open.c.
 */
#ifndef ML_SYSTEM_FILE_FILE_STATE_H
#define ML_SYSTEM_FILE_FILE_STATE_H

#include "io/stream_state.h"
#include "system/file/call.h"

/* The descriptor, of the file and of calls that workers make for it: the last closes it. */
struct ml_descriptor {
    int fd; /* -1: a worker has closed it */
    atomic_uint users;
    char *temporary;   /* the name that is removed first; NULL: none */
    struct ml_job job; /* closes it, where that may wait for a server */
};

struct ml_file {
    struct ml_stream stream;          /* the first field: bindings go from one to the other */
    struct ml_descriptor *descriptor; /* NULL: closed */
    off_t at;                         /* of the next byte that the stream receives, or writes */
    size_t ahead;                     /* bytes to be read at a time: few after a seek */
    struct ml_file_call *input;       /* bytes that a worker has read; NULL: none */
    size_t given;                     /* of which so many are in the stream */
    struct ml_file_call *output; /* a write that a worker is to make, or has made; NULL: none */
    bool has_written;
    bool is_disk;  /* it has places, and cannot be waited for */
    bool is_local; /* asking for its status asks no server */
    bool appends;
    bool is_temporary;          /* its name, stream.name, is removed when it is closed */
    struct ml_link locked_link; /* in io->locked_files, while it is locked, or is being locked */
    uint64_t lock_holder;       /* the number of the task that did that */
};

/* A call for the file's descriptor, which stays open until the call is freed. NULL: no memory. */
struct ml_file_call *ml_file_new_call(struct ml_file *file, int (*make)(struct ml_file_call *),
                                      bool changes, size_t input_size);

/* The descriptor of such a call. */
int ml_file_number(const struct ml_file_call *call);

/* It is not locked any more, or its lock ends with its descriptor. Idempotent. */
void ml_file_forget_lock(struct ml_file *file);

/* Gives up the descriptor, and what was read ahead: the end of the transport. */
void ml_file_release(struct ml_file *file);

#endif
