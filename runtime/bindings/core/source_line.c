#include "bindings/core/source_line.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers have 16 bits; a program with more lines gains nothing from this. */
enum { MOST_LINES = UINT16_MAX, FIRST_CAPACITY = 16, TEXT_ROOM = LUA_IDSIZE + 16 };

/* Whether `text` names that line of that chunk: another chunk's name may have been at the same
 * address. */
static bool is_same(const char *text, const lua_Debug *frame)
{
    size_t length = strlen(frame->short_src);
    return strncmp(text, frame->short_src, length) == 0 && text[length] == ':' &&
           atoi(text + length + 1) == frame->currentline;
}

/* FNV-1a of the name, and the line. */
static uint32_t hash_of(const char *name, size_t length, int line)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return (hash ^ (uint32_t)line) * 2654435769u;
}

static uint32_t hash_of_text(const char *text)
{
    const char *colon = strrchr(text, ':');
    return hash_of(text, (size_t)(colon - text), atoi(colon + 1));
}

/* The entry of the line in the index, or an empty one. There is an index, and it is half empty. */
static uint16_t *entry_of(const struct ml_source_lines *lines, const lua_Debug *frame)
{
    uint32_t mask = lines->capacity * 2 - 1;
    uint32_t i = hash_of(frame->short_src, strlen(frame->short_src), frame->currentline) >> 8;
    while (lines->index[i & mask] != 0 && !is_same(lines->texts[lines->index[i & mask] - 1], frame))
        i++;
    return &lines->index[i & mask];
}

static void fill_index(const struct ml_source_lines *lines, uint16_t *index, uint32_t mask)
{
    for (uint32_t number = 1; number <= lines->count; number++) {
        uint32_t i = hash_of_text(lines->texts[number - 1]) >> 8;
        while (index[i & mask] != 0)
            i++;
        index[i & mask] = (uint16_t)number;
    }
}

static bool grow(struct ml_source_lines *lines)
{
    uint32_t capacity = lines->capacity > 0 ? lines->capacity * 2 : FIRST_CAPACITY;
    char **texts = realloc(lines->texts, (size_t)capacity * sizeof *texts);
    if (texts == NULL)
        return false;
    lines->texts = texts;
    uint16_t *index = calloc((size_t)capacity * 2, sizeof *index);
    if (index == NULL)
        return false;
    fill_index(lines, index, capacity * 2 - 1);
    free(lines->index);
    lines->index = index;
    lines->capacity = capacity;
    return true;
}

static uint32_t add(struct ml_source_lines *lines, const lua_Debug *frame)
{
    if (lines->count == MOST_LINES || (lines->count == lines->capacity && !grow(lines)))
        return 0;
    char text[TEXT_ROOM];
    snprintf(text, sizeof text, "%s:%d", frame->short_src, frame->currentline);
    char *copy = strdup(text);
    if (copy == NULL)
        return 0;
    lines->texts[lines->count++] = copy;
    *entry_of(lines, frame) = (uint16_t)lines->count;
    return lines->count;
}

static uint32_t find(const struct ml_source_lines *lines, const lua_Debug *frame)
{
    return lines->count > 0 ? *entry_of(lines, frame) : 0;
}

static unsigned cache_index(const lua_Debug *frame)
{
    return (unsigned)(((uintptr_t)frame->source >> 4) + (size_t)frame->currentline * 7u) %
           ML_SOURCE_LINES_CACHED;
}

/* Whether the function is one of moonlet's own modules: then its caller counts. */
static bool is_ours(const lua_Debug *frame)
{
    return frame->source[0] == '=' && strncmp(frame->source, "=[moonlet.", 10) == 0;
}

static bool find_frame(lua_State *L, int level, lua_Debug *frame)
{
    bool found;
    do
        found = lua_getstack(L, level++, frame) && lua_getinfo(L, "Sl", frame);
    while (found && (is_ours(frame) || frame->currentline < 0));
    return found;
}

void ml_push_script_line(lua_State *L)
{
    lua_Debug frame;
    if (find_frame(L, 1, &frame))
        lua_pushfstring(L, "%s:%d: ", frame.short_src, frame.currentline);
    else
        lua_pushliteral(L, "");
}

uint32_t ml_source_line_of(struct ml_source_lines *lines, lua_State *L, int level)
{
    lua_Debug frame;
    if (!find_frame(L, level, &frame))
        return 0;
    unsigned index = cache_index(&frame);
    uint32_t number = lines->cache[index].number;
    if (number != 0 && lines->cache[index].source == frame.source &&
        lines->cache[index].line == frame.currentline && is_same(lines->texts[number - 1], &frame))
        return number;
    number = find(lines, &frame);
    if (number == 0)
        number = add(lines, &frame);
    lines->cache[index].source = frame.source;
    lines->cache[index].line = frame.currentline;
    lines->cache[index].number = number;
    return number;
}

const char *ml_source_line_text(const struct ml_source_lines *lines, uint32_t number)
{
    return number > 0 ? lines->texts[number - 1] : "?";
}

void ml_source_lines_release(struct ml_source_lines *lines)
{
    for (uint32_t i = 0; i < lines->count; i++)
        free(lines->texts[i]);
    free(lines->texts);
    free(lines->index);
    *lines = (struct ml_source_lines){0};
}
