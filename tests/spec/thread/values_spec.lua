-- Random values that go to another thread and back, by a call and by a channel: what comes is a copy of the same shape,
-- with the same references shared. VALUES_SEED=n VALUES_RUNS=n for other ones and more.
local json = require "moonlet.json"
local support = dofile "tests/spec/support.lua"
local thread = require "moonlet.thread"
local it = support.limited(it)

local LEAVES <const> = {
  function() return math.random(0) end,
  function() return math.random() * 10.0 ^ math.random(-300, 300) end,
  function() return math.random(0, 1) == 0 end,
  function() return ({ math.huge, -math.huge, 0.0, -0.0, math.maxinteger, math.mininteger })[math.random(6)] end,
  function() return ("\0\xffx"):rep(math.random(0, 300)) end,
  function() return json.null end,
  function() return string.format end,
}

-- A value; `tables`: those that were made before, which may be referred to again.
local function random_value(tables, depth)
  local kind <const> = math.random(10)
  if kind <= 2 and #tables > 0 then return tables[math.random(#tables)] end
  if kind <= 5 or depth == 0 then return LEAVES[math.random(#LEAVES)]() end
  local made <const> = {}
  tables[#tables + 1] = made
  for i = 1, math.random(0, 6) do
    local key = math.random(3) == 1 and random_value(tables, depth - 1) or i + math.random(0, 2)
    if key == nil or key ~= key then key = i end
    made[key] = random_value(tables, depth - 1)
  end
  return made
end

local function describe_leaf(value)
  if value == json.null then return "null" end
  if math.type(value) == "float" then return ("%a"):format(value) end
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

-- Whether b is a copy of a; `pairs_of`: tables of a and their copies, `taken`: the other way. Of keys that are tables
-- only their number is compared, and that those which are also values are the same ones.
local function is_copy(a, b, pairs_of, taken)
  if type(a) ~= "table" or type(b) ~= "table" then
    return math.type(a) == math.type(b) and type(a) == type(b) and describe_leaf(a) == describe_leaf(b)
  end
  if pairs_of[a] or taken[b] then return pairs_of[a] == b and taken[b] == a end
  pairs_of[a], taken[b] = b, a
  local count = 0
  for key, value in pairs(a) do
    count = count + 1
    if type(key) ~= "table" and not is_copy(value, b[key], pairs_of, taken) then return false end
  end
  for key in pairs(b) do
    count = count - 1
    if type(key) == "table" and taken[key] and a[taken[key]] == nil then return false end
  end
  return count == 0
end

describe("values between threads", function()
  it("come as copies of the same shape", function()
    local seed <const> = math.tointeger(os.getenv "VALUES_SEED") or os.time()
    math.randomseed(seed)
    local there <const>, back <const> = thread.channel(4), thread.channel(4)
    local worker <const> = thread.spawn(function(from, to)
      for value in from:values() do to:put(value) end
      to:close()
    end, there, back)
    local pool <close> = thread.pool { size = 1 }
    local function echo(value) return value end
    for run = 1, math.tointeger(os.getenv "VALUES_RUNS") or 300 do
      local value <const> = { random_value({}, 5) }
      there:put(value)
      local by_channel <const> = back:get()
      local by_call <const> = pool:call(echo, value)
      local text <const> = ("VALUES_SEED=%d, value %d"):format(seed, run)
      assert(by_channel ~= value and is_copy(value, by_channel, {}, {}), text)
      assert(by_call ~= value and is_copy(value, by_call, {}, {}), text)
    end
    there:close()
    support.finish(worker)
  end)
end)
