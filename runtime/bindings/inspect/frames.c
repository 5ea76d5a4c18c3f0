#include "bindings/inspect/frames.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <string.h>

/* The most names in the table of names, which scripts could fill. */
enum { MOST_NAMES = 20000 };

/* ---- one call after the other ---- */

struct ml_frames ml_frames(const struct ml_lua_task *task, lua_State *innermost, int level)
{
    struct ml_frames frames = {
        .threads = ml_task_threads(task, innermost != NULL ? innermost : task->parked_on),
        .level = level - 1,
        .strand = 1};
    frames.thread = ml_task_threads_next(&frames.threads);
    return frames;
}

/* Under an instruction limit each thread begins with a C function of the runtime's. */
static bool is_bottom_of_ours(lua_State *thread, int level)
{
    lua_Debug frame, below;
    return ml_lua_of(thread)->watch_thread != NULL && level > 0 &&
           !lua_getstack(thread, level + 1, &below) && lua_getstack(thread, level, &frame) &&
           lua_getinfo(thread, "S", &frame) && frame.what[0] == 'C';
}

static bool go_outwards(struct ml_frames *frames)
{
    frames->thread = ml_task_threads_next(&frames->threads);
    frames->level = 0;
    frames->strand++;
    return frames->thread != NULL;
}

bool ml_frames_next(struct ml_frames *frames, lua_Debug *frame)
{
    if (frames->thread == NULL)
        return false;
    frames->level++;
    while (!lua_getstack(frames->thread, frames->level, frame) ||
           is_bottom_of_ours(frames->thread, frames->level))
        if (!go_outwards(frames))
            return false;
    return true;
}

/* ---- names ---- */

/* Stack: a function, its name; both are popped. Of several names the table gets the shortest:
 * "moonlet.task.sleep" and not "moonlet.task.core.sleep". */
static void enter_name(lua_State *L, int names)
{
    lua_pushvalue(L, -2);
    bool is_known = lua_rawget(L, names) == LUA_TSTRING;
    bool is_shorter = !is_known || lua_rawlen(L, -2) < lua_rawlen(L, -1);
    lua_pop(L, 1);
    if (is_shorter)
        lua_rawset(L, names);
    else
        lua_pop(L, 2);
}

/* Stack: a prefix; a module, of which the functions are entered, and which is popped. */
static void enter_functions(lua_State *L, int names, int *count)
{
    int module = lua_gettop(L);
    for (lua_pushnil(L); *count < MOST_NAMES && lua_next(L, module) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_isfunction(L, -1))
            continue;
        lua_pushvalue(L, -1);
        lua_pushvalue(L, module - 1);
        lua_pushvalue(L, -4);
        lua_concat(L, 2);
        enter_name(L, names);
        ++*count;
    }
    lua_settop(L, module - 1);
}

void ml_frames_push_names(lua_State *L)
{
    int count = 0;
    luaL_checkstack(L, 10, NULL);
    lua_newtable(L);
    int names = lua_gettop(L);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    for (lua_pushnil(L); lua_type(L, -2) == LUA_TTABLE && lua_next(L, -2) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_istable(L, -1))
            continue;
        bool is_global = strcmp(lua_tostring(L, -2), LUA_GNAME) == 0;
        lua_pushfstring(L, is_global ? "" : "%s.", lua_tostring(L, -2));
        lua_pushvalue(L, -2);
        enter_functions(L, names, &count);
        lua_pop(L, 1);
    }
    lua_settop(L, names);
}

/* Stack: a function, which is popped. Pushes its name: among the loaded modules', as the call named
 * it, as the C library that has it does; nil: it has none. */
static void push_name(lua_State *L, const lua_Debug *frame, int names)
{
    Dl_info symbol;
    lua_CFunction function = lua_tocfunction(L, -1);
    lua_rawget(L, names);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    if (frame->namewhat[0] != '\0')
        lua_pushstring(L, frame->name);
    else if (function != NULL && dladdr((void *)function, &symbol) != 0 &&
             symbol.dli_sname != NULL && symbol.dli_saddr == (void *)function)
        lua_pushstring(L, symbol.dli_sname);
    else
        lua_pushnil(L);
}

