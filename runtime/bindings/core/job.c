#include "bindings/core/job.h"

int ml_job_body(lua_State *L)
{
    const struct ml_lua_job *job = lua_touserdata(L, 1);
    lua_remove(L, 1);
    job->run(L);
    return 0;
}

/* As long as the function was not entered it stands below its arguments. */
void ml_job_drop_unbegun(lua_State *L)
{
    if (lua_tocfunction(L, 1) != ml_job_body)
        return;
    const struct ml_lua_job *job = lua_touserdata(L, 2);
    lua_remove(L, 1);
    lua_remove(L, 1);
    job->drop(L);
}
