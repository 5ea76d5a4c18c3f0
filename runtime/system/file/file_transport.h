/* How the bytes of an open file get into its stream and out of it. */
#ifndef ML_SYSTEM_FILE_FILE_TRANSPORT_H
#define ML_SYSTEM_FILE_FILE_TRANSPORT_H

#include "io/stream_state.h"

/* Bytes that are read at a time: after a seek, and in a run of reads. */
enum { ML_FILE_LEAST_AHEAD = 4096, ML_FILE_MOST_AHEAD = 256 * 1024 };

extern const struct ml_transport ml_file_transport;

#endif
