/* Copies the bytes of one open file to another, with its holes. Blocks. Knows no names. */
#ifndef ML_SYSTEM_FILE_COPY_DATA_H
#define ML_SYSTEM_FILE_COPY_DATA_H

#include "system/file/call.h"

/* From the begin of `from` to its end, into `to`, which is empty. 0; -ECANCELED: `call` was given
 * up; or an error. */
int ml_file_copy_data(const struct ml_file_call *call, int from, int to);

#endif
