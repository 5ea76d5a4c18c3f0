#include "bindings/inspect/profile_stack.h"

#include "bindings/core/task_threads.h"
#include "bindings/core/task_view.h"

#include <stdio.h>
#include <string.h>

static void add(struct ml_profile_stack *stack, uint32_t frame)
{
    if (stack->depth < ML_PROFILE_DEPTH)
        stack->frames[stack->depth++] = frame;
}

void ml_profile_stack_mark(struct ml_profile_stack *stack, enum ml_profile_frame_kind kind,
                           const char *name)
{
    add(stack, ml_profile_store_mark(stack->store, kind, name));
}

/* Code given to load() as a string is told by its beginning, as in messages. */
static void set_source(struct ml_profile_frame *frame, const lua_Debug *call)
{
    bool is_file = call->source[0] == '@' || call->source[0] == '=';
    const char *source = is_file ? call->source + 1 : call->short_src;
    snprintf(frame->source, sizeof frame->source, "%s", source);
}

/* The frame of a call, so far without a name. Pushes the function for a moment; Lua leaves a few
 * places above every call's own ones. */
static void describe(struct ml_profile_frame *frame, lua_State *L, lua_Debug *call, bool has_line)
{
    *frame = (struct ml_profile_frame){.kind = ML_PROFILE_C};
    lua_getinfo(L, has_line ? "Slf" : "Sf", call);
    if (*call->what == 'C') {
        frame->function = lua_tocfunction(L, -1);
    } else {
        frame->kind = ML_PROFILE_LUA;
        frame->line = has_line && call->currentline > 0 ? call->currentline : call->linedefined;
        set_source(frame, call);
    }
    lua_pop(L, 1);
}

/* Lua finds a function's name in the code of its caller, which takes longer than all the rest. */
static void set_name(struct ml_profile_frame *frame, lua_State *L, lua_Debug *call)
{
    lua_getinfo(L, "n", call);
    if (call->name != NULL)
        snprintf(frame->name, sizeof frame->name, "%s", call->name);
    else if (*call->what == 'm')
        snprintf(frame->name, sizeof frame->name, "main chunk");
}

static void add_call(struct ml_profile_stack *stack, lua_State *L, lua_Debug *call)
{
    struct ml_profile_frame frame;
    describe(&frame, L, call, stack->has_lines);
    uint32_t index = ml_profile_store_frame(stack->store, &frame);
    if (index == ML_PROFILE_OTHER || stack->store->frames[index].name[0] == '\0') {
        set_name(&frame, L, call);
        index = ml_profile_store_frame(stack->store, &frame);
    }
    add(stack, index);
}

static bool has_level(lua_State *L, int level)
{
    lua_Debug call;
    return lua_getstack(L, level, &call) != 0;
}

/* The number of calls on L, which has more than ML_PROFILE_TOP; INT_MAX: more than are counted. */
static int count_calls(lua_State *L)
{
    int low = ML_PROFILE_TOP, high = ML_PROFILE_DEEPEST;
    if (has_level(L, high))
        return INT32_MAX;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (has_level(L, middle))
            low = middle;
        else
            high = middle;
    }
    return low + 1;
}

/* Adds the calls from `level` on, before `end`. */
static void add_calls(struct ml_profile_stack *stack, lua_State *L, int level, int end)
{
    lua_Debug call;
    for (; level < end && lua_getstack(L, level, &call) != 0; level++)
        add_call(stack, L, &call);
}

static void walk_thread(struct ml_profile_stack *stack, lua_State *L, int level)
{
    int top = level + ML_PROFILE_TOP;
    add_calls(stack, L, level, top);
    if (!has_level(L, top))
        return;
    int count = count_calls(L);
    int bottom = count == INT32_MAX ? count : count - ML_PROFILE_BOTTOM;
    if (bottom > top)
        ml_profile_stack_mark(stack, ML_PROFILE_MARK, "(...)");
    if (count != INT32_MAX)
        add_calls(stack, L, bottom > top ? bottom : top, count);
}

void ml_profile_stack_walk(struct ml_profile_stack *stack, struct ml_lua_task *task,
                           lua_State *innermost, int level)
{
    struct ml_task_threads threads = ml_task_threads(task, innermost);
    for (lua_State *thread; (thread = ml_task_threads_next(&threads)) != NULL; level = 0)
        walk_thread(stack, thread, level);
}

void ml_profile_stack_task(struct ml_profile_stack *stack, struct ml_lua_task *task,
                           lua_State *scratch)
{
    struct ml_lua *lua = ml_lua_of(scratch);
    char text[ML_PROFILE_NAME];
    bool was_known = task->is_known;
    ml_lua_push_task(scratch, task);
    task->is_known = was_known;
    const char *name = ml_lua_push_task_name(scratch, -1);
    if (name == NULL && task == lua->tasks.main)
        name = "main";
    if (name == NULL) {
        snprintf(text, sizeof text, "task spawned at %s",
                 ml_source_line_text(&lua->source_lines, task->source_line));
        name = text;
    }
    ml_profile_stack_mark(stack, ML_PROFILE_TASK, name);
    lua_pop(scratch, 2);
}
