--- What a C library's call that does not block costs when moonlet answers it, above libc's own; and
-- LuaSocket's echo beside the native one.
local columns = require "columns"
local json = require "json"
local pingpong = require "pingpong"
local process = require "process"

local libc_calls = {}

local function measure_calls(all, quick)
  local command = {
    "env", "LUA_CPATH=" .. all:c("?.so"), all.settings.moonlet, all:script("libc_calls.lua"),
    quick and "20000" or "200000",
  }
  local output, reason = process.capture(command, {cpu = 0})
  local records, rows = json.decode_lines(output or ""), {}
  for i, record in ipairs(records) do
    rows[i] = {
      record.name, columns.cell(record.left, "%.1f"), columns.cell(record.answered, "%.1f"),
      columns.cell(record.answered - record.left, "%+.1f"),
    }
  end
  columns.print("Calls of C libraries that do not block, ns", {"", "libc", "in a task", "more"},
    rows, reason and {"moonlet: " .. reason} or {})
  return records
end

--- @tparam contestants all
-- @tparam boolean quick
-- @treturn table `calls`, a record for each; `echo`, a record for each number of connections
function libc_calls.run(all, quick)
  local results = {calls = measure_calls(all, quick), echo = {}}
  for i, connections in ipairs {64, 1000} do
    results.echo[i] = pingpong.compare(all, all:luasocket_servers(), {
      title = "Echo of 64 bytes, LuaSocket in tasks, " .. connections .. " connections",
      connections = connections, quick = quick,
    })
  end
  return results
end

return libc_calls
