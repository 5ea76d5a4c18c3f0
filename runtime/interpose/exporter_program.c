/* The exported names in a program that is linked with the runtime. */
#include "interpose/child_file.h"
#include "interpose/exporter.h"

static void find_libc(void)
{
    ml_exporter_find_libc(&ml_libc);
    ml_libc.pclose = ml_child_file_close;
    ml_libc.fclose = ml_child_file_close_any;
}

/* Runs before the constructors of the libraries, which may make calls. */
__attribute__((section(".preinit_array"), used)) static void (*const at_start)(void) = find_libc;

/* The linker's --wrap sends moonlet's own calls to these. */
#define DIRECT(type, name, parameters, arguments)                                                  \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return ml_libc.name arguments;                                                             \
    }

ML_WAITING_CALLS(DIRECT)
ML_WATCHED_CALLS(DIRECT)
