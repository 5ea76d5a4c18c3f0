#include "io/recent_files.h"

#include <stddef.h>

/* Memory that was used within this time is not what the kernel takes first. */
#define FRESH (ML_SECOND)

enum { KNOWN = sizeof((struct ml_recent_files *)0)->known / sizeof(struct ml_recent_file) };

/* Spreads all bits over all bits (the end of splitmix64). */
static uint64_t mix(uint64_t number)
{
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
    number = (number ^ number >> 27) * 0x94d049bb133111ebu;
    return number ^ number >> 31;
}

uint64_t ml_recent_part(uint64_t file, uint64_t offset, uint64_t count)
{
    return mix(mix(file ^ mix(offset)) ^ count) | 1;
}

static size_t place_of(uint64_t number)
{
    return number >> 32 & (KNOWN - 1);
}

bool ml_recent_files_have(const struct ml_recent_files *files, uint64_t number, ml_time now)
{
    const struct ml_recent_file *known = &files->known[place_of(number)];
    return known->number == number && now < known->until;
}

void ml_recent_files_note(struct ml_recent_files *files, uint64_t number, ml_time now)
{
    files->known[place_of(number)] = (struct ml_recent_file){number, ml_time_after(now, FRESH)};
}
