-- What programs for LuaJIT and Lua 5.4 share: times a body and prints nanoseconds per operation.
local REPETITIONS = 5

-- `run(operations)` returns when all it began has ended.
return function(name, now, operations, run)
  local results = {}
  for i = 1, REPETITIONS do
    collectgarbage()
    local start = now()
    run(operations)
    results[i] = (now() - start) * 1e9 / operations
  end
  table.sort(results)
  print(string.format('{"name":"%s","unit":"ns","median":%.2f,"min":%.2f,"repetitions":%d}',
    name, results[(REPETITIONS + 1) / 2], results[1], REPETITIONS))
  io.stdout:flush()
end
