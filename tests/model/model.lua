-- Runs random concurrent programs against a sequential model, and checks that nothing is lost, doubled or late.
--
--     moonlet tests/model/model.lua [--steps N] [--seconds S] [--seed N] [--programs N] [--trace]
--
-- --steps: calls to make in all (100000), --seconds: how long instead, --programs: how many programs instead,
-- --seed: of the first program (from the clock), each further one has the next. A failure prints the command
-- that repeats it; --trace prints every call. Exit status: 1 after a failure.

local directory = arg[0]:match "^(.*/)" or ""
package.path = directory .. "?.lua;" .. package.path

local task = require "moonlet.task"
local test = require "moonlet.test"
local program = require "program"

local function usage()
  io.stderr:write("usage: moonlet model.lua [--steps N] [--seconds S] [--seed N] [--programs N] [--trace]\n")
  os.exit(1)
end

local function read_arguments()
  local options, i = {}, 1
  while arg[i] do
    local name = arg[i]:match "^%-%-(%l+)$"
    if name == "trace" then
      options.trace = true
    elseif name == "steps" or name == "seconds" or name == "seed" or name == "programs" then
      i = i + 1
      options[name] = math.tointeger(tonumber(arg[i])) or usage()
    else
      usage()
    end
    i = i + 1
  end
  return options
end

local options = read_arguments()
local first_seed = options.seed or os.time()
local seed = first_seed

function program.on_failure(text)
  io.stdout:flush()
  io.stderr:write("the model test failed: ", text, "\nrepeat it: ", arg[-1] or "moonlet", " ", arg[0],
    " --seed ", seed, " --programs 1 --trace\n")
  os.exit(1)
end

local function is_enough(steps, programs, seconds)
  if options.programs then return programs >= options.programs end
  if options.seconds then return seconds >= options.seconds end
  return steps >= (options.steps or 100000)
end

program.is_traced = options.trace
local leaks = test.leaks()
local clock <close> = test.virtual_clock()
local start, steps, programs = os.clock(), 0, 0
repeat
  steps, programs = steps + program.run(seed), programs + 1
  seed = seed + 1
  if #task.list() > 1 then program.on_failure "tasks were left behind" end
until is_enough(steps, programs, os.clock() - start)
for _, left in ipairs(leaks()) do program.on_failure("left behind: " .. left) end
print(("%d calls in %d programs, seeds %d to %d, %.1f s"):format(steps, programs, first_seed, seed - 1,
  os.clock() - start))
