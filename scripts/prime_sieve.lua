-- The first N prime numbers, by a chain of N tasks.
--
--     moonlet scripts/prime_sieve.lua [N]        (1000)
--
-- Each task keeps the first number that it gets, which is a prime, and passes on what that does not
-- divide, through a channel that holds nothing: each number is handed from one task to the next.
-- How much that was is said on standard error.
local channel = require "moonlet.channel"
local task = require "moonlet.task"

local count = math.tointeger(tonumber(arg[1] or 1000))
if #arg > 1 or not count or count < 1 then
  io.stderr:write("usage: moonlet prime_sieve.lua [N]\n")
  os.exit(1)
end

local function generate(numbers)
  for n = 2, math.huge do numbers:put(n) end
end

-- The task of one prime.
local function filter(prime, from, to)
  for n in from:values() do
    if n % prime ~= 0 then to:put(n) end
  end
end

-- Tells each prime to fn, as soon as it is found.
local function sieve(fn)
  task.group(function(group)
    local numbers = channel.new()
    group:spawn(generate, numbers)
    for i = 1, count do
      local prime = numbers:get()
      fn(i, prime)
      local rest = channel.new()
      group:spawn(filter, prime, numbers, rest)
      numbers = rest
    end
    group:cancel() -- they would go on for ever
  end)
end

-- Numbers handed over: each goes as far as the filter of its smallest factor.
local function count_handed_over(primes)
  local total = 0
  for n = 2, primes[#primes] do
    for _, prime in ipairs(primes) do
      total = total + 1
      if n % prime == 0 then break end
    end
  end
  return total
end

local start, primes = task.now(), {}
sieve(function(i, prime)
  primes[i] = prime
  io.write(prime, (i % 10 == 0 or i == count) and "\n" or " ")
end)
local seconds = task.now() - start
io.stderr:write(string.format("%d primes, %d numbers handed over, %.2f s\n", count,
  count_handed_over(primes), seconds))
