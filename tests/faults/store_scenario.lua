-- Shared stores and messages to itself, for tests/faults/sweep.lua: whatever call fails, each step either works or says
-- why, what was stored stays whole, and at the end no descriptor and no task is left. Exit status 3: something is.

local net = require "moonlet.net"
local task = require "moonlet.task"
local test = require "moonlet.test"
local worker = require "moonlet.worker"

local PATIENCE = 20 -- seconds for what ends later by itself

local step = dofile "tests/faults/step.lua" {}

local function use_store()
  local store, message, code = worker.store("faults", { size = 1 << 16 })
  if not store then return nil, message, code end
  local value = { list = { 1, 2, 3 }, text = ("x"):rep(2000) }
  store:set("old", "old")
  step("set", function() return store:set("table", value) end)
  step("get", function()
    local copy = store:get "table"
    assert(copy == nil or #copy.text == 2000 and #copy.list == 3)
  end)
  step("add", function() return store:add("new", ("y"):rep(3000)) end)
  step("incr", function() return store:incr("n", 1.5) end)
  step("cas", function() return store:cas("table", value, { 1 }) end)
  step("keys", function() for _ in store:keys() do end end)
  step("full", function() for i = 1, 40 do store:set("big" .. i, ("z"):rep(3000)) end end)
  step("delete", function() store:delete "n" end)
  assert(store:get "old" == "old")
end

local function use_messages()
  step("send", function() worker.send("all", "t", { 1, 2, { a = ("x"):rep(5000) } }) end)
  step("receive", function() return worker.receive("t", 0.01) end)
  local here <close>, there, code = net.pair()
  if not here then return nil, there, code end
  local other <close> = there
  step("send a descriptor", function() worker.send("all", "fd", { other }) end)
  step("receive a descriptor", function()
    local value, message, reason = worker.receive("fd", 0.01)
    if value and value[1] then value[1]:close() end
    return value, message, reason
  end)
end

local left = test.leaks()
step("store", use_store)
step("messages", use_messages)
dofile "tests/faults/end.lua"(left, PATIENCE)
