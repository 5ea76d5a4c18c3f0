#include "bindings/thread/packer.h"

#include <stdint.h>
#include <stdio.h>

enum { FIRST_BYTES = 256 - sizeof(struct ml_parcel), FIRST_LEVELS = 16, FIRST_ENTRIES = 32 };

static void release_parcel(struct ml_message *message)
{
    struct ml_parcel *parcel = ml_parcel_of(message);
    for (uint32_t i = 0; i < message->channel_count; i++)
        ml_thread_channel_release(message->channels[i]);
    free(message->channels);
    free(parcel);
}

void ml_packer_release(struct ml_packer *p)
{
    free(p->levels);
    free(p->entries);
}

bool ml_packer_grow(struct ml_packer *p, size_t size)
{
    size_t capacity = p->capacity > 0 ? 2 * p->capacity : FIRST_BYTES;
    while (capacity - p->size < size && capacity < SIZE_MAX / 4)
        capacity *= 2;
    bool is_new = p->parcel == NULL;
    struct ml_parcel *moved =
        capacity - p->size >= size ? realloc(p->parcel, sizeof *moved + capacity) : NULL;
    if (moved == NULL)
        return false;
    if (is_new)
        *moved = (struct ml_parcel){.message.release = release_parcel};
    p->parcel = moved;
    p->capacity = capacity;
    return true;
}

struct ml_pack_level *ml_packer_push(struct ml_packer *p)
{
    if (p->depth == p->most_levels) {
        uint32_t most = p->most_levels > 0 ? 2 * p->most_levels : FIRST_LEVELS;
        struct ml_pack_level *moved = realloc(p->levels, most * sizeof *moved);
        if (moved == NULL)
            return NULL;
        p->levels = moved;
        p->most_levels = most;
    }
    struct ml_pack_level *level = &p->levels[p->depth++];
    if (p->depth > p->parcel->depth)
        p->parcel->depth = p->depth;
    *level = (struct ml_pack_level){.offset = p->size};
    return level;
}

/* ---- what was met ---- */

static struct ml_pack_entry *place_of(struct ml_pack_entry *entries, uint32_t mask,
                                      const void *address)
{
    uint32_t i = (uint32_t)(((uintptr_t)address >> 4) * 0x9E3779B97F4A7C15u >> 32) & mask;
    while (entries[i].address != NULL && entries[i].address != address)
        i = (i + 1) & mask;
    return &entries[i];
}

static bool grow_entries(struct ml_packer *p)
{
    uint32_t count = p->entries != NULL ? 2 * (p->entry_mask + 1) : FIRST_ENTRIES;
    struct ml_pack_entry *entries = calloc(count, sizeof *entries);
    if (entries == NULL)
        return false;
    for (uint32_t i = 0; p->entries != NULL && i <= p->entry_mask; i++)
        if (p->entries[i].address != NULL)
            *place_of(entries, count - 1, p->entries[i].address) = p->entries[i];
    free(p->entries);
    p->entries = entries;
    p->entry_mask = count - 1;
    return true;
}

struct ml_pack_entry *ml_packer_find(struct ml_packer *p, const void *address)
{
    bool is_full = p->entries == NULL || 2 * p->entry_count > p->entry_mask;
    if (ml_unlikely(is_full) && !grow_entries(p))
        return NULL;
    struct ml_pack_entry *entry = place_of(p->entries, p->entry_mask, address);
    if (entry->address == NULL) {
        *entry = (struct ml_pack_entry){.address = address, .offset = SIZE_MAX};
        p->entry_count++;
    }
    return entry;
}

/* The number is the first field of both headers. */
uint32_t ml_packer_number(struct ml_packer *p, size_t offset)
{
    uint32_t number;
    char *place = p->parcel->bytes + offset;
    memcpy(&number, place, sizeof number);
    if (number == 0) {
        number = ++p->parcel->shared;
        memcpy(place, &number, sizeof number);
    }
    return number;
}

bool ml_packer_add_channel(struct ml_packer *p, struct ml_thread_channel *channel)
{
    struct ml_message *message = &p->parcel->message;
    struct ml_thread_channel **moved =
        realloc(message->channels, (message->channel_count + 1) * sizeof *moved);
    if (moved == NULL)
        return false;
    message->channels = moved;
    message->channels[message->channel_count++] = ml_thread_channel_retain(channel);
    return true;
}

/* ---- the path ---- */

static bool is_identifier(const char *text, size_t size)
{
    bool is_one = size > 0 && strlen(text) == size && strchr("0123456789", text[0]) == NULL;
    for (size_t i = 0; is_one && i < size; i++)
        is_one = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
                 (text[i] >= '0' && text[i] <= '9') || text[i] == '_';
    return is_one;
}

/* Writes the step to the value of the key at `index`. Returns its length, as snprintf() does. */
static int write_step(lua_State *L, int index, char *text, size_t size)
{
    size_t length = 0;
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            return snprintf(text, size, "[%lld]", (long long)lua_tointeger(L, index));
        return snprintf(text, size, "[%.14g]", lua_tonumber(L, index));
    case LUA_TSTRING: {
        const char *name = lua_tolstring(L, index, &length);
        bool is_plain = is_identifier(name, length);
        return snprintf(text, size, is_plain ? ".%.60s" : "[\"%.60s\"]", name);
    }
    case LUA_TBOOLEAN:
        return snprintf(text, size, "[%s]", lua_toboolean(L, index) ? "true" : "false");
    default:
        return snprintf(text, size, "[a %s]", lua_typename(L, lua_type(L, index)));
    }
}

static int write_upvalue(lua_State *L, int function, int number, char *text, size_t size)
{
    const char *name = lua_getupvalue(L, function, number);
    lua_pop(L, name != NULL);
    return snprintf(text, size, ", upvalue '%.60s'", name != NULL ? name : "?");
}

/* Each table has itself and its key on the stack, and its value while the key is packed. */
void ml_packer_path(struct ml_packer *p, char *text, size_t size)
{
    int index = p->loaded + 1;
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < p->depth && length + 1 < size; i++) {
        const struct ml_pack_level *level = &p->levels[i];
        bool is_table = level->kind == ML_PACK_TABLE;
        length += (size_t)(is_table ? write_step(p->L, index + 1, text + length, size - length)
                                    : write_upvalue(p->L, index, (int)level->items, text + length,
                                                    size - length));
        index += is_table ? 2 + level->value_is_left : 1;
    }
}
