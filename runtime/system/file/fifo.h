/* Opening a FIFO waits for its other end; here it does not, and says whether that is there. Knows
 * no waits. */
#ifndef ML_SYSTEM_FILE_FIFO_H
#define ML_SYSTEM_FILE_FIFO_H

#include <sys/types.h>

/* A FIFO that is being opened. */
struct ml_fifo {
    int fd;         /* does not block; -1: not yet */
    int scratch[2]; /* a pipe for a look into the FIFO; -1: none */
};

/* Nothing is open yet. */
void ml_fifo_init(struct ml_fifo *fifo);

/* Tries to open it. flags: those of open(), for reading or for writing. 1: both ends are open; 0:
 * try again later; or an error. Never waits. */
int ml_fifo_try(struct ml_fifo *fifo, const char *path, int flags, mode_t mode);

/* Closes what is open, but the FIFO if `keeps`. */
void ml_fifo_release(struct ml_fifo *fifo, int keeps);

#endif
