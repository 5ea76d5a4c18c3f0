-- PostgreSQL: queries of one row, as bench/postgres.c runs them: a line of JSON for each,
-- nanoseconds a query, the best of five rounds.
--
--     moonlet bench/postgres.lua CONNINFO COUNT
package.path = arg[0]:match("^(.*)/") .. "/lib/?.lua;" .. package.path
local measure = require("best").measure
local postgres = require "moonlet.postgres"
local task = require "moonlet.task"

local count = tonumber(arg[2])
local TASKS = 100

local db <close> = assert(postgres.open(arg[1], { max = 1 }))
assert(db:script [[SET client_min_messages = warning; DROP TABLE IF EXISTS t;
  CREATE TABLE t(id int PRIMARY KEY, name text, n int)]])

measure("insert", count, function(calls)
  assert(db:script "TRUNCATE t")
  assert(db:transaction(function(tx)
    local insert = tx:prepare "INSERT INTO t VALUES ($1::int, 'name', $1::int)"
    for i = 1, calls do assert(insert:execute(i)) end
    return true
  end))
end)
assert(db:script "ANALYZE t")

local SELECT = "SELECT id, name, n FROM t WHERE id = $1"

measure("select", count, function(calls)
  local select = db:prepare(SELECT)
  for i = 1, calls do assert(select:row(i).n == i) end
end)
measure("rows", count, function(calls)
  local all = db:all "SELECT id, name, n FROM t ORDER BY id"
  for i = 1, calls do assert(all[i].n == i) end
end)

-- A hundred tasks, on a few connections that they share.
local function by_tasks(what, connections)
  local shared <close> = assert(postgres.open(arg[1], { max = connections }))
  local select = shared:prepare(SELECT)
  measure(what, count, function(calls)
    task.group(function(group)
      for k = 1, TASKS do
        group:spawn(function()
          for i = k, calls, TASKS do assert(select:row(i).n == i) end
        end)
      end
    end)
  end)
end

by_tasks("tasks_1", 1)
by_tasks("tasks_4", 4)
by_tasks("tasks_100", 100)
