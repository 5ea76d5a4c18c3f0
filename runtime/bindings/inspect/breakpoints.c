#include "bindings/inspect/breakpoints.h"

#include "base/check.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Chunks remembered; programs that load texts without end do not fill the memory. */
enum { MOST_CHUNKS = 4096 };

/* A chunk that was seen, with those of the breakpoints that are in it. */
struct ml_chunk {
    struct ml_chunk *next;
    uint64_t hash;
    size_t length;
    int count;
    int breakpoints[]; /* indices */
};

/* ---- the set ---- */

static bool copy_into(struct ml_breakpoint *item, const struct ml_breakpoint *from)
{
    size_t size = (size_t)from->owner_count * sizeof *from->owners;
    *item = *from;
    item->chunk = malloc(from->length + 1);
    item->owners = size > 0 ? malloc(size) : NULL;
    if (item->chunk == NULL || (size > 0 && item->owners == NULL)) {
        free(item->chunk);
        free(item->owners);
        return false;
    }
    memcpy(item->chunk, from->chunk, from->length + 1);
    if (size > 0)
        memcpy(item->owners, from->owners, size);
    return true;
}

static bool has_room(struct ml_breakpoints *breakpoints)
{
    if (breakpoints->count < breakpoints->capacity)
        return true;
    int capacity = breakpoints->capacity > 0 ? 2 * breakpoints->capacity : 16;
    struct ml_breakpoint *items =
        realloc(breakpoints->items, (size_t)capacity * sizeof *breakpoints->items);
    if (items == NULL)
        return false;
    breakpoints->items = items;
    breakpoints->capacity = capacity;
    return true;
}

static void forget_chunks(struct ml_breakpoints *breakpoints)
{
    for (int i = 0; i < ML_CHUNK_BUCKETS; i++)
        while (breakpoints->chunks[i] != NULL) {
            struct ml_chunk *chunk = breakpoints->chunks[i];
            breakpoints->chunks[i] = chunk->next;
            free(chunk);
        }
    breakpoints->chunk_count = 0;
}

static unsigned range_bit(int first, int last)
{
    return ((unsigned)first * 2654435769u ^ (unsigned)last * 2246822519u) >> 22;
}

static void note_owner(struct ml_breakpoints *breakpoints, const struct ml_owner *owner)
{
    unsigned range = range_bit(owner->first, owner->last);
    unsigned entry = (unsigned)owner->entry % ML_ENTRY_BITS;
    breakpoints->ranges[range / 64] |= (uint64_t)1 << range % 64;
    breakpoints->entries[entry / 64] |= (uint64_t)1 << entry % 64;
    if (owner->size < breakpoints->least)
        breakpoints->least = owner->size;
}

/* Any function may have it. */
static void note_unowned(struct ml_breakpoints *breakpoints)
{
    breakpoints->has_unowned = true;
    memset(breakpoints->entries, 0xff, sizeof breakpoints->entries);
    breakpoints->least = 0;
}

bool ml_breakpoints_add(struct ml_breakpoints *breakpoints, const struct ml_breakpoint *breakpoint)
{
    if (!has_room(breakpoints) || !copy_into(&breakpoints->items[breakpoints->count], breakpoint))
        return false;
    if (breakpoints->count++ == 0)
        breakpoints->least = INT_MAX;
    forget_chunks(breakpoints);
    for (int i = 0; i < breakpoint->owner_count; i++)
        note_owner(breakpoints, &breakpoint->owners[i]);
    if (breakpoint->owner_count == 0)
        note_unowned(breakpoints);
    return true;
}

void ml_breakpoints_clear(struct ml_breakpoints *breakpoints)
{
    for (int i = 0; i < breakpoints->count; i++) {
        free(breakpoints->items[i].chunk);
        free(breakpoints->items[i].owners);
    }
    free(breakpoints->items);
    forget_chunks(breakpoints);
    memset(breakpoints, 0, sizeof *breakpoints);
}

/* ---- chunks ---- */

/* Eight bytes at a time: measured: 9 ns for a path. */
static uint64_t hash_of(const char *text, size_t length)
{
    uint64_t hash = length * 0x9e3779b97f4a7c15u, word;
    for (; length >= sizeof word; text += sizeof word, length -= sizeof word) {
        memcpy(&word, text, sizeof word);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, text, length);
    hash = (hash ^ word) * 0xff51afd7ed558ccdu;
    return hash ^ hash >> 29;
}

