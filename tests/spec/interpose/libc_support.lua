--- What the specs of intercepted calls share: tests/modules/libc.c, descriptors that close with their test, and calls
-- that wait while another task is seen to run.
-- Loaded with dofile("tests/spec/interpose/libc_support.lua").

local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"

local libc_support = {}

package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
local libc = require "libc"

--- The module libc; the first lines of a script for support.run have it, too.
libc_support.libc = libc
libc_support.prelude = [[
  package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath
  local libc, task = require "libc", require "moonlet.task"
]]

--- A short time, in seconds, for calls that end when it is over.
libc_support.SOON = 0.02

--- More bytes than a pipe or a socket holds.
libc_support.BIG = ("0123456789abcdef"):rep(65536)

--- A list of descriptors that are closed with the variable it is in.
function libc_support.closing(...)
  return setmetatable({ ... }, { __close = function(fds)
    for _, fd in ipairs(fds) do libc.close(fd) end
  end })
end

--- The two ends of a pipe, for reading and for writing, closed in the same way.
function libc_support.pipe() return libc_support.closing(libc.pipe()) end

--- The name of a new FIFO, to be removed by the caller.
function libc_support.fifo()
  local name = os.tmpname()
  os.remove(name)
  assert(os.execute("mkfifo " .. name))
  return name
end

local ENOUGH = 3 -- rounds of another task that show that one waits: when it blocks the thread there is one
local rounds = 0 -- of the task that looks on in beside()

--- Runs fn in a task and fails unless another one runs meanwhile.
-- @return its results
function libc_support.beside(fn, ...)
  local start, waiting = rounds, task.spawn(fn, ...)
  while waiting:status() ~= "done" and waiting:status() ~= "failed" do
    rounds = rounds + 1
    if rounds - start < ENOUGH then task.yield() else task.sleep(0.002) end
  end
  if rounds - start < ENOUGH then error("nobody else ran meanwhile", 2) end
  return support.finish(waiting)
end

--- Fails unless fn(1) to fn(10), each in a task of its own, give their numbers, and not one after the other. Each may
-- take 0.2 s.
function libc_support.ten_at_once(fn)
  local start, tasks = task.now(), {}
  for i = 1, 10 do tasks[i] = task.spawn(fn, i) end
  for i = 1, 10 do assert(i == select(2, assert(tasks[i]:join()))) end
  assert(task.now() - start < 1 + support.patience)
end

--- Waits until what beside() runs has been seen to wait, from now on.
function libc_support.let_wait()
  local start = rounds
  support.eventually(function() return rounds - start >= ENOUGH end)
end

--- Calls fn in a task of its own, once what beside() runs next has been seen to wait.
function libc_support.later(fn, ...)
  return task.spawn(function(...)
    libc_support.let_wait()
    fn(...)
  end, ...)
end

--- A shell command that begins once what beside() runs next has been seen to wait.
function libc_support.command_later(command)
  local name = libc_support.fifo()
  libc_support.later(function()
    io.open(name, "w"):close()
    os.remove(name)
  end)
  return ("cat %s; %s"):format(name, command)
end

return libc_support
