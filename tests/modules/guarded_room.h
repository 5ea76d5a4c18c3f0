/* Memory whose end is watched: a byte read or written behind it ends the process. */
#ifndef ML_TESTS_GUARDED_ROOM_H
#define ML_TESTS_GUARDED_ROOM_H

#include <sys/mman.h>
#include <unistd.h>

static inline size_t guarded_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* The end of a page of memory, which nothing accessible follows. */
static inline char *guarded_room_open(void)
{
    size_t page = guarded_page();
    char *room = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(room + page, page, PROT_NONE);
    return room + page;
}

static inline void guarded_room_close(char *end)
{
    munmap(end - guarded_page(), 2 * guarded_page());
}

#endif
