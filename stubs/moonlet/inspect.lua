---@meta moonlet.inspect

---A number that only grows: requests, bytes, failures. `inspect.counter` makes it.
---@class moonlet.inspect.Counter
local Counter = {}

---Counts. A number that is negative, infinite or not-a-number is an error. Never waits.
---@param n? number 0 or more
function Counter:add(n) end

---The same as add().
---@param n? number 0 or more
function Counter:inc(n) end

---Removes it from what `metrics` shows: for labels that do not come again, such as a peer that
---has left. The object still counts, unseen; asking for the name and labels again makes a new one.
function Counter:remove() end

---The count so far.
---@return number # an integer while only integers were added and the sum is one
function Counter:value() end

---A number that goes up and down: a length, a temperature, requests under way. `inspect.gauge` makes
---it.
---@class moonlet.inspect.Gauge
local Gauge = {}

---Adds to the value. Never waits.
---@param n? number may be negative
function Gauge:add(n) end

---Subtracts from the value. Never waits.
---@param n? number
function Gauge:dec(n) end

---The same as add().
---@param n? number
function Gauge:inc(n) end

---Removes it: see `Counter:remove`.
function Gauge:remove() end

---Sets the value, which may also be infinite or not-a-number. Never waits.
---@param value number
function Gauge:set(value) end

---From now on the value is what a function returns, called each time that the value is asked for:
---`inspect.gauge("jobs_waiting"):set_function(function() return #jobs end)`. The function may not
---wait. With nil the value is set by hand again.
---@param fn? function returns a number
function Gauge:set_function(fn) end

---The value; of a gauge with a function what that returns.
---@return number
function Gauge:value() end

---How often a measured value lay in which range: durations, sizes. `inspect.histogram` makes it.
---@class moonlet.inspect.Histogram
local Histogram = {}

---Counts a value. One that is infinite or not-a-number is an error. Never waits.
---@param value number
function Histogram:observe(value) end

---The value below which this share of the observed ones lies, as near as the buckets tell: it is
---interpolated inside one bucket, as Prometheus does. A value above the last bound counts as that
---bound.
---@param q number from 0 to 1; 0.99: the value that 99 % do not exceed
---@return number|nil # nil: nothing was observed
function Histogram:quantile(q) end

---Removes it: see `Counter:remove`.
function Histogram:remove() end

---Calls a function and observes how long it took, in seconds, also if it fails or is cancelled.
---@param fn function
---@param ... any its arguments
---@return any ... # what it returned
function Histogram:time(fn, ...) end

---How many values were observed, and their sum.
---@return integer # count
---@return number # sum
function Histogram:value() end

---A view inside the running program: its tasks, metrics, profiles and traces.
---@class moonlet.inspect
local inspect = {}

---@class moonlet.inspect.counter.options
---@field help? string what is counted, for people
---@field unit? string what a 1 is, such as "bytes"; the name must have it at its end
---@field limit? integer combinations of labels; beyond it all are counted together, as "other", and a warning says so once

---A counter of the program's: the same name with the same labels gives the same object. Keep it,
---rather than ask for it each time. Another kind of metric of that name, or other names of labels
---than at the first call, are an error.
---@param name string letters, digits, "_" and ":"; by custom it ends with the unit and "_total"
---@param labels? {[string]=string} names and values; values may be numbers and booleans, too
---@param options? moonlet.inspect.counter.options
---@return moonlet.inspect.Counter
function inspect.counter(name, labels, options) end

---A gauge of the program's; see `counter`.
---@param name string
---@param labels? {[string]=string}
---@param options? table `help`, `unit`, `limit`: see `counter`
---@return moonlet.inspect.Gauge
function inspect.gauge(name, labels, options) end

---@class moonlet.inspect.histogram.options
---@field buckets? number[] the upper bounds of the ranges, ascending; without it those for durations in seconds, from 0.005 to 10

---A histogram of the program's; see `counter`.
---@param name string
---@param labels? {[string]=string}
---@param options? moonlet.inspect.histogram.options `help`, `unit`, `limit`: see `counter`
---@return moonlet.inspect.Histogram
function inspect.histogram(name, labels, options) end

---All metrics, those of the program and those of the runtime, at this moment. Never waits.
---@param format? string `"prometheus"`: the text format, version 0.0.4; `"openmetrics"`: that of OpenMetrics 1.0; `"json"`: the table as a text, numbers that JSON cannot say as strings
---@return table|string # without a format a table: name -> `type`, `help`, `unit`, `series`, a list of tables with `labels` and `value`. A histogram has `bounds`, and in its series `count`, `sum` and `buckets`, for each bound how many values do not exceed it, and behind them all
function inspect.metrics(format) end

return inspect
