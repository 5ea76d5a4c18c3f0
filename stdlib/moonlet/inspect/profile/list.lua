-- A profile as a plain table: the heaviest stacks first. Internal.

local sort = table.sort

local labels = require "moonlet.inspect.profile.labels"

local list = {}

local function is_heavier(a, b)
  return a.seconds > b.seconds
end

-- Time for which the tree had no room has no frames.
local function name_stack(stack, names)
  local named = {}
  for depth = 1, #stack do named[depth] = names[stack[depth]] end
  if #stack == 0 then named[1] = "(other)" end
  return named
end

function list.render(measured)
  local names, stacks = labels.all(measured), {}
  for i = 1, #measured.stacks do
    local from = measured.stacks[i]
    stacks[i] = { stack = name_stack(from, names), seconds = from.seconds, samples = from.samples }
  end
  sort(stacks, is_heavier)
  return {
    mode = measured.mode,
    hz = measured.hz,
    seconds = measured.seconds,
    samples = measured.samples,
    stacks = stacks,
  }
end

return list
