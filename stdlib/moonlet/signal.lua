--- Signals of the process. A signal that is listened to does nothing by default any more; when the
-- last listener is closed, it does what it did before.
-- @module moonlet.signal

local setmetatable, tostring = setmetatable, tostring

local argument = require "moonlet.argument"
local core = require "moonlet.signal.core"
-- Errors and tracebacks name its functions after this module.
package.loaded["moonlet.signal.core"] = nil
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local signal = { open = core.open }

--- What `signal.on` returns. `<close>` closes it.
-- @object Handler
local Handler = {}
Handler.__index = Handler
Handler.__name = "signal.handler"

-- Calls fn in a task of its own for each signal, until the listener is closed. Such a task is not
-- joined, so that its error is reported as that of any task.
local function serve(listener, fn)
  local _ <close> = listener
  local ended = sync.event()
  local function note_end() ended:set() end
  local name, value = listener:wait()
  while name do
    ended:clear()
    task.spawn({ name = "signal " .. name }, fn, name, value):on_exit(note_end)
    ended:wait()
    name, value = listener:wait()
  end
end

--- Calls a function for each signal of that name, in a task of its own, one after the other: a
-- signal that comes while it runs calls it once more. An error in it is reported, as in any task.
-- Does not keep the program alive. Never waits.
-- @function on
-- @tparam string name as for signal.open
-- @tparam function fn is called with the name and the value of the signal
-- @treturn Handler or nil, message, code
function signal.on(name, fn)
  local refusal = core.refusal(name)
  argument.check(not refusal, 1, "on", refusal)
  argument.callable(fn, 2, "on")
  local listener, message, code = core.listen(name)
  if not listener then return nil, message, code end
  task.spawn({ name = "signal.on " .. name, daemon = true }, serve, listener, fn)
  return setmetatable({ listener = listener, name = name }, Handler)
end

--- Ends it; a call that runs goes on. Idempotent, never waits.
function Handler:close()
  argument.self(self, Handler, "close")
  return self.listener:close()
end

Handler.__close = Handler.close

function Handler:__tostring()
  return "signal.on" .. tostring(self.listener):match("^signal.listener(.*)")
end

return signal
