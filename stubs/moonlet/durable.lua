---@meta moonlet.durable

---A run, as its workflow sees it. Each call with a name is remembered under the path of its
---branch, that name, and how many of that name.
---@class moonlet.durable.Context
---@field id string of the run
---@field key string|nil within a step: the same in every attempt and after every crash, to pass on to services that drop what they have seen
---@field attempt integer|nil within a step: 1 the first time
local Context = {}

---Calls functions at the same time, as `map` does: each gets a ctx of its own.
---@param name? string
---@param functions {function}
---@return table # first results, in the order of the functions; `n`
function Context:all(name, functions) end

---Waits for an event that `d:emit` makes known to all; one that is known already is enough.
---@param event string
---@param timeout? number seconds; remembered
---@return any ... # its value; or nil, "timeout", "ETIMEDOUT"
function Context:await(event, timeout) end

---Starts another run and waits for its result. It is part of this one: cancelled with it, and
---started once.
---@param name string of the workflow
---@param input any
---@param opts? table queue, priority, key, delay
---@return any ... # its results; a failure is given as that of a step
function Context:child(name, input, opts) end

---Has fn(ctx) called if the run is cancelled, after its `<close>` variables: it may have steps. Of
---several the last is called first.
---@param fn function
function Context:cleanup(fn) end

---Calls fn(ctx, item) for all items of a list at the same time, each in a branch with a ctx of its
---own. The first failure cancels the others and is raised.
---@param name string
---@param list table
---@param fn function
---@param limit? integer how many at a time
---@return table # first results, in the order of the list; `n`
function Context:map(name, list, fn, limit) end

---The time, in seconds since 1970, by the clock of the database; remembered.
---@return number
function Context:now() end

---As `pairs`, in the same order in every process: numbers, then strings, then false and true.
---@param t table with keys of these kinds
---@return function
function Context:pairs(t) end

---Whether this run takes the changed way: true for runs that come here for the first time, false
---for those that have gone on from here before the change. Remembered.
---@param name string of the change
---@return boolean
function Context:patched(name) end

---Calls functions at the same time; the first that returns is the winner, which is remembered, and
---the others are cancelled.
---@param name? string
---@param functions {function} each gets a ctx of its own
---@return integer # its place in the list
---@return any ... # its results
function Context:race(name, functions) end

---As `math.random`; remembered.
---@param m? integer
---@param n? integer
---@return number
function Context:random(m, n) end

---Receives the next message that was sent to this run with `d:send`.
---@param topic string
---@param timeout? number seconds; remembered: they go on while no process runs
---@return any ... # the message; or nil, "timeout", "ETIMEDOUT"
function Context:receive(topic, timeout) end

---Sleeps, also for days: the time when it ends is remembered, and goes on while no process runs.
---@param name string
---@param seconds number
function Context:sleep(name, seconds) end

---@class moonlet.durable.Context.step.options
---@field retry? any attempts in all, or `{attempts=, backoff={first, most}, factor=, jitter=, on=function(err, code, attempt) end}`; false: one attempt. Without it that of the workflow, or three attempts
---@field timeout? number seconds for each attempt: then it fails with "EDEADLINE"
---@field at_most_once? boolean if the process ends while it runs it does not run again, but returns nil, message, "EINTERRUPTED"
---@field check? boolean other arguments than those remembered end the run with "EDIVERGED"

---Calls fn(...) once and remembers its results: after a crash they come back, and it does not run
---again. It runs at least once: pass `ctx.key` on to services that can drop what they have seen.
---An error, or `nil, message, code` as results, is a failure: it is retried, and the last one is
---remembered and given to the caller as it was.
---@param name string
---@param opts? moonlet.durable.Context.step.options
---@param fn function
---@param ... any its arguments
---@return any ... # its results, as they were written down
---@overload fun(self: moonlet.durable.Context, name: string, fn: function, ...: any): ...
function Context:step(name, opts, fn, ...) end

