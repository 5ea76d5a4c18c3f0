#include "bindings/inspect/profile_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_BUCKETS = ML_PROFILE_FRAMES, CALL_BUCKETS = ML_PROFILE_CALLS };

/* Places that stand for what found no room: children of the root and others named "(other)". */
enum { CALLS_IN_RESERVE = 1 };

static void copy(char *to, const char *from, size_t room)
{
    size_t length = strnlen(from, room - 1);
    memcpy(to, from, length);
    to[length] = '\0';
}

int ml_profile_store_open(struct ml_profile_store *store)
{
    *store = (struct ml_profile_store){.frame_count = 1, .call_count = 1 + CALLS_IN_RESERVE};
    store->frame_buckets = calloc(FRAME_BUCKETS, sizeof *store->frame_buckets);
    store->call_buckets = calloc(CALL_BUCKETS, sizeof *store->call_buckets);
    store->frames = calloc(ML_PROFILE_FRAMES, sizeof *store->frames);
    store->calls = calloc(ML_PROFILE_CALLS, sizeof *store->calls);
    if (store->frame_buckets == NULL || store->call_buckets == NULL || store->frames == NULL ||
        store->calls == NULL) {
        ml_profile_store_close(store);
        return -ENOMEM;
    }
    store->frames[ML_PROFILE_OTHER].kind = ML_PROFILE_MARK;
    copy(store->frames[ML_PROFILE_OTHER].name, "(other)", ML_PROFILE_NAME);
    return 0;
}

void ml_profile_store_close(struct ml_profile_store *store)
{
    free(store->frame_buckets);
    free(store->call_buckets);
    free(store->frames);
    free(store->calls);
    *store = (struct ml_profile_store){0};
}

/* ---- frames ---- */

static uint32_t mix(uint32_t hash, uint32_t value)
{
    hash = (hash ^ value) * 0x9E3779B1u;
    return hash ^ hash >> 15;
}

static uint32_t hash_text(uint32_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

static bool is_function(const struct ml_profile_frame *frame)
{
    return frame->kind == ML_PROFILE_LUA || frame->kind == ML_PROFILE_C;
}

/* A C function whose address is not known goes by its name. */
static bool is_by_name(const struct ml_profile_frame *frame)
{
    return !is_function(frame) || (frame->kind == ML_PROFILE_C && frame->function == NULL);
}

static uint32_t hash_frame(const struct ml_profile_frame *frame)
{
    uintptr_t function = (uintptr_t)frame->function;
    uint32_t hash = mix((uint32_t)frame->kind, (uint32_t)frame->line);
    hash = mix(hash, (uint32_t)(function >> 4));
    hash = hash_text(hash, frame->source);
    return mix(is_by_name(frame) ? hash_text(hash, frame->name) : hash, 1);
}

static bool is_same(const struct ml_profile_frame *a, const struct ml_profile_frame *b)
{
    return a->kind == b->kind && a->line == b->line && a->function == b->function &&
           strcmp(a->source, b->source) == 0 && (!is_by_name(a) || strcmp(a->name, b->name) == 0);
}

uint32_t ml_profile_store_frame(struct ml_profile_store *store,
                                const struct ml_profile_frame *frame)
{
    uint32_t *bucket = &store->frame_buckets[hash_frame(frame) % FRAME_BUCKETS], index = *bucket;
    while (index != 0 && !is_same(&store->frames[index], frame))
        index = store->frames[index].next;
    if (index == 0 && store->frame_count == ML_PROFILE_FRAMES)
        return ML_PROFILE_OTHER;
    if (index == 0) {
        index = store->frame_count++;
        store->frames[index] = *frame;
        store->frames[index].next = *bucket;
        *bucket = index;
    }
    struct ml_profile_frame *found = &store->frames[index];
    if (found->name[0] == '\0')
        copy(found->name, frame->name, ML_PROFILE_NAME);
    return index;
}

uint32_t ml_profile_store_mark(struct ml_profile_store *store, enum ml_profile_frame_kind kind,
                               const char *name)
{
    struct ml_profile_frame frame = {.kind = kind};
    copy(frame.name, name, ML_PROFILE_NAME);
    return ml_profile_store_frame(store, &frame);
}

/* ---- the tree ---- */

/* The place of the frame below `parent`; 0: it is new, and there is no room. */
static uint32_t find_call(struct ml_profile_store *store, uint32_t parent, uint32_t frame)
{
    uint32_t *bucket = &store->call_buckets[mix(mix(1, parent), frame) % CALL_BUCKETS],
             index = *bucket;
    while (index != 0 &&
           (store->calls[index].parent != parent || store->calls[index].frame != frame))
        index = store->calls[index].next;
    if (index != 0 || store->call_count == ML_PROFILE_CALLS)
        return index;
    index = store->call_count++;
    store->calls[index] =
        (struct ml_profile_call){.parent = parent, .frame = frame, .next = *bucket};
    *bucket = index;
    return index;
}

void ml_profile_store_add(struct ml_profile_store *store, const uint32_t *stack, int depth,
                          uint32_t samples, ml_time time)
{
    uint32_t place = 0, next = 1;
    for (int i = depth - 1; i >= 0 && next != 0; i--)
        if ((next = find_call(store, place, stack[i])) != 0)
            place = next;
    /* The second place is that of "(other)", below the root. */
    struct ml_profile_call *call = &store->calls[next == 0 || place == 0 ? 1 : place];
    call->samples += samples;
    call->time += time;
}
