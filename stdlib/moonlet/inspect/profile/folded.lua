-- A profile as lines "outermost;...;innermost count" for flamegraph.pl and its kin. Internal.

local concat, sort = table.concat, table.sort
local floor, max = math.floor, math.max

local labels = require "moonlet.inspect.profile.labels"

local folded = {}

-- A semicolon separates frames, and a number at the end of the line is the count.
local function names_of(measured)
  local names = labels.all(measured)
  for i = 1, #names do names[i] = names[i]:gsub(";", ":") end
  return names
end

-- Samples: of a wall profile, as many as would have been taken.
function folded.render(measured)
  local names, lines = names_of(measured), {}
  for i = 1, #measured.stacks do
    local stack = measured.stacks[i]
    local parts = {}
    for depth = 1, #stack do parts[depth] = names[stack[depth]] end
    local count = max(1, floor(stack.seconds * measured.hz + 0.5))
    lines[i] = ("%s %d\n"):format(#parts > 0 and concat(parts, ";") or "(other)", count)
  end
  sort(lines)
  return concat(lines)
end

return folded