---Calls fn(tx) in a transaction of the database in which the run itself is kept, `d.db`. What it
---writes there and the record of the step are committed together: exactly once. In SQLite it can
---wait for nothing but `tx`. A failure rolls back, and is retried as that of a step.
---@param name string
---@param opts? table retry
---@param fn function
---@return any ... # its results, as they were written down
---@overload fun(self: moonlet.durable.Context, name: string, fn: function): ...
function Context:transaction(name, opts, fn) end

---A new UUID; remembered.
---@return string
function Context:uuid() end

---A database of durable runs. `<close>` closes it.
---@class moonlet.durable.Durable
---@field db moonlet.sql.Database the database: `moonlet.sqlite` or `moonlet.postgres`
local Durable = {}

---Cancels a run and its children: its task is cancelled, `<close>` runs, then what it gave to
---`ctx:cleanup`. Returns at once.
---@param id string
---@param reason? string
---@return boolean|nil # true; or nil, message, code: "ENOENT", "CLOSED" if the run has ended
---@return string|nil # message
---@return string|nil # code
function Durable:cancel(id, reason) end

---Closes the database. A worker is to be stopped before. Idempotent, never waits.
function Durable:close() end

---Makes an event known to all that wait for it with `ctx:await`, now or later. The first value
---stays.
---@param event string
---@param value any
---@return boolean|nil # true; or nil, message, code: "EEXIST", it is known already
---@return string|nil # message
---@return string|nil # code
function Durable:emit(event, value) end

---Starts a run anew from one of its steps: what was remembered before it is copied.
---@param id string
---@param step string its key, as `get` shows it
---@return moonlet.durable.DurableRun|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Durable:fork(id, step) end

---All about one run: as in `list`, with `input`, `result` (a list) and `steps`: `key kind state
---attempt began ended result message code`, in their order.
---@param id string
---@return table|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Durable:get(id) end

---@class moonlet.durable.Durable.list.options
---@field workflow? string
---@field status? string "queued", "waiting", "running", "done", "failed" or "cancelled"
---@field queue? string
---@field limit? integer
---@field before? integer the `seq` of the last run of the page before

---Lists runs, the newest first.
---@param opts? moonlet.durable.Durable.list.options
---@return {table}|nil # `id seq workflow version queue status due created claimed ended message code` and more; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Durable:list(opts) end

---@class moonlet.durable.Durable.prune.options
---@field status? string "done", "failed" or "cancelled"; without it "done" and "cancelled"
---@field workflow? string
---@field queue? string

---Removes runs that have ended, with their steps and messages; those that failed stay unless
---`status` says so, and children stay as long as their parents. An `id` may then be used again.
---@param seconds number how long ago they ended, at least
---@param opts? moonlet.durable.Durable.prune.options
---@return integer|nil # how many; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Durable:prune(seconds, opts) end

---@class moonlet.durable.Durable.queue.options
---@field concurrency? integer runs at a time, on all workers
---@field per_worker? integer runs at a time on each worker
---@field per_key? integer runs at a time with the same `key`
---@field rate? {number} `{n, s}`: at most n runs begin within s seconds

---Makes a queue known, with its limits; workers of one queue must agree on them. Without limits a
---queue needs no call.
---@param name string
---@param opts? moonlet.durable.Durable.queue.options
function Durable:queue(name, opts) end

---Has a run that failed or was cancelled go on: the last step of each branch runs again if it
---failed.
---@param id string
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Durable:retry(id) end

---@class moonlet.durable.Durable.schedule.options
---@field tz? string time zone, `"Europe/Berlin"`; an error if there is no data for it
---@field catch_up? string what happens to times that have been missed, as no worker was there: "none", "last": one run, "all"
---@field queue? string

---Starts a workflow whenever a schedule says so, as long as any worker that knows it works. Its
---input is `{schedule=, time=}`.
---@param name string of the schedule
---@param text string as crontab(5) writes it: `"30 2 * * mon-fri"`, `"@daily"`
---@param workflow string
---@param opts? moonlet.durable.Durable.schedule.options
function Durable:schedule(name, text, workflow, opts) end

