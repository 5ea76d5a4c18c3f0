/*
 * What /proc says about another process: its CPU time and its memory. Knows nothing else of it.
 */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stdint.h>

/* Nanoseconds on a CPU of all threads alive, or -1. */
int64_t proc_cpu(int pid);

/* A line of /proc/PID/status in KB, such as "VmRSS" (resident) or "VmHWM" (its peak), or -1. */
long proc_kb(int pid, const char *field);

/* Lets the peak begin anew from what is resident now. */
void proc_reset_peak(int pid);

#endif
