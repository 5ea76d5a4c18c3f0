/*
 * The calls of libc that the room answers. interpose/calls.def lists them; the macros made of it
 * take X(result, name, (parameters), (arguments)). From them come the table of libc's own
 * functions, the numbers of the calls, and the prototypes of the functions that answer them.
 */
#ifndef ML_INTERPOSE_LIBC_H
#define ML_INTERPOSE_LIBC_H

#include "interpose/calls_list.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ML_CALLS(X) ML_WAITING_CALLS(X) ML_STDIO_CALLS(X) ML_WATCHED_CALLS(X)

#define ML_UNPACK(...) __VA_ARGS__

/* libc's own functions: the dynamic linker finds them behind this program. */
struct ml_libc {
    bool is_exported; /* the names of the room are exported */
    /* pclose and fclose above may handle files of children (interpose/child_file.h); these two are
     * always libc's own. */
    int (*plain_pclose)(FILE *file);
    int (*plain_fclose)(FILE *file);
// NOLINTNEXTLINE(bugprone-macro-parentheses): a type
#define ML_LIBC_MEMBER(type, name, parameters, arguments) type(*name) parameters;
    ML_CALLS(ML_LIBC_MEMBER)
#undef ML_LIBC_MEMBER
};

/* Written once, before the program's first constructor runs (interpose/exports.c), and constant
 * afterwards. Where the names are not exported, it keeps its initial values: libc's functions. */
extern struct ml_libc ml_libc;

enum ml_libc_function {
#define ML_CALL_NUMBER(type, name, parameters, arguments) ML_LIBC_##name,
    ML_CALLS(ML_CALL_NUMBER)
#undef ML_CALL_NUMBER
        ML_LIBC_FUNCTION_COUNT
};

/* libc's name of the call. */
const char *ml_libc_function_name(enum ml_libc_function call);

struct ml_libc_calls;

/* The answer to each call of a task: results and errno are as libc's. May suspend the task, never
 * its thread. */
#define ML_CO_PROTOTYPE(type, name, parameters, arguments)                                         \
    type ml_co_##name(struct ml_libc_calls *calls, ML_UNPACK parameters);
ML_CALLS(ML_CO_PROTOTYPE)
#undef ML_CO_PROTOTYPE

#endif
