/* --profile FILE: a profile of the whole program, written when it ends, however it does. */
#ifndef ML_CLI_PROFILE_H
#define ML_CLI_PROFILE_H

#include <stdbool.h>

struct moonlet;

/* Whether a file of that name has a known format. */
bool cli_profile_can_write(const char *path);

/* Opens the file and begins; exit() ends it. program: for messages, kept. False: it has said why
 * not. */
bool cli_profile_start(struct moonlet *m, const char *program, const char *path);

/* Writes the file and says so. Does nothing the second time, or if none was begun. */
void cli_profile_finish(void);

#endif
