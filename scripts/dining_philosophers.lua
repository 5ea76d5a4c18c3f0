-- Philosophers around a table, a fork between each two, and two forks needed to eat.
--
--     moonlet scripts/dining_philosophers.lua [-g] [PHILOSOPHERS] [MEALS]        (5 10)
--
-- Each takes the fork with the lower number first, so that there is always one who can eat. With -g
-- they are greedy instead: all take the fork on their left at the same time, and moonlet tells of
-- the deadlock (exit status 70). Prints how long each waited for forks, and how many ate at once.
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local THINKS, EATS = 0.002, 0.001 -- seconds, at most

local is_greedy = arg[1] == "-g"
if is_greedy then table.remove(arg, 1) end
local count = math.tointeger(tonumber(arg[1] or 5))
local meals = math.tointeger(tonumber(arg[2] or 10))
if #arg > 2 or not (count and count >= 2 and meals and meals >= 1) then
  io.stderr:write("usage: moonlet dining_philosophers.lua [-g] [PHILOSOPHERS] [MEALS]\n")
  os.exit(1)
end

local forks, is_eating = {}, {}
for i = 1, count do forks[i] = sync.mutex() end

local function neighbours(i) return (i - 2) % count + 1, i % count + 1 end

local eating, most_eating = 0, 0

local function eat(i)
  local left, right = neighbours(i)
  assert(not is_eating[left] and not is_eating[right], "a fork is in two hands")
  is_eating[i], eating = true, eating + 1
  most_eating = math.max(most_eating, eating)
  task.sleep(math.random() * EATS)
  is_eating[i], eating = false, eating - 1
end

-- Takes both forks, eats, and puts them back, whatever happens. Returns how long it waited.
local function dine(i)
  local first, second = i, i % count + 1
  if not is_greedy and first > second then first, second = second, first end
  local start = task.now()
  local _ <close> = forks[first]:lock()
  if is_greedy then task.sleep(THINKS) end -- by now each has one
  local _ <close> = forks[second]:lock()
  local waited = task.now() - start
  eat(i)
  return waited
end

local function live(i)
  local total, longest = 0, 0
  for _ = 1, meals do
    if not is_greedy then task.sleep(math.random() * THINKS) end
    local waited = dine(i)
    total, longest = total + waited, math.max(longest, waited)
  end
  return total, longest
end

local philosophers = {}
for i = 1, count do philosophers[i] = task.spawn({name = "philosopher " .. i}, live, i) end

print(string.format("%11s %7s %10s %12s", "philosopher", "meals", "waited ms", "longest wait"))
for i, philosopher in ipairs(philosophers) do
  local _, total, longest = assert(philosopher:join())
  print(string.format("%11d %7d %10.1f %12.1f", i, meals, total * 1000, longest * 1000))
end
print(string.format("%d meals, at most %d at once", count * meals, most_eating))
