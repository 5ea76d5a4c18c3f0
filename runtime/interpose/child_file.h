/*
 * Files whose other end is a command that popen() started in a task, by their addresses, as libc
 * keeps a list of its own of those it started: only so is the command's number known to whoever
 * closes the file. To close one never waits here; interpose/popen.c does.
 */
#ifndef ML_INTERPOSE_CHILD_FILE_H
#define ML_INTERPOSE_CHILD_FILE_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct ml_libc_calls;

/* 0 or -ENOMEM. */
int ml_child_file_add(FILE *file, pid_t pid);

/* The number of its command, and whether it is this process's child; 0: it is no such file. */
pid_t ml_child_file_pid(FILE *file, bool *is_ours);

/* Forgets it. */
void ml_child_file_strike(FILE *file);

/* Gives the command what is in the file's buffer, as far as there is room or can be made; the rest
 * is lost. Never waits and raises no SIGPIPE. */
void ml_child_file_flush(FILE *file);

/* The same, and closes the file. */
void ml_child_file_drop(FILE *file);

/* pclose() and fclose() outside of tasks. Of such a file they do not wait for the command: 0. */
int ml_child_file_close(FILE *file);
int ml_child_file_close_any(FILE *file);

/* ---- commands that nobody waits for any more ---- */

/* Sees to it that the child leaves no zombie once it has ended. calls: whose loop is told of that;
 * NULL: it is looked for when the next command begins or ends. */
void ml_child_leave(struct ml_libc_calls *calls, pid_t pid);

/* Takes leave of those that have ended and that no loop is told of. */
void ml_children_sweep(void);

/* The loop of `calls` is about to end. */
void ml_children_release(struct ml_libc_calls *calls);

/* write() to such a file's descriptor: a command that has ended is EPIPE, no signal. */
ssize_t ml_child_file_write(struct ml_libc_calls *calls, int fd, const void *data, size_t size);

#endif
