--- Odd arguments, odd states, odd files: what a task sees of libc's calls is what libc does, to the letter, errno too
-- when nothing failed.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local patch = require "moonlet.patch"
local task = require "moonlet.task"
dofile "tests/spec/interpose/libc_support.lua"

-- What differs, each with its place among the results.
local function differences(expected, seen)
  local list, next_seen = {}, seen:gmatch "%g+"
  for word in expected:gmatch "%g+" do
    local other = next_seen()
    if word ~= other then list[#list + 1] = ("libc %s, a task %s"):format(word, other) end
  end
  return list
end

-- A signal that comes while another task runs is not seen by those that wait.
local alone = { select_interrupted = true }

-- Plays the scene as libc does it, and then in a task beside another, unless it is to be alone, and compares what was
-- seen.
local function compare(scene, is_alone)
  patch.disable()
  local expected = scene()
  patch.enable()
  local busy = not is_alone and task.spawn({ daemon = true }, function() while true do task.yield() end end)
  local seen = scene()
  if busy then busy:cancel() end
  assert.same({}, differences(expected, seen))
  assert.equal(expected, seen)
end

for _, module in ipairs { "odd_sockets", "odd_files", "odd_others" } do
  describe(module .. ":", function()
    for name, scene in pairs(require(module)) do
      it((name:gsub("_", " ")), function() compare(scene, alone[name]) end)
    end
  end)
end
