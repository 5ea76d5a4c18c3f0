/* The runtime's side of a preloaded library (interpose/exporter.h). */
#ifndef ML_INTERPOSE_PRELOADED_H
#define ML_INTERPOSE_PRELOADED_H

/* Tells a library with libc's names that was loaded before libc of this runtime, if there is one.
 * Once a process; before ml_libc_calls_open(). */
void ml_preloaded_introduce(void);

#endif
