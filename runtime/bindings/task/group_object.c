#include "bindings/task/group_object.h"

#include "bindings/core/object.h"

const char ml_group_type[] = "task.group";

struct ml_group *ml_check_group(lua_State *L)
{
    return ml_check_object(L, 1, ml_group_type);
}
