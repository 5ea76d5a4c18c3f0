#include "coro/stack.h"

#include "coro/sanitizer.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Linux 6.13: a guard that does not split the mapping (vm.max_map_count is 65,530 by default). */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

static int install_guard(char *memory)
{
    if (madvise(memory, ML_STACK_GUARD, MADV_GUARD_INSTALL) == 0)
        return 0;
    return mprotect(memory, ML_STACK_GUARD, PROT_NONE) == 0 ? 0 : -ENOMEM;
}

int ml_stack_map(struct ml_stack *stack, size_t size)
{
    if (size > SIZE_MAX / 2)
        return -ENOMEM;
    size = round_up(size, page_size());
    char *memory = mmap(NULL, size + ML_STACK_GUARD, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    if (install_guard(memory) != 0) {
        munmap(memory, size + ML_STACK_GUARD);
        return -ENOMEM;
    }
    /* A huge page would make the first touch of each stack cost 2 MiB. */
    madvise(memory, size + ML_STACK_GUARD, MADV_NOHUGEPAGE);
    stack->base = memory + ML_STACK_GUARD;
    stack->size = size;
    stack->valgrind_id = ml_valgrind_register(stack->base, ml_stack_top(stack));
    return 0;
}

void ml_stack_unmap(struct ml_stack *stack)
{
    if (stack->base == NULL)
        return;
    ml_valgrind_deregister(stack->valgrind_id);
    ml_fiber_free(stack->fiber);
    munmap(stack->base - ML_STACK_GUARD, stack->size + ML_STACK_GUARD);
    *stack = (struct ml_stack){0};
}

bool ml_stack_guards(const struct ml_stack *stack, const void *address)
{
    uintptr_t base = (uintptr_t)stack->base;
    uintptr_t place = (uintptr_t)address;
    return stack->base != NULL && place < base && place >= base - ML_STACK_GUARD;
}

size_t ml_stack_high_water(const struct ml_stack *stack)
{
    size_t page = page_size();
    size_t pages = stack->size / page;
    unsigned char *resident = malloc(pages);
    size_t first = 0;
    if (resident != NULL && mincore(stack->base, stack->size, resident) == 0)
        while (first < pages && !(resident[first] & 1))
            first++;
    free(resident);
    return (pages - first) * page;
}
