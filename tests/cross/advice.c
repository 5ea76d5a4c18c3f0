/*
 * qemu's user mode says yes to every madvise() it does not know and does nothing: stacks would be
 * without their guards. Here it says no, as kernels before 6.13 do, and the other way to guard a
 * stack is tested.
 */
#include <errno.h>
#include <sys/mman.h>

int __real_madvise(void *memory, size_t size, int advice);
int __wrap_madvise(void *memory, size_t size, int advice);

int __wrap_madvise(void *memory, size_t size, int advice)
{
    enum { GUARD_INSTALL = 102 };
    if (advice != GUARD_INSTALL)
        return __real_madvise(memory, size, advice);
    errno = EINVAL;
    return -1;
}
