/*
 * Native backtraces: where the machine code of a thread runs. Taken in a signal handler, put into
 * words outside. Knows no Lua.
 */
#ifndef ML_VM_NATIVE_STACK_H
#define ML_VM_NATIVE_STACK_H

#include <stdbool.h>
#include <stddef.h>

/* The most frames of a backtrace. */
enum { ML_NATIVE_FRAMES = 64 };

/* Has the loader find what a handler will call. */
void ml_native_stack_load(void);

/* For handlers: the addresses in the code that the handler interrupted, the innermost first.
 * Returns how many; 0: the code cannot be followed. */
int ml_native_stack_here(void **frames, int most);

/* For handlers: whether the code at the first such address was inside a call of the kernel. */
bool ml_native_stack_is_call(const void *address);

/* Writes "name (library)", or "library+0x12ab" for code without a name. Returns whether it has a
 * name. Not for handlers. */
bool ml_native_stack_describe(const void *address, char *text, size_t size);

#endif
