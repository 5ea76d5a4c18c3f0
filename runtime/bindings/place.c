#include "bindings/place.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A program that has more is not helped by this. */
enum { MOST_PLACES = 4096, TEXT_ROOM = LUA_IDSIZE + 16 };

/* Whether `text` is the place of that line of that chunk: the chunk's name may lie where another's did. */
static bool is_same(const char *text, const lua_Debug *frame)
{
    size_t length = strlen(frame->short_src);
    return strncmp(text, frame->short_src, length) == 0 && text[length] == ':' &&
           atoi(text + length + 1) == frame->currentline;
}

static uint32_t find(const struct ml_places *places, const lua_Debug *frame)
{
    for (uint32_t i = 0; i < places->count; i++)
        if (is_same(places->texts[i], frame))
            return i + 1;
    return 0;
}

static bool grow(struct ml_places *places)
{
    uint32_t capacity = places->capacity > 0 ? places->capacity * 2 : 16;
    char **texts = realloc(places->texts, (size_t)capacity * sizeof *texts);
    if (texts == NULL)
        return false;
    places->texts = texts;
    places->capacity = capacity;
    return true;
}

static uint32_t add(struct ml_places *places, const lua_Debug *frame)
{
    if (places->count == MOST_PLACES || (places->count == places->capacity && !grow(places)))
        return 0;
    char text[TEXT_ROOM];
    snprintf(text, sizeof text, "%s:%d", frame->short_src, frame->currentline);
    char *copy = strdup(text);
    if (copy == NULL)
        return 0;
    places->texts[places->count++] = copy;
    return places->count;
}

static unsigned cache_index(const lua_Debug *frame)
{
    return (unsigned)(((uintptr_t)frame->source >> 4) + (size_t)frame->currentline * 7u) %
           ML_PLACES_CACHED;
}

/* Whether the function is one of moonlet's own modules: its caller made the thing. */
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

uint32_t ml_place_of(struct ml_places *places, lua_State *L, int level)
{
    lua_Debug frame;
    if (!find_frame(L, level, &frame))
        return 0;
    unsigned index = cache_index(&frame);
    uint32_t number = places->cache[index].number;
    if (number != 0 && places->cache[index].source == frame.source &&
        places->cache[index].line == frame.currentline &&
        is_same(places->texts[number - 1], &frame))
        return number;
    number = find(places, &frame);
    if (number == 0)
        number = add(places, &frame);
    places->cache[index].source = frame.source;
    places->cache[index].line = frame.currentline;
    places->cache[index].number = number;
    return number;
}

const char *ml_place_text(const struct ml_places *places, uint32_t number)
{
    return number > 0 ? places->texts[number - 1] : "?";
}

void ml_places_release(struct ml_places *places)
{
    for (uint32_t i = 0; i < places->count; i++)
        free(places->texts[i]);
    free(places->texts);
    *places = (struct ml_places){0};
}
