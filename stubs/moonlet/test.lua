---@meta moonlet.test

---For tests of concurrent programs: no sleeping for luck, nothing left behind.
---@class moonlet.test
local test = {}

---Remembers the present tasks and descriptors.
---@return function # that returns a list of those that have been added since: texts that name tasks, and descriptors with their kind ("descriptor 7: socket 127.0.0.1:80 <- 127.0.0.1:999", "descriptor 8: file /tmp/a"); an empty list when nothing was left behind
function test.leaks() end

---From now on every task lets others run after a random number of its instructions, as if it were
---preempted there: a spec finds what preemption breaks. The seed reproduces the numbers. moonlet's
---own modules are left out, and all places where preemption is postponed.
---@param seed integer|nil nil or 0: not any more
---@param mean? integer how many instructions on average, 1 to 1000000
---@return table # closes to no such switches: `local _ <close> = test.preempt(7)`
function test.preempt(seed, mean) end

---From now on the ready queue is in a random order that the seed reproduces.
---@param seed integer|nil nil: in order again
function test.shuffle(seed) end

---From now on the clock stands still, and jumps to the next deadline whenever every task waits and
---no descriptor is ready.
---@param on? boolean false: back to the real clock
---@return table # closes back to the real clock: `local _ <close> = test.virtual_clock()`
function test.virtual_clock(on) end

---Waits until every other task waits and no descriptor is ready.
function test.wait_idle() end

return test
