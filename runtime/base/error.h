/*
 * The one list of failures that moonlet adds to errno, with the name and the sentence that a user
 * gets for each. Functions below bindings/ return 0 or a negated number of either kind.
 */
#ifndef ML_BASE_ERROR_H
#define ML_BASE_ERROR_H

#include <errno.h>

/* Numbers start above every errno of Linux (the highest is 133, the kernel reserves up to 4095). */
#define ML_ERRORS(X)                                                                               \
    X(ML_ECLOSED, 4096, "CLOSED", "closed")                                                        \
    X(ML_ENOTFOUND, 4097, "ENOTFOUND", "host not found")                                           \
    X(ML_EEOF, 4098, "EEOF", "end of stream in the middle of a read")                              \
    X(ML_EDEADLINE, 4099, "EDEADLINE", "deadline passed")                                          \
    X(ML_EFAILED, 4100, "EFAILED", "task failed")                                                  \
    X(ML_ENODATA, 4101, "ENOTFOUND", "host has no such record")                                    \
    X(ML_EDNS, 4102, "EDNS", "no name server gave an answer")                                      \
    X(ML_EDNS_ANSWER, 4103, "EDNS", "bad answer from the name server")                             \
    X(ML_ETLS, 4104, "ETLS", "TLS failure")                                                        \
    X(ML_ETHREAD, 4105, "ETHREAD", "called from another thread than the runtime's")                \
    X(ML_ENOTASK, 4106, "ENOTASK", "only a task can wait")                                         \
    X(ML_EINTASK, 4107, "EINTASK", "not from inside a task")                                       \
    X(ML_ERUNNING, 4108, "ERUNNING", "the runtime is running already")                             \
    X(ML_ENOWAIT, 4109, "ENOWAIT", "cannot wait in a finalizer or inside task.no_switch")          \
    X(ML_EURL, 4110, "EURL", "not a URL")                                                          \
    X(ML_ENOTFILE, 4111, "ENOTSUP", "neither file nor directory, and not replaced by a file")      \
    X(ML_EMOUNTED, 4112, "EBUSY", "mounted there, and not replaced by a file")                     \
    X(ML_EDIRECTORY, 4113, "EACCES", "no permission to make files in its directory")               \
    X(ML_ELOCKED, 4114, "EDEADLK", "this task has locked it already")

enum ml_error {
#define ML_ERROR_NUMBER(id, number, name, text) id = (number),
    ML_ERRORS(ML_ERROR_NUMBER)
#undef ML_ERROR_NUMBER
};

/* "ECONNREFUSED", "CLOSED", ... for an error number of either kind, negated or not. Static. */
const char *ml_error_name(int error);

/* The negated number of the kernel's error of that name; -EIO if it has none. */
int ml_error_number(const char *name);

/* One sentence without a full stop for an error number of either kind, negated or not. Static. */
const char *ml_error_text(int error);

#endif
