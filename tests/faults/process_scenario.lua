-- Children, for tests/faults/sweep.lua: whatever call fails, each step either works or says why, and at the end no
-- process and no descriptor is left. Exit status 3: something is.

local process = require "moonlet.process"
local task = require "moonlet.task"
local test = require "moonlet.test"

local PATIENCE = 20 -- seconds for what ends later by itself

local step = dofile "tests/faults/step.lua" {}

local function everything()
  step("run", function() return process.run { "cat", input = "text" } end)
  step("pipes", function()
    local p <close>, message, code = process.spawn { "cat", stdin = "pipe", stdout = "pipe", stderr = "null" }
    if not p then return nil, message, code end
    p.stdin:write "line\n"
    p.stdin:close()
    p.stdout:read_all()
    return p:wait()
  end)
  step("terminal", function()
    local p <close>, message, code = process.spawn { "echo", "hi", pty = {} }
    if not p then return nil, message, code end
    p.pty:read_all()
    return p:wait()
  end)
  step("end", function()
    local p <close>, message, code = process.spawn { "sleep", "1000" }
    if not p then return nil, message, code end
    p:close()
    return p:wait()
  end)
  step("user", function() return process.run { "true", user = "root" } end)
  step("failure", function() return process.run { "/no/such" } end)
end

local left = test.leaks()
everything()
dofile "tests/faults/end.lua"(left, PATIENCE) -- children that were asked to end need a moment
