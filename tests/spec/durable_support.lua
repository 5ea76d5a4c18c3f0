--- What the specs of durable runs share: databases in files of their own, and workers in processes of their own.

local durable = require "moonlet.durable"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"

local M = {}

--- The path of a database that is not there yet; removed when the result is closed.
function M.path()
  local path = os.tmpname()
  os.remove(path)
  return setmetatable({ path = path }, { __close = function()
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

-- A schema of its own on the server.
local function schema(server, number)
  local address = ("postgres://tester@127.0.0.1:%d/postgres"):format(server.port)
  local db <close> = assert(require("moonlet.postgres").open(address))
  assert(db:execute("CREATE SCHEMA place" .. number))
  return setmetatable({ path = address .. "?options=-csearch_path%3Dplace" .. number, server = server },
    { __close = function() end })
end

--- Describes the same on SQLite and on PostgreSQL, on a server of the description's own.
-- @tparam table busted the `_ENV` of the spec: describe, setup, teardown
-- @tparam string title
-- @tparam function body body(place, engine): place() is a database that is not there yet, as `path` gives it, on
-- PostgreSQL with `server`
function M.on_both(busted, title, body)
  busted.describe(title .. ", on SQLite,", function() body(M.path, "SQLite") end)
  busted.describe(title .. ", on PostgreSQL,", function()
    local postgres_server, server, count = dofile "tests/spec/postgres_server.lua", nil, 0
    busted.setup(function()
      server = postgres_server.new()
      server:start(function()
        local db <close> = assert(require("moonlet.postgres").open(("postgres://tester@127.0.0.1:%d/postgres"):format(
          server.port)))
        return db:value "SELECT 1"
      end)
    end)
    busted.teardown(function() server:remove() end)
    body(function()
      count = count + 1
      return schema(server, count)
    end, "PostgreSQL")
  end)
end

--- Waits for a file to hold a text.
function M.wait_for_text(path, text)
  return support.eventually(function()
    local content = support.read_file(path)
    return content and content:find(text, 1, true) and content
  end)
end

return M
