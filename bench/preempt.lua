-- Tasks that compute. Prints a line of JSON.
-- Usage: moonlet [--preempt MS] preempt.lua late SECONDS    how late a sleeper wakes beside ten
--        moonlet [--preempt MS] preempt.lua cost ROUNDS     the CPU time of two with a fixed work
local task = require "moonlet.task"

local kind, amount = arg[1], assert(tonumber(arg[2]))
local stop = false
local measure = {}

local function at(list, part) return list[math.max(1, math.ceil(#list * part))] * 1e3 end

function measure.late()
  for _ = 1, 10 do task.spawn(function() while not stop do end end) end
  local late, begin = {}, task.now()
  repeat
    local due = task.now() + 0.001
    task.sleep(0.001)
    late[#late + 1] = task.now() - due
  until task.now() - begin >= amount
  stop = true
  table.sort(late)
  return ('{"median_ms":%.3f,"p99_ms":%.3f,"latest_ms":%.3f}'):format(at(late, 0.5),
    at(late, 0.99), at(late, 1))
end

function measure.cost()
  local function compute()
    local n = 0
    for i = 1, amount do n = (n + i) % 7 end
    return n
  end
  local begin = os.clock()
  task.all { compute, compute }
  return ('{"cpu_s":%.4f}'):format(os.clock() - begin)
end

print(measure[kind]())
os.exit(0)