/* Takes ".", ".." and doubled slashes out of an absolute path, in place. */
static void tidy(char *path)
{
    char *to = path;
    for (const char *from = path; *from != '\0';) {
        size_t length = strcspn(from + 1, "/") + 1;
        bool is_up = length == 3 && memcmp(from, "/..", 3) == 0;
        while (is_up && to > path && *--to != '/')
            ;
        if (!is_up && length > 1 && !(length == 2 && from[1] == '.')) {
            memmove(to, from, length);
            to += length;
        }
        from += length;
    }
    *to = '\0';
}

void ml_breakpoint_path(const char *name, char path[PATH_MAX])
{
    char whole[PATH_MAX];
    size_t length = 0;
    if (realpath(name, path) != NULL)
        return;
    if (name[0] != '/' && getcwd(whole, sizeof whole - 1) != NULL) {
        length = strlen(whole);
        whole[length++] = '/';
    }
    snprintf(whole + length, sizeof whole - length, "%s", name);
    tidy(whole);
    memcpy(path, whole, sizeof whole);
}

static bool is_of(const struct ml_breakpoint *breakpoint, const lua_Debug *frame, const char *path)
{
    if (breakpoint->is_path)
        return strcmp(breakpoint->chunk, path) == 0;
    return breakpoint->length == frame->srclen &&
           memcmp(breakpoint->chunk, frame->source, frame->srclen) == 0;
}

static struct ml_chunk *make_chunk(struct ml_breakpoints *breakpoints, const lua_Debug *frame,
                                   uint64_t hash)
{
    char path[PATH_MAX] = "";
    size_t size = (size_t)breakpoints->count * sizeof(int);
    struct ml_chunk *chunk = malloc(sizeof *chunk + size);
    if (chunk == NULL)
        return NULL;
    if (frame->source[0] == '@')
        ml_breakpoint_path(frame->source + 1, path);
    *chunk = (struct ml_chunk){.hash = hash, .length = frame->srclen};
    for (int i = 0; i < breakpoints->count; i++)
        if (is_of(&breakpoints->items[i], frame, path))
            chunk->breakpoints[chunk->count++] = i;
    return chunk;
}

/* NULL: no memory. */
static struct ml_chunk *chunk_of(struct ml_breakpoints *breakpoints, const lua_Debug *frame)
{
    uint64_t hash = hash_of(frame->source, frame->srclen);
    struct ml_chunk *chunk = breakpoints->chunks[hash % ML_CHUNK_BUCKETS];
    while (chunk != NULL && (chunk->hash != hash || chunk->length != frame->srclen))
        chunk = chunk->next;
    if (ml_likely(chunk != NULL))
        return chunk;
    if (breakpoints->chunk_count >= MOST_CHUNKS)
        forget_chunks(breakpoints);
    chunk = make_chunk(breakpoints, frame, hash);
    if (chunk == NULL)
        return NULL;
    chunk->next = breakpoints->chunks[hash % ML_CHUNK_BUCKETS];
    breakpoints->chunks[hash % ML_CHUNK_BUCKETS] = chunk;
    breakpoints->chunk_count++;
    return chunk;
}

/* ---- questions ---- */

static bool is_around(const struct ml_breakpoint *breakpoint, const lua_Debug *frame)
{
    bool is_main = frame->what[0] == 'm';
    if (breakpoint->owner_count == 0)
        return is_main || (frame->linedefined <= breakpoint->line &&
                           breakpoint->line <= frame->lastlinedefined);
    for (int i = 0; i < breakpoint->owner_count; i++)
        if (breakpoint->owners[i].first == frame->linedefined &&
            breakpoint->owners[i].last == frame->lastlinedefined)
            return true;
    return false;
}

bool ml_breakpoints_are_in(struct ml_breakpoints *breakpoints, const lua_Debug *frame)
{
    unsigned bit = range_bit(frame->linedefined, frame->lastlinedefined);
    bool may_be = breakpoints->has_unowned || (breakpoints->ranges[bit / 64] >> bit % 64 & 1) != 0;
    if (ml_likely(!may_be) || breakpoints->count == 0)
        return false;
    const struct ml_chunk *chunk = chunk_of(breakpoints, frame);
    if (chunk == NULL)
        return true;
    for (int i = 0; i < chunk->count; i++)
        if (is_around(&breakpoints->items[chunk->breakpoints[i]], frame))
            return true;
    return false;
}

int ml_breakpoints_at(struct ml_breakpoints *breakpoints, const lua_Debug *frame, int *cursor)
{
    const struct ml_chunk *chunk = breakpoints->count > 0 ? chunk_of(breakpoints, frame) : NULL;
    while (chunk != NULL && *cursor < chunk->count) {
        const struct ml_breakpoint *breakpoint =
            &breakpoints->items[chunk->breakpoints[(*cursor)++]];
        if (breakpoint->line == frame->currentline)
            return breakpoint->id;
    }
    return 0;
}
