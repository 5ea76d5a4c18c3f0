---@meta moonlet.channel

---A channel. `#channel` is how many values are buffered. `<close>` closes it.
---@class moonlet.channel.Channel
local Channel = {}

---Returns how many tasks wait.
---@return integer # how many wait to put; negative: how many wait to get
function Channel:balance() end

---Ends the channel: buffered values can still be got, then get() fails; put() fails at once, also in
---tasks that wait in it. Never waits; harmless on a closed channel.
---@param err? any the message of get() and put() from now on, instead of "closed"
function Channel:close(err) end

---Waits for a value.
---@param timeout? number seconds
---@return any ... # the value; or nil, "closed" (or the argument of close()), "CLOSED" once it is closed and empty; or nil, "timeout", "ETIMEDOUT"
function Channel:get(timeout) end

---Hands a value over: waits until a task takes it, or there is room for it.
---@param value any anything but nil
---@param timeout? number seconds
---@return boolean|nil # true; or nil, message, "CLOSED" or "ETIMEDOUT", and no task has or will get the value
---@return string|nil # message
---@return string|nil # code
function Channel:put(value, timeout) end

---Iterates over the values until the channel is closed. Waits as get() does.
---@return fun(): any # an iterator; raises the argument of close()
function Channel:values() end

---Channels: values handed from task to task.
---@class moonlet.channel
local channel = {}

---Makes a channel.
---@param capacity? integer values that it holds; 0: each put meets a get
---@return moonlet.channel.Channel
function channel.new(capacity) end

---Waits for the first of several things that can happen. If several can at once, they take turns.
---Channels between threads are channels, too.
---@param cases table {channel, "get"}, {channel, "put", value}, {queue, "get"}, {future, "get"}, {semaphore, "acquire"}, {event, "wait"}, {task, "join"}, {stream, "readable"}, {listener, "accept"}, {ws, "receive"}, {req, "gone"} (of a server), {process, "wait"}, {listener to signals, "wait"}, {watch, "next"}, with the fields timeout (seconds) and default (any value: does not wait)
---@return any ... # the number of the case and its results: the value, or the values of a future; true; the connection; the results of t:join() or p:wait(); the name of the signal, and its value; the event of a watch; or nil, message, "CLOSED" if it was closed. A stream is readable when a read would not wait, also at its end and after an error. Or nil, "timeout", "ETIMEDOUT". Or "default" and its value.
function channel.select(cases) end

return channel
