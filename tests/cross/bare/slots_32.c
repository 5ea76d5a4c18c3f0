/*
 * The table of slots where a pointer has 32 bits: a free slot and the end of the free list are told
 * from tasks, and none is given twice. Compiled for such a machine with no C library, which the
 * system need not have; ends with the number of the line that failed, 0 for none.
 */
#include "hub/state/slots.c"

_Static_assert(sizeof(void *) == 4, "this is the test for pointers of 32 bits");

enum { MOST = 1000, ROOM = 1 << 16 };

static _Alignas(16) char memory[ROOM];
static size_t used;
static char tasks[MOST][8]; /* only their addresses count */

/* The old block is left behind. */
void *realloc(void *old, size_t size)
{
    char *fresh = memory + used;
    if (size > ROOM - used)
        return NULL;
    used += size;
    for (size_t i = 0; old != NULL && i < size / 2; i++)
        fresh[i] = ((char *)old)[i];
    return fresh;
}

void free(void *old)
{
    (void)old;
}

static struct ml_task *task(uint32_t number)
{
    return (struct ml_task *)tasks[number];
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

/* Takes a slot for each of `count` tasks: all are different, and lead to their tasks. */
static int take(struct ml_slots *slots, uint32_t *taken, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t next = ml_slots_next(slots);
        CHECK(ml_slots_take(slots, task(i), &taken[i]) == 0);
        CHECK(taken[i] == next && taken[i] < slots->count);
    }
    for (uint32_t i = 0; i < count; i++)
        CHECK(ml_slots_task(slots, taken[i]) == task(i));
    return 0;
}

static int run(void)
{
    static uint32_t taken[MOST];
    struct ml_slots slots;
    ml_slots_init(&slots);
    int line = take(&slots, taken, MOST);
    CHECK(line == 0);
    for (uint32_t i = 0; i < MOST; i++) {
        ml_slots_give_back(&slots, taken[i]);
        CHECK(ml_slots_task(&slots, taken[i]) == NULL);
    }
    CHECK(slots.count == MOST);
    line = take(&slots, taken, MOST); /* the free list, to its end */
    CHECK(line == 0 && slots.count == MOST);
    uint32_t one_more;
    CHECK(ml_slots_take(&slots, task(0), &one_more) == 0 && one_more == MOST);
    slots.count = slots.capacity = 1u << 30; /* the next would be no slot, and its table no size */
    CHECK(ml_slots_take(&slots, task(0), &one_more) == -ENOMEM);
    return 0;
}

void _start(void)
{
    int line = run();
    __asm__ volatile("int $0x80" : : "a"(1), "b"(line != 0 ? line & 255 : 0));
    __builtin_unreachable();
}