/* ---- as a table ---- */

static void set_line(lua_State *L, const lua_Debug *frame)
{
    if (frame->what[0] != 'C') {
        lua_pushstring(L, frame->short_src);
        lua_setfield(L, -2, "source");
        lua_pushinteger(L, frame->linedefined);
        lua_setfield(L, -2, "defined");
    }
    if (frame->currentline > 0) {
        lua_pushinteger(L, frame->currentline);
        lua_setfield(L, -2, "line");
    }
}

void ml_frames_push_call(lua_State *L, const struct ml_frames *frames, lua_Debug *frame, int names)
{
    lua_State *thread = frames->thread;
    luaL_checkstack(L, 6, NULL);
    luaL_checkstack(thread, 1, NULL);
    lua_createtable(L, 0, 5);
    lua_getinfo(thread, "Slnf", frame);
    lua_xmove(thread, L, 1);
    push_name(L, frame, names);
    lua_setfield(L, -2, "name");
    set_line(L, frame);
    lua_pushstring(L, frame->what);
    lua_setfield(L, -2, "what");
    lua_pushinteger(L, frames->strand);
    lua_setfield(L, -2, "strand");
}

/* Pushes the call that a task which has not begun will make. */
static void push_first_call(lua_State *L, const struct ml_lua_task *task, int names)
{
    lua_Debug frame = {.name = NULL};
    lua_createtable(L, 0, 5);
    luaL_checkstack(task->L, 1, NULL);
    lua_pushvalue(task->L, 1);
    lua_xmove(task->L, L, 1);
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">S", &frame);
    frame.namewhat = "";
    frame.currentline = frame.linedefined;
    push_name(L, &frame, names);
    lua_setfield(L, -2, "name");
    set_line(L, &frame);
    lua_pushstring(L, frame.what);
    lua_setfield(L, -2, "what");
    lua_pushinteger(L, 1);
    lua_setfield(L, -2, "strand");
}

/* ---- of deep stacks the two ends ---- */

/* Calls of one thread: those at the levels `begin` to `end` - 1. */
struct part {
    lua_State *thread;
    int begin, end, strand;
};

/* All that is beyond the innermost calls. */
struct outer {
    struct part last[ML_FRAMES_BOTTOM]; /* of the outermost threads; a ring */
    int parts;                          /* how many there are, with those that are not kept */
    int count;                          /* of the calls */
};

/* The number of calls on the thread, which are `least` at least. Doubles, then halves, since each
 * look takes time for each level. */
static int depth_of(lua_State *thread, int least)
{
    lua_Debug frame;
    int low = least, high = least + 1;
    while (lua_getstack(thread, high, &frame)) {
        low = high;
        high *= 2;
    }
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (lua_getstack(thread, middle, &frame))
            low = middle + 1;
        else
            high = middle;
    }
    return low - is_bottom_of_ours(thread, low - 1);
}

/* `frames` is at the last call that was visited. */
static struct outer outer_of(struct ml_frames frames)
{
    struct outer outer = {.parts = 0};
    bool is_more = frames.thread != NULL;
    for (frames.level++; is_more; is_more = go_outwards(&frames)) {
        struct part *part = &outer.last[outer.parts++ % ML_FRAMES_BOTTOM];
        int depth = depth_of(frames.thread, frames.level);
        *part = (struct part){frames.thread, frames.level, depth, frames.strand};
        if (depth > frames.level)
            outer.count += depth - frames.level;
    }
    return outer;
}

/* Called for each call that is shown, and with frame == NULL where `omitted` are not. */
typedef void visit_call(void *context, const struct ml_frames *frames, lua_Debug *frame,
                        int omitted);

