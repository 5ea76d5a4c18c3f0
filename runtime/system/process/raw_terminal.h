/*
 * Terminals in raw mode: each key is there at once, and is not shown. The settings from before come
 * back when the last user of the terminal leaves, at exit(), before a signal ends the process, and
 * while the process is stopped. Knows no screen.
 */
#ifndef ML_SYSTEM_PROCESS_RAW_TERMINAL_H
#define ML_SYSTEM_PROCESS_RAW_TERMINAL_H

#include "base/list.h"
#include "system/signal/receiver.h"

#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

/* One user of a terminal. */
struct ml_raw_terminal {
    struct ml_signal_receiver receiver;
    struct ml_link link;   /* in the list of the process */
    int fd;                /* a duplicate */
    dev_t device;          /* which terminal */
    pid_t process;         /* 0: closed */
    struct termios before; /* as it was before its first user came */
    struct termios raw;
};

/* Puts the terminal of the descriptor into raw mode. has_signals: Ctrl-C, Ctrl-Z and Ctrl-\ still
 * send signals. 0 or a negated errno: -ENOTTY: it is none. */
int ml_raw_terminal_open(struct ml_raw_terminal *raw, int fd, bool has_signals);

/* Puts the settings back if it is the terminal's last user. Idempotent, never waits. */
void ml_raw_terminal_close(struct ml_raw_terminal *raw);

#endif
