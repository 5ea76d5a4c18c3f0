-- SQLite: statements of one row, as bench/sqlite.c runs them: a line of JSON for each, nanoseconds
-- a statement, the best of five rounds.
--
--     moonlet bench/sqlite.lua FILE COUNT
package.path = arg[0]:match("^(.*)/") .. "/lib/?.lua;" .. package.path
local measure = require("best").measure
local sqlite = require "moonlet.sqlite"
local task = require "moonlet.task"

local path, count = arg[1], tonumber(arg[2])

local db <close> = assert(sqlite.open(path))
assert(db:script [[DROP TABLE IF EXISTS t; CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, n)]])

local INSERT = "INSERT OR REPLACE INTO t(id, name, n) VALUES(?, ?, ?)"
local SELECT = "SELECT id, name, n FROM t WHERE id = ?"

measure("insert", count, function(calls)
  assert(db:transaction(function(tx)
    for i = 1, calls do assert(tx:execute(INSERT, i, "name", i)) end
    return true
  end))
end)
measure("insert_list", count, function(calls)
  local json, list = require("moonlet.sql").json, {}
  for i = 1, calls do list[i] = i end
  assert(db:execute([[INSERT OR REPLACE INTO t(id, name, n)
    SELECT value, 'name', value FROM json_each(?)]], json(list)))
end)
measure("select", count, function(calls)
  for i = 1, calls do assert(db:row(SELECT, i).n == i) end
end)
measure("select_tasks", count, function(calls)
  task.group(function(group)
    for k = 1, 64 do
      group:spawn(function()
        for i = k, calls, 64 do assert(db:row(SELECT, i).n == i) end
      end)
    end
  end)
end)
measure("rows", count, function(calls)
  local sum = 0
  for row in db:rows "SELECT id, name, n FROM t" do sum = sum + row.n end
  assert(sum == calls * (calls + 1) // 2)
end)
measure("commit", 100, function(calls)
  for i = 1, calls do assert(db:execute(INSERT, i, "name", i)) end
end)
