--- Draws the plot of results that bench/run.lua has written.
--
--     build/release/moonlet bench/plot.lua [FIGURES.json [PLOT.svg]]
--
-- Without names: build/bench.json and build/bench.svg. Plain Lua, as bench/run.lua is.
local bench = arg[0]:match("^(.*)/") or "."
package.path = bench .. "/lib/?.lua;" .. package.path

local json = require "json"
local plot = require "plot"

local function fail(message)
  io.stderr:write("plot.lua: ", message, "\n")
  os.exit(1)
end

local figures, picture = arg[1] or "build/bench.json", arg[2] or "build/bench.svg"
local file, reason = io.open(figures)
if not file then fail(reason) end
local text, problem = file:read("a")
file:close()
if not text then fail(figures .. ": " .. problem) end
local results, message = json.decode(text)
if type(results) ~= "table" then fail(figures .. ": " .. (message or "no results")) end
plot.write(results, picture)
