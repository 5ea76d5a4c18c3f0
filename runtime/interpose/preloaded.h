/* The runtime's side of a preloaded library (interpose/exporter.h). */
#ifndef ML_INTERPOSE_PRELOADED_H
#define ML_INTERPOSE_PRELOADED_H

/* Makes this runtime known to a library with libc's names that was loaded before libc, if there is
 * one. Once per process; before ml_libc_calls_open(). */
void ml_preloaded_introduce(void);

#endif
