#include "vm/native_stack.h"

#include <dlfcn.h>
#include <lua.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

struct walk {
    void **frames;
    int count, most;
    bool is_below; /* the code that was interrupted was reached */
};

/* The address of interrupted code is that of its next instruction; a caller's is behind its call.
 */
static _Unwind_Reason_Code note(struct _Unwind_Context *context, void *argument)
{
    struct walk *walk = argument;
    int is_interrupted = 0;
    uintptr_t address = _Unwind_GetIPInfo(context, &is_interrupted);
    walk->is_below = walk->is_below || is_interrupted != 0;
    if (!walk->is_below)
        return _URC_NO_REASON;
    if (address == 0 || walk->count == walk->most)
        return _URC_END_OF_STACK;
    walk->frames[walk->count++] = (char *)address - (is_interrupted == 0);
    return _URC_NO_REASON;
}

int ml_native_stack_here(void **frames, int most)
{
    struct walk walk = {.frames = frames, .most = most};
    _Unwind_Backtrace(note, &walk);
    return walk.count;
}

void ml_native_stack_load(void)
{
    void *frame;
    ml_native_stack_here(&frame, 1);
}

/* The kernel goes on behind the instruction for a call, or before it if it restarts the call. */
bool ml_native_stack_is_call(const void *address)
{
#if defined(__x86_64__)
    static const unsigned char call[] = {0x0f, 0x05};
#elif defined(__aarch64__)
    static const unsigned char call[] = {0x01, 0x00, 0x00, 0xd4};
#else
    static const unsigned char call[] = {0};
    return false;
#endif
    return memcmp(address, call, sizeof call) == 0 ||
           memcmp((const char *)address - sizeof call, call, sizeof call) == 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

bool ml_native_stack_describe(const void *address, char *text, size_t size)
{
    Dl_info info;
    if (dladdr(address, &info) == 0 || info.dli_fname == NULL) {
        snprintf(text, size, "%p", address);
        return false;
    }
    const char *library = base_name(info.dli_fname);
    if (info.dli_sname != NULL)
        snprintf(text, size, "%s (%s)", info.dli_sname, library);
    else
        snprintf(text, size, "%s+0x%zx", library,
                 (size_t)((const char *)address - (const char *)info.dli_fbase));
    return info.dli_sname != NULL;
}
