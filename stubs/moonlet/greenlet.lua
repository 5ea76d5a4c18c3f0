---@meta moonlet.greenlet

---A greenlet.
---@class moonlet.greenlet.Greenlet
---@field parent moonlet.greenlet.Greenlet goes on when it dies; can be set, to a greenlet of the same task, without a cycle
---@field dead boolean it has ended
---@field started boolean it has begun
local Greenlet = {}

---Goes on with the greenlet. The first time its function is called with the values; later its own
---pending call of `switch` returns them. A dead one stands for its nearest living ancestor. The switch
---itself lets no other task run.
---@param ... any any values
---@return any ... # the values of the switch back to this greenlet, or the results of a child that ended
function Greenlet:switch(...) end

---Goes on with the greenlet, where an error is raised. One that has not begun dies at once, and the
---error goes to its parent, as for one that is dead.
---@param err? any GreenletExit without
function Greenlet:throw(err) end

---Greenlets: coroutines that switch to each other by name, as in Python's greenlet, case by case.
---
---A greenlet belongs to one task, which is its root.
---
---A suspended greenlet without references dies by GreenletExit, as in Python: in its own task, as a
---child of the greenlet that runs there, which goes on when it is dead; an error is a warning
---(`warn`). Python notices at once that the last reference is gone. Here the collector has to find
---out, and a switch cannot leave a finalizer: so it dies in the next call of `collectgarbage`, of this
---module, of `task.sleep` or `task.yield` that its task makes outside of finalizers. If the task ends
---before, it dies in a task of its own, named "greenlet exit", whose root is its parent then; Python
---never runs it again. If its task was dropped at the end of the program, so is the greenlet.
---@class moonlet.greenlet
local greenlet = {}

---Raised in a greenlet by throw() without an error: ends it silently, and its parent goes on with it
---as the result.
greenlet.GreenletExit = {}

---Returns the running greenlet.
---@return moonlet.greenlet.Greenlet # the task's root outside of all others
function greenlet.current() end

---Returns the trace function.
---@return any ... # the trace function, or nil
function greenlet.gettrace() end

---Makes a greenlet that will call fn; it begins with the first switch to it.
---@param fn function
---@param parent? moonlet.greenlet.Greenlet goes on when it dies; the caller without
---@return moonlet.greenlet.Greenlet
function greenlet.new(fn, parent) end

---Sets a trace function: from now on each switch calls fn(event, from, to), in the greenlet that was
---switched to; event is "switch" or "throw". If it raises an error, it is removed, and the error goes
---on there.
---@param fn function|nil nil: none
---@return any ... # the previous one, or nil
function greenlet.settrace(fn) end

return greenlet
