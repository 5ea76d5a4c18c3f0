--- For tests of concurrent programs: no sleeping for luck, nothing left behind.
-- @module moonlet.test

local ipairs, setmetatable, tostring = ipairs, setmetatable, tostring
local math_type = math.type

local argument = require "moonlet.argument"
local core = require "moonlet.test.core"
local task = require "moonlet.task"

local test = {}

--- From now on the clock stands still, and jumps to the next deadline whenever every task waits and
-- no descriptor is ready.
-- @tparam[opt=true] boolean on false: back to the real clock
-- @treturn table closes back to the real clock: `local _ <close> = test.virtual_clock()`
function test.virtual_clock(on)
  core.set_clock(on ~= false)
  return setmetatable({}, { __close = function() core.set_clock(false) end })
end

--- Waits until every other task waits and no descriptor is ready.
-- @function wait_idle
test.wait_idle = core.wait_idle

--- From now on the ready queue is in a random order that the seed reproduces.
-- @tparam ?integer seed nil: in order again
function test.shuffle(seed)
  if seed ~= nil then
    argument.check(math_type(seed) == "integer", 1, "shuffle", "integer expected")
  end
  core.shuffle(seed or 0)
end

--- From now on every task lets others run after a random number of its instructions, as if it were
-- preempted there: a spec finds what preemption breaks. The seed reproduces the numbers. moonlet's
-- own modules are left out, and all places where preemption is postponed.
-- @tparam ?integer seed nil or 0: not any more
-- @tparam[opt=100] integer mean how many instructions on average, 1 to 1000000
-- @treturn table closes to no such switches: `local _ <close> = test.preempt(7)`
function test.preempt(seed, mean)
  if seed ~= nil then
    argument.check(math_type(seed) == "integer", 1, "preempt", "integer expected")
  end
  if mean == nil then mean = 100 end
  argument.check(math_type(mean) == "integer" and mean >= 1 and mean <= 1000000, 2, "preempt",
    "integer from 1 to 1000000 expected")
  core.preempt(seed or 0, mean)
  return setmetatable({}, { __close = function() core.preempt(0, 1) end })
end

local function descriptors()
  local open = {}
  for fd = 0, core.descriptor_limit() - 1 do
    if core.is_open(fd) then open[fd] = true end
  end
  return open
end

--- Remembers the present tasks and descriptors.
-- @treturn function that returns a list of those that have been added since: texts that name tasks,
-- and descriptors with their kind ("descriptor 7: socket 127.0.0.1:80 <- 127.0.0.1:999",
-- "descriptor 8: file /tmp/a"); an empty list when nothing was left behind
function test.leaks()
  local known, open = {}, descriptors()
  for _, t in ipairs(task.list()) do known[t] = true end
  return function()
    local left = {}
    for _, t in ipairs(task.list()) do
      if not known[t] then left[#left + 1] = tostring(t) end
    end
    for fd = 0, core.descriptor_limit() - 1 do
      if not open[fd] and core.is_open(fd) then
        local kind = core.describe(fd):gsub("^%[(.*)%]$", "%1")
        left[#left + 1] = ("descriptor %d: %s"):format(fd, kind)
      end
    end
    return left
  end
end

return test
