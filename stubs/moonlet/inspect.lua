---@meta moonlet.inspect

---A view inside the running program: its tasks, metrics, profiles and traces.
---@class moonlet.inspect
local inspect = {}

---Finds out where the program spends its time: waits for so many seconds while other tasks run, and
---returns their profile. The calling task can be cancelled meanwhile. One profile can be taken at a time;
---code that waits is not allowed where this is called in a finalizer or `task.no_switch`.
---
---Options:
---
---- `mode`: "cpu" (the default) counts the time in which this thread computes. "wall" also counts what all tasks
---wait for: each task gets every second that passes;
---- `format`: "table" (the default); "svg", a flame graph that a browser shows; "folded", lines for flamegraph.pl;
---"speedscope", for speedscope.app; "pprof", for `go tool pprof`, which needs zlib;
---- `by_task`: the outermost frame of each stack is the name of its task, or the line that spawned it;
---- `lines`: each line of a function is a frame of its own;
---- `hz`: samples for each second of CPU time, 1 to 1000 (100);
---- `title`: of the flame graph.
---
---As a table: `samples`, `seconds` and `hz` of the whole, and the list `stacks`, the heaviest first, of tables with
---`seconds`, `samples` and `stack`, a list of names from the outermost call to the innermost.
---@param seconds number
---@param options? table
---@return table|string
function inspect.profile(seconds, options) end

return inspect
