---@meta moonlet.channel

---A channel. `#channel` is how many values are buffered. `<close>` closes it.
---@class moonlet.channel.Channel
local Channel = {}

---Tells who waits.
---@return integer # how many wait to put; negative: how many wait to get
function Channel:balance() end

---Ends the channel: what is buffered can still be got, then get() fails; put() fails at once, also for
---those who wait in it. Never waits; harmless on one that is closed.
---@param err? any given to those who get or put from now on instead of "closed"
function Channel:close(err) end

---Waits for a value.
---@param timeout? number seconds
---@return any ... # the value; or nil, "closed" (or what close() was given), "CLOSED" once it is closed and empty; or nil, "timeout", "ETIMEDOUT"
function Channel:get(timeout) end

---Hands a value over: waits until somebody takes it, or there is room for it.
---@param value any anything but nil
---@param timeout? number seconds
---@return boolean|nil # true; or nil, message, "CLOSED" or "ETIMEDOUT", and nobody has or will get the value
---@return string|nil # message
---@return string|nil # code
function Channel:put(value, timeout) end

---Iterates over the values until the channel is closed. Waits as get() does.
---@return fun(): any # an iterator; raises the error that close() was given
function Channel:values() end

---Channels: values handed from task to task.
---@class moonlet.channel
local channel = {}

---Makes a channel.
---@param capacity? integer values that it holds; 0: each put meets a get
---@return moonlet.channel.Channel
function channel.new(capacity) end

---Waits for the first of several things that can happen; if several can at once, each gets its turn.
---@param cases table {channel, "get"}, {channel, "put", value}, {queue, "get"}, {future, "get"}, {semaphore, "acquire"}, {event, "wait"}, {task, "join"}, {stream, "readable"}, {listener, "accept"}, {ws, "receive"}, {req, "gone"} (of a server), with the fields timeout (seconds) and default (any value: nothing is waited for)
---@return any ... # the number of the case, and what it gave: the value, or the values of a future; true; the connection; what t:join() returns; for what was closed nil, message, "CLOSED". A stream is readable when a read finds something, be it the end or an error. Or nil, "timeout", "ETIMEDOUT". Or "default" and its value.
function channel.select(cases) end

return channel
