/*
 * A session of the Debug Adapter Protocol (stdlib/moonlet/inspector/dap.lua) whose client sends the
 * input: the session ends, whatever comes, and each request that can be read has one answer. Those
 * that run code of the program's may have none when the client has gone.
 */
#include "fuzz.h"

#include "base/check.h"
#include "moonlet.h"
#include "vm/moonlet_state.h"

#include <lua.h>

/* Takes the input from the global variable `input`. The engine has an answer to everything. */
static const char session[] =
    "local dap = require 'moonlet.inspector.dap'\n"
    "local wire = require 'moonlet.inspector.dap.wire'\n"
    "local function reader(text)\n"
    "  local at = 1\n"
    "  local stream = {}\n"
    "  function stream:read_until(what, most)\n"
    "    local first, last = text:find(what, at, true)\n"
    "    if (first or #text) - at > most then return nil, 'too long', 'EMSGSIZE' end\n"
    "    if not first then return nil, 'end', 'EEOF' end\n"
    "    local head = text:sub(at, first - 1)\n"
    "    at = last + 1\n"
    "    return head .. '\\r\\n'\n"
    "  end\n"
    "  function stream:read_exactly(count)\n"
    "    local body = text:sub(at, at + count - 1)\n"
    "    at = at + count\n"
    "    return #body == count and body or nil\n"
    "  end\n"
    "  return stream\n"
    "end\n"
    "local written = {}\n"
    "local stream = reader(input)\n"
    "function stream:write(...) written[#written + 1] = table.concat { ... } return true end\n"
    "local engine = setmetatable({ own = function() end, detach = function() end,\n"
    "  attach = function() end }, { __index = function() return function(first)\n"
    "    return type(first) == 'table' and first or {}, 0 end end })\n"
    "dap.serve(stream, { engine = engine, finish = function() end, main = 1 })\n"
    "local runs = { evaluate = true, setVariable = true, setExpression = true,\n"
    "  variables = true, completions = true }\n"
    "local requests, least, most = reader(input), {}, {}\n"
    "local is_over\n"
    "repeat\n"
    "  local request, what, goes_on = wire.read(requests)\n"
    "  local is_request = request and request.type == 'request'\n"
    "    and type(request.command) == 'string' and math.type(request.seq) == 'integer'\n"
    "  if is_request then\n"
    "    local seq = request.seq\n"
    "    most[seq] = (most[seq] or 0) + 1\n"
    "    least[seq] = (least[seq] or 0) + (runs[request.command] and 0 or 1)\n"
    "  end\n"
    "  is_over = is_request and (request.command == 'disconnect' or request.command == 'terminate')\n"
    "until is_over or not (request or what and goes_on)\n"
    "local answers = reader(table.concat(written))\n"
    "for answer in function() return (wire.read(answers)) end do\n"
    "  if answer.type == 'response' then\n"
    "    local seq = answer.request_seq\n"
    "    most[seq], least[seq] = most[seq] - 1, least[seq] - 1\n"
    "  end\n"
    "end\n"
    "for seq, count in pairs(most) do\n"
    "  assert(count >= 0, 'request ' .. seq .. ' has two answers')\n"
    "  assert(least[seq] <= 0, 'request ' .. seq .. ' has no answer')\n"
    "end\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct moonlet *m;
    if (m == NULL)
        m = moonlet_create(NULL);
    ML_CHECK(m != NULL);
    lua_State *L = m->lua.main;
    lua_pushlstring(L, (const char *)data, size);
    lua_setglobal(L, "input");
    ML_CHECK(moonlet_load_string(m, session, "=fuzz") == 0);
    ML_CHECK(moonlet_run(m) == 0);
    return 0;
}
