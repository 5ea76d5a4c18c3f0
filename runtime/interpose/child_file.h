/*
 * Files whose other end is a command that popen() started in a task, found by their addresses. libc
 * keeps such a list of those it started: only the list leads from the file to the command's number
 * when the file is closed. Closing one never waits here; interpose/popen.c does that.
 */
#ifndef ML_INTERPOSE_CHILD_FILE_H
#define ML_INTERPOSE_CHILD_FILE_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* 0 or -ENOMEM. */
int ml_child_file_add(FILE *file, pid_t pid);

/* The number of the file's command, and whether the command is a child of this process. 0: `file`
 * is not in the list. */
pid_t ml_child_file_pid(FILE *file, bool *is_ours);

/* Removes the file from the list. */
void ml_child_file_strike(FILE *file);

/* Gives the command the content of the file's buffer, as far as the pipe has room or can be made
 * larger; the rest is lost. Never waits and raises no SIGPIPE. */
void ml_child_file_flush(FILE *file);

/* As ml_child_file_flush(), then closes the file. */
void ml_child_file_drop(FILE *file);

/* pclose() and fclose() outside of tasks. Given a file of this list, they do not wait for the
 * command and return 0. */
int ml_child_file_close(FILE *file);
int ml_child_file_close_any(FILE *file);

#endif