---Sends a message to a run, which gets it with `ctx:receive`.
---@param id string of the run
---@param topic string
---@param value any
---@return boolean|nil # true; or nil, message, code: "ENOENT", "CLOSED" if the run has ended
---@return string|nil # message
---@return string|nil # code
function Durable:send(id, topic, value) end

---@class moonlet.durable.Durable.serve.options
---@field queues? {string} names; without it `"default"` and those made known by `queue`
---@field max? integer runs at a time

---Works: claims runs and has them run, until it is stopped or its task is cancelled.
---@param opts? moonlet.durable.Durable.serve.options
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Durable:serve(opts) end

---@class moonlet.durable.Durable.start.options
---@field id? string of the run
---@field queue? string
---@field delay? number seconds
---@field priority? integer the lowest is first
---@field key? string for the queue's limit `per_key`
---@field dedup? string
---@field tx? moonlet.sql.Transaction starts it if, and only if, this transaction of `d.db` commits

---Starts a run: writes it down, and returns. One with the same `id`, or one with the same `dedup`
---that has not ended, is returned instead.
---@param name string of the workflow
---@param input any a value that can be written down
---@param opts? moonlet.durable.Durable.start.options
---@return moonlet.durable.DurableRun|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Durable:start(name, input, opts) end

---Stops working: claims nothing any more, lets runs end for so many seconds, then gives them back.
---Waits for that.
---@param grace? number seconds
function Durable:stop(grace) end

---@class moonlet.durable.Durable.workflow.options
---@field version? integer
---@field pinned? boolean runs wait for code of the version that began them
---@field retry? any how its steps are retried; see `Context:step`
---@field timeout? number seconds from the first claim, then it is cancelled and fails with "EDEADLINE"
---@field hold? number a run that waits longer than so many seconds leaves memory meanwhile

---Makes a workflow known. Several versions may be known: a run goes on with the one that began
---it; if that is gone, with the newest, unless it is pinned.
---@param name string
---@param opts? moonlet.durable.Durable.workflow.options
---@param fn function called with a Context and the input; its results are those of the run
---@overload fun(self: moonlet.durable.Durable, name: string, fn: function):
function Durable:workflow(name, opts, fn) end

---A run that was started.
---@class moonlet.durable.DurableRun
---@field id string
local DurableRun = {}

---Waits for the run's end, in whatever process it runs.
---@param timeout? number seconds
---@return any ... # its results; or nil, message, code: those that it failed with ("EFAILED" for an error), "ECANCELED", "ETIMEDOUT", "ENOENT"
function DurableRun:result(timeout) end

---Durable tasks: workflows that survive crashes, and go on on another machine.
---
---A workflow is a function whose named steps are remembered in a database. After a crash it is
---called again, and what it has done comes back without running.
---@class moonlet.durable
local durable = {}

---@class moonlet.durable.open.options
---@field lease? number seconds after which a worker that is not heard of has lost its runs
---@field recoveries? integer so often may workers end under a run before it fails with "ECRASHED"
---@field db? table options for `sqlite.open` or `postgres.open`
---@field create? boolean false: tables are neither made nor changed, to look at runs of other programs

---Opens a database of durable runs, and makes its tables if they are missing. Waits.
---@param address string a file for SQLite, or `postgres://...`
---@param opts? moonlet.durable.open.options
---@return moonlet.durable.Durable|nil # or nil, message, code: "EVERSION", the tables are for a newer moonlet; "ENOENT", there are none (with `create = false`)
---@return string|nil # message
---@return string|nil # code
function durable.open(address, opts) end

---A database in memory for specs, with a worker that begins at once. The clock is virtual
---(`moonlet.test`), so that sleeping takes no time; and each run is called again from its beginning
---at each wait and at its end: a workflow that is not deterministic fails with "EDIVERGED".
---`<close>` ends it, and brings the real clock back.
---@param opts? table as of `open`
---@return moonlet.durable.Durable
function durable.test(opts) end

return durable
