/*
 * Files, and parts of files, that were sent a moment ago: the kernel still has them in memory, so
 * that sending them again waits for no disk. Knows them by numbers alone.
 */
#ifndef ML_IO_RECENT_FILES_H
#define ML_IO_RECENT_FILES_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

/* Those of a runtime. A zeroed struct knows none. A file takes the place of another one now and
 * then, which then is looked at once more. */
struct ml_recent_files {
    struct ml_recent_file {
        uint64_t number;
        ml_time until;
    } known[64];
};

/* The number of a part of the file with that number, which is not 0. */
uint64_t ml_recent_part(uint64_t file, uint64_t offset, uint64_t count);

bool ml_recent_files_have(const struct ml_recent_files *files, uint64_t number, ml_time now);

void ml_recent_files_note(struct ml_recent_files *files, uint64_t number, ml_time now);

#endif
