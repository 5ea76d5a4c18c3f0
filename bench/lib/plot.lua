--- The plot that bench/run.lua and bench/plot.lua make of its results.
local bars = require "bars"
local comparison = require "comparison"

local plot = {}

-- Where and when, as far as the results say.
local function conditions(results)
  local machine, words = results.machine or {}, {}
  if results.date then words[#words + 1] = tostring(results.date):match("^[^T]*") end
  for _, name in ipairs {"cpu", "kernel", "versions"} do
    if machine[name] then words[#words + 1] = tostring(machine[name]) end
  end
  if results.quick then words[#words + 1] = "one short round" end
  return table.concat(words, ", ")
end

--- @tparam table results as bench/run.lua writes them
-- @treturn ?string an SVG picture; nil if there are no figures for any part of it
function plot.svg(results)
  local panels = comparison.panels(results)
  if #panels == 0 then return nil end
  return bars.svg {
    title = "moonlet and others, measured in one run",
    subtitle = "Shorter is better. A bar with two cuts is longer than there is room for.",
    note = conditions(results),
    panels = panels,
  }
end

--- Writes the picture, and prints where it is and who is not in it.
-- @tparam table results
-- @tparam string path
function plot.write(results, path)
  local picture = plot.svg(results)
  if not picture then
    print("no plot: none of its benchmarks was run")
    return
  end
  local file = assert(io.open(path, "w"))
  assert(file:write(picture))
  file:close()
  print("plot in " .. path)
  for _, note in ipairs(comparison.absent(results)) do print("  not in it: " .. note) end
end

return plot