/* Visits the outermost `shown` calls. */
static void visit_last(const struct outer *outer, int shown, visit_call *visit, void *context)
{
    int kept = outer->parts < ML_FRAMES_BOTTOM ? outer->parts : ML_FRAMES_BOTTOM, held = 0;
    for (int i = outer->parts - kept; i < outer->parts; i++)
        held += outer->last[i % ML_FRAMES_BOTTOM].end - outer->last[i % ML_FRAMES_BOTTOM].begin;
    for (int i = outer->parts - kept; i < outer->parts; i++) {
        const struct part *part = &outer->last[i % ML_FRAMES_BOTTOM];
        int skipped = held - shown < part->end - part->begin ? held - shown : 0;
        held -= part->end - part->begin;
        for (int level = part->begin + (skipped > 0 ? skipped : 0);
             held < shown && level < part->end; level++) {
            struct ml_frames frames = {
                .thread = part->thread, .level = level, .strand = part->strand};
            lua_Debug frame;
            if (lua_getstack(part->thread, level, &frame))
                visit(context, &frames, &frame, 0);
        }
    }
}

static void visit_ends(struct ml_frames frames, visit_call *visit, void *context)
{
    lua_Debug frame;
    int count = 0;
    while (count < ML_FRAMES_TOP && ml_frames_next(&frames, &frame)) {
        visit(context, &frames, &frame, 0);
        count++;
    }
    if (count < ML_FRAMES_TOP)
        return;
    struct outer outer = outer_of(frames);
    int shown = outer.count < ML_FRAMES_BOTTOM ? outer.count : ML_FRAMES_BOTTOM;
    if (outer.count > shown)
        visit(context, NULL, NULL, outer.count - shown);
    visit_last(&outer, shown, visit, context);
}

/* ---- the list ---- */

struct list {
    lua_State *L;
    int names;
    lua_Integer count;
};

/* The list is on top of the stack. */
static void add_call(void *context, const struct ml_frames *frames, lua_Debug *frame, int omitted)
{
    struct list *list = context;
    if (frame != NULL) {
        ml_frames_push_call(list->L, frames, frame, list->names);
    } else {
        lua_createtable(list->L, 0, 1);
        lua_pushinteger(list->L, omitted);
        lua_setfield(list->L, -2, "omitted");
    }
    lua_rawseti(list->L, -2, ++list->count);
}

void ml_frames_push(lua_State *L, const struct ml_lua_task *task, struct ml_frames frames,
                    int names)
{
    struct list list = {L, names, 0};
    luaL_checkstack(L, 8, NULL);
    lua_newtable(L);
    if (task->task.state != ML_TASK_NEW) {
        visit_ends(frames, add_call, &list);
    } else if (lua_isfunction(task->L, 1)) {
        push_first_call(L, task, names);
        lua_rawseti(L, -2, 1);
    }
}

/* ---- the number ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001B3);
    return mix(hash, 0);
}

static void add_to_hash(void *context, const struct ml_frames *frames, lua_Debug *frame,
                        int omitted)
{
    uint64_t *hash = context;
    *hash = mix(*hash, (uint64_t)omitted);
    if (frame == NULL)
        return;
    lua_getinfo(frames->thread, "Sln", frame);
    *hash = mix_text(*hash, frame->short_src);
    *hash = mix_text(*hash, frame->name != NULL ? frame->name : "");
    *hash = mix(*hash, (uint64_t)(unsigned)frame->currentline << 32 | (unsigned)frame->linedefined);
    *hash = mix(*hash, (uint64_t)frames->strand);
}

uint64_t ml_frames_hash(const struct ml_lua_task *task, struct ml_frames frames)
{
    uint64_t hash = 0;
    lua_Debug frame;
    if (task->task.state != ML_TASK_NEW) {
        visit_ends(frames, add_to_hash, &hash);
    } else if (lua_isfunction(task->L, 1) && lua_checkstack(task->L, 1)) {
        lua_pushvalue(task->L, 1);
        lua_getinfo(task->L, ">S", &frame);
        hash = mix(mix_text(0, frame.short_src), (unsigned)frame.linedefined);
    }
    return hash;
}
