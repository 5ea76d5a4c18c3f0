/* What a program without a C library needs of it: see tests/cross/bare/slots_32.c. */
#include <stddef.h>

void *realloc(void *memory, size_t size);
void free(void *memory);
