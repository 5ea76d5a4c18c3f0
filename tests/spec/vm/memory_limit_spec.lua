--- A process with too little address space (ulimit -v): what asks for more than there is fails, and says so.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local name = os.getenv "MOONLET"

-- Under a sanitizer nothing starts with so little.
local function is_limitable()
  local _, status = support.shell("ulimit -v 100000 && exec " .. name .. " -e ''")
  return status == 0
end

-- Runs a program with so many KB of address space; a minute is the end, and status 124.
local function run(kilobytes, source)
  local command, path = support.command(source)
  local output, status = support.shell(("ulimit -v %d && exec timeout -k 5 60 %s"):format(kilobytes, command))
  os.remove(path)
  return output, status
end

describe("with too little memory", function()
  if not is_limitable() then
    pending("the build needs more to start with")
    return
  end

  -- Tasks that could not be put in place were tried again each 10 ms, for ever.
  it("a spawn too many is an error, and all tasks before it run to their end", function()
    for _, kilobytes in ipairs { 30000, 100000, 300000 } do
      local output, status = run(kilobytes, [[
        local task = require "moonlet.task"
        local spawned, ended = 0, 0
        local ok, message = pcall(function()
          for i = 1, 1e6 do
            task.spawn(function() task.sleep(0.01) ended = ended + 1 end)
            spawned = i
          end
        end)
        collectgarbage()
        while ended < spawned do task.sleep(0.01) end
        print(ok, message:match "not enough memory", spawned > 100)
      ]])
      assert.equal("false\tnot enough memory\ttrue\n", output)
      assert.equal(0, status)
    end
  end)

  it("a program whose main chunk fails ends, with a message", function()
    for _, kilobytes in ipairs { 30000, 60000, 120000 } do
      local output, status = run(kilobytes, [[
        local task = require "moonlet.task"
        for i = 1, 1e6 do task.spawn(task.sleep, 0.1) end
      ]])
      assert.equal(1, status)
      assert.matches("not enough memory", output)
    end
  end)

  it("a stack of its own that there is no room for is told", function()
    local output, status = run(150000, [[
      local task = require "moonlet.task"
      local private, count, message, code = nil, 0, nil, nil
      repeat
        private, message, code = task.spawn({ stack = "private" }, task.sleep, 0.05)
        count = count + 1
      until not private
      print(count > 2, message, code)
    ]])
    assert.equal("true\tCannot allocate memory\tENOMEM\n", output)
    assert.equal(0, status)
  end)
end)
