/*
 * libc's names, as C libraries find them: the dynamic linker looks first into the program, or into
 * a library that is loaded before libc. Outside of a task each call goes straight on to libc.
 *
 * Part of no other library: a host that wants the names links them. Compiled without link-time
 * optimisation, which would send moonlet's own calls here, too. Those go to __wrap_..., which is
 * libc (cmake/interpose.cmake).
 */
#include "interpose/exporter.h"

#undef fread_unlocked
#undef fwrite_unlocked

#define PUBLIC __attribute__((visibility("default")))

static struct ml_libc_calls *enter(enum ml_libc_function call, const void *caller,
                                   const void *frame)
{
    struct ml_libc_calls *calls = ml_exporter_current();
    if (calls != NULL)
        calls->entry = (struct ml_libc_call){call, caller, frame};
    return calls;
}

#define ENTER(name) enter(ML_LIBC_##name, __builtin_return_address(0), __builtin_frame_address(0))

/* The last step of each call: libc's function, or the answer for a task. */
#define ANSWER(name, arguments)                                                                    \
    struct ml_libc_calls *calls = ENTER(name);                                                     \
    return ml_likely(calls == NULL) ? ml_exporter_libc()->name arguments                           \
                                    : ml_exporter_co(name)(calls, ML_UNPACK arguments);

#define EXPORT(type, name, parameters, arguments)                                                  \
    PUBLIC type name parameters                                                                    \
    {                                                                                              \
        ANSWER(name, arguments)                                                                    \
    }

ML_CALLS(EXPORT)

/* ---- the same calls under other names ---- */

#define ALIAS(type, alias, name, parameters, arguments)                                            \
    PUBLIC type alias parameters;                                                                  \
    PUBLIC type alias parameters                                                                   \
    {                                                                                              \
        ANSWER(name, arguments)                                                                    \
    }

ML_ALIASES(ALIAS)

/* ---- with variable arguments ---- */

static int print(struct ml_libc_calls *calls, FILE *file, const char *format, va_list arguments)
{
    return ml_likely(calls == NULL) ? ml_exporter_libc()->vfprintf(file, format, arguments)
                                    : ml_exporter_co(vfprintf)(calls, file, format, arguments);
}

#define PRINT(name, parameters, file)                                                              \
    PUBLIC int name parameters;                                                                    \
    PUBLIC int name parameters                                                                     \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        int result = print(ENTER(vfprintf), file, format, arguments);                              \
        va_end(arguments);                                                                         \
        return result;                                                                             \
    }

ML_PRINTING_CALLS(PRINT)

/* ---- those that check the size of a buffer (-D_FORTIFY_SOURCE) ---- */

/* Declared in no header of glibc: reports a buffer overflow and aborts. */
extern _Noreturn void __chk_fail(void);

#define CHECKED(type, name, base, parameters, needed, arguments)                                   \
    PUBLIC type name parameters;                                                                   \
    PUBLIC type name parameters                                                                    \
    {                                                                                              \
        if ((needed) > room)                                                                       \
            __chk_fail();                                                                          \
        ANSWER(base, arguments)                                                                    \
    }

ML_CHECKED_CALLS(CHECKED)

PUBLIC int __vfprintf_chk(FILE *file, int level, const char *format, va_list arguments);
PUBLIC int __vfprintf_chk(FILE *file, int level, const char *format, va_list arguments)
{
    (void)level;
    return print(ENTER(vfprintf), file, format, arguments);
}
