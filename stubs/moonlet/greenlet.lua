---@meta moonlet.greenlet

---A greenlet.
---@class moonlet.greenlet.Greenlet
---@field parent moonlet.greenlet.Greenlet who goes on when it dies; can be set, to a greenlet of the same task, without a cycle
---@field dead boolean it has ended
---@field started boolean it has begun
local Greenlet = {}

---Goes on with the greenlet: the first time its function is called with the values, later the call of
---`switch` in which it stands returns them. A dead one stands for its nearest living ancestor.
---The switch itself lets no other task run.
---@param ... any any values
---@return any ... # what somebody switches back with: the values given to this greenlet's own `switch`, or the results of a child that ended
function Greenlet:switch(...) end

---Goes on with the greenlet, where it raises an error. One that has not begun dies at once, and the
---error goes to its parent, as for one that is dead.
---@param err? any GreenletExit without
function Greenlet:throw(err) end

---Greenlets: coroutines that switch to each other by name, as Python's greenlet has them, case by
---case.
---
---Those of a task belong to it alone; the task itself is their root.
---
---One that is suspended and that nobody can switch to any more dies by GreenletExit, as in Python: in
---its own task, as a child of the greenlet that runs there, which goes on when it is dead; an error is
---told with `warn`. Python knows at once that nobody refers to it. Here the collector has to find out,
---and a finalizer cannot be left by a switch: so it dies in the next call of `collectgarbage`, of this
---module, of `task.sleep` or `task.yield` that its task makes outside of finalizers. If the task ends
---before, it dies in a task of its own, named "greenlet exit", whose root is its parent then; Python
---never runs it again. If its task was dropped at the end of the program, so is it.
---@class moonlet.greenlet
local greenlet = {}

---Raised in a greenlet by throw() without an error: ends it silently, and its parent goes on with it
---as the result.
greenlet.GreenletExit = {}

---Tells who runs.
---@return moonlet.greenlet.Greenlet # the one that runs; the task's root outside of all others
function greenlet.current() end

---Tells what settrace() was given.
---@return any ... # the trace function, or nil
function greenlet.gettrace() end

---Makes a greenlet that will call fn; it begins with the first switch to it.
---@param fn function
---@param parent? moonlet.greenlet.Greenlet who goes on when it dies; the caller without
---@return moonlet.greenlet.Greenlet
function greenlet.new(fn, parent) end

---From now on fn(event, from, to) is called after each switch, by the greenlet that was switched to;
---event is "switch" or "throw". When it raises an error, it is removed, and the error goes on there.
---@param fn function|nil nil: no more
---@return any ... # the one before, or nil
function greenlet.settrace(fn) end

return greenlet
