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

#endif
