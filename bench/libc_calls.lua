-- Calls of libc that do not block, made by a C library: answered by moonlet and left to libc, in
-- turn. One line of JSON for each. For bench/suites/libc_calls.lua.
package.path = arg[0]:match("^(.*)/") .. "/lib/?.lua;" .. package.path
local calls = require "libc_calls"
local json = require "json"
local stats = require "stats"
local patch = require "moonlet.patch"

local TIMES, ROUNDS = tonumber(arg[1] or 200000), 11

for i, name in ipairs(calls) do
  local answered, left = {}, {}
  for round = 1, ROUNDS do
    patch.disable()
    left[round] = calls.time(i, TIMES)
    patch.enable()
    answered[round] = calls.time(i, TIMES)
  end
  print(json.encode { name = name, answered = stats.median(answered), left = stats.median(left) })
  io.stdout:flush()
end
