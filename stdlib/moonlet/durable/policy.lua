--- How often a step is tried, and when again.
-- @module moonlet.durable.policy

local error, ipairs, next, type = error, ipairs, next, type
local math_type, random = math.type, math.random
local huge, max, min = math.huge, math.max, math.min

local argument = require "moonlet.argument"

local policy = {}

-- Without any option: three attempts, half a second and a second apart.
local DEFAULT = { attempts = 3, first = 0.5, most = 60, factor = 2, jitter = 0.2 }
local ONCE = { attempts = 1, first = 0, most = 0, factor = 1, jitter = 0 }

local KNOWN = { attempts = true, backoff = true, factor = true, jitter = true, on = true }

local function refuse(text, ...) error(("option 'retry': " .. text):format(...), 0) end

-- Not for NaN, which is not less than anything.
local function is_at_least(value, low)
  return type(value) == "number" and value >= low
end

local function check_number(options, name, low)
  local value = options[name]
  if value ~= nil and not is_at_least(value, low) then
    refuse("'%s' must be a number of at least %d", name, low)
  end
end

local function read_backoff(made, backoff)
  if backoff == nil then return end
  if type(backoff) == "number" then backoff = { backoff, backoff } end
  if type(backoff) ~= "table" or not is_at_least(backoff[1], 0)
    or (backoff[2] ~= nil and not is_at_least(backoff[2], backoff[1])) then
    refuse("'backoff' must be seconds, or {first, most}")
  end
  made.first, made.most = backoff[1], backoff[2] or max(backoff[1], DEFAULT.most)
end

local function read_table(options)
  for key in next, options do
    if not KNOWN[key] then refuse("unknown field '%s'", key) end
  end
  local made = {}
  for name, value in next, DEFAULT do made[name] = value end
  for _, name in ipairs { "factor", "jitter" } do
    check_number(options, name, name == "factor" and 1 or 0)
    made[name] = options[name] or made[name]
  end
  if options.attempts ~= nil then
    if math_type(options.attempts) ~= "integer" and options.attempts ~= huge
      or options.attempts < 1 then
      refuse "'attempts' must be a positive integer or math.huge"
    end
    made.attempts = options.attempts
  end
  if options.on ~= nil and not argument.is_callable(options.on) then
    refuse "'on' must be a function"
  end
  made.on = options.on
  read_backoff(made, options.backoff)
  return made
end

--- Reads the option `retry`: nil is the default, false is never, a number is how many attempts
-- there are in all, a table has `attempts`, `backoff` ({first, most} seconds), `factor`, `jitter`
-- (a part of the pause) and `on` (a function: whether this failure is worth another attempt).
-- Raises.
function policy.read(option, default)
  if option == nil then return default or DEFAULT end
  if option == false then return ONCE end
  if math_type(option) == "integer" and option >= 1 then return read_table { attempts = option } end
  if type(option) ~= "table" then refuse "a table, a number of attempts, or false expected" end
  return read_table(option)
end

--- A step that is to be tried once.
policy.once = ONCE

--- The pause after a failed attempt, in seconds; nil: it was the last.
-- @tparam table rules
-- @tparam integer attempt
-- @tparam table failure value, message, code
function policy.pause(rules, attempt, failure)
  if attempt >= rules.attempts then return nil end
  if rules.on and not rules.on(failure.value, failure.code, attempt) then return nil end
  local pause = min(rules.first * rules.factor ^ (attempt - 1), rules.most)
  return pause * (1 + rules.jitter * (2 * random() - 1))
end

return policy
