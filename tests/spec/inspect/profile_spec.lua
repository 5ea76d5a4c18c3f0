-- Profiles tell where the time goes. Shares are compared with generous bounds: other programs run beside the tests.

local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local inspect = require "moonlet.inspect"
local profile = require "moonlet.inspect.profile"
local it = support.limited(it)

-- Computes for so many seconds of CPU time.
local function burn(seconds)
  local stop, x = os.clock() + seconds, 0
  while os.clock() < stop do
    for i = 1, 1000 do x = x + i end
  end
  return x
end

-- The profile of fn(), which never waits for the clock.
local function profile_of(fn, options)
  assert(profile.start(options))
  local ok, message = pcall(fn)
  local measured = profile.stop()
  assert(ok, message)
  return profile.render(measured, "table")
end

-- The share of the time in which some frame of the stack has that text in it.
local function share(result, text)
  local all, some = 0, 0
  for _, entry in ipairs(result.stacks) do
    all = all + entry.seconds
    if table.concat(entry.stack, "\0"):find(text, 1, true) then some = some + entry.seconds end
  end
  return all > 0 and some / all or 0
end

local function assert_share(expected, result, text)
  local measured = share(result, text)
  assert(math.abs(measured - expected) < 0.13, ("%s: %.2f, not %.2f"):format(text, measured, expected))
end

describe("a profile of CPU time", function()
  it("has each function's share", function()
    local function heavy() burn(0.03) end
    local function light() burn(0.01) end
    local result = profile_of(function()
      for _ = 1, 25 do
        heavy()
        light()
      end
    end)
    assert(result.samples >= 50, result.samples)
    assert_share(0.75, result, "heavy")
    assert_share(0.25, result, "light")
    assert_share(1, result, "burn")
  end)

  it("is taken once at a time", function()
    assert(profile.start())
    support.is_failure("EALREADY", nil, profile.start())
    local ok, message = pcall(inspect.profile, 0.01)
    assert(profile.stop())
    assert.is_nil(profile.stop())
    assert.is_false(ok)
    assert.matches("being taken already", message)
  end)
end)
