--- What the specs of durable runs share: databases in files of their own, and workers in processes of their own.

local durable = require "moonlet.durable"
local fs = require "moonlet.fs"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"

local M = {}

-- Whether this process still has a file open; connections are closed by worker threads.
local function is_open(path)
  for _, fd in ipairs(fs.list "/proc/self/fd" or {}) do
    local target = fs.readlink("/proc/self/fd/" .. fd)
    if target and target:find(path, 1, true) == 1 then return true end
  end
  return false
end

--- The path of a database that is not there yet; removed when the result is closed.
function M.path()
  local path = os.tmpname()
  os.remove(path)
  return setmetatable({ path = path }, { __close = function()
    support.eventually(function() return not is_open(path) end)
    for _, suffix in ipairs { "", "-wal", "-shm", ".log" } do os.remove(path .. suffix) end
  end })
end

--- A database that serves in a task of its own, until it is closed.
function M.serve(path, setup, opts, serve_opts)
  local d = assert(durable.open(path, opts))
  if setup then setup(d) end
  local serving = task.spawn({ daemon = true }, d.serve, d, serve_opts)
  return setmetatable({ d = d }, { __close = function()
    d:stop(0)
    assert(serving:join(20))
    d:close()
  end })
end

--- Waits for a file to hold a text.
function M.wait_for_text(path, text)
  return support.eventually(function()
    local content = support.read_file(path)
    return content and content:find(text, 1, true) and content
  end)
end

return M
