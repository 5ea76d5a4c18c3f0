---@meta moonlet.worker

---Messages between programs on many machines, over a Redis server: `worker.bus` returns one. Every
---process that opens the bus is a member. `<close>` leaves it.
---@class moonlet.worker.Bus
---@field id integer of this member: from 1, and never used again
local Bus = {}

---Leaves the bus: what this member has not taken is lost, tasks that wait get nil, "closed",
---"CLOSED". May wait, for the server to be told.
function Bus:close() end

---Lists the members. Waits for the server.
---@return integer[]|nil # their ids, in order; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Bus:members() end

---Iterates over the messages on a topic, waiting for each, until the bus is closed.
---@param topic string
---@return fun(): any,integer # an iterator: the value, and the id of its sender
function Bus:messages(topic) end

---Receives the next message on a topic; several tasks share the messages. May wait.
---@param topic string
---@param timeout? number seconds
---@return any ... # the value, and the id of its sender; or nil, message, code: "ETIMEDOUT", "CLOSED"
function Bus:receive(topic, timeout) end

---Sends a message to a member, or to all. Messages of one task to one member on one topic arrive
---in order, each once or, if that member ends before it has taken it, not at all. Of each topic and
---member 1,024 messages or 1 MiB may wait to be taken; then this waits. Waits for the server.
---@param to integer|string the id of a member; or "all": each of them, this one too
---@param topic string up to 255 bytes
---@param value any not nil: a string, number, boolean, or a table as `worker.store` in Redis takes it
---@return boolean|nil # true once it is queued; or nil, message, code: "EPIPE": the member has ended, "ESRCH": there was none of that id, "ENOSPC", or of the network: then the message may have been queued. For "all": two integers, how many were sent, and how many failed
---@return string|nil # message
---@return string|nil # code
function Bus:send(to, topic, value) end

---A shared store, as `worker.store` returns it. Keys are strings of up to 4,096 bytes; values are
---strings, numbers, booleans, and tables, which are copied as `moonlet.thread` copies them. Each call
---is atomic over all workers. None waits, but for a moment if another worker is taken off its
---processor in the middle of a call.
---
---In Redis a call waits for the server, and any of them may return nil, message and a code of the
---network's or of Redis's. Tables have neither functions nor themselves in them, and take up to 1 MiB.
---@class moonlet.worker.Store
local Store = {}

---@class moonlet.worker.Store.add.options
---@field ttl? number as for set

---Stores a value if there is none yet.
---@param key string
---@param value any
---@param opts? moonlet.worker.Store.add.options
---@return boolean|nil # whether it was stored; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Store:add(key, value, opts) end

---@class moonlet.worker.Store.cas.options
---@field ttl? number as for set; without opts the value keeps its time

---Stores a value in place of another one, if that is still there.
---@param key string
---@param old any the value that must be there; nil: none. Tables are compared by what is in them
---@param new any nil removes the key
---@param opts? moonlet.worker.Store.cas.options
---@return boolean|nil # true; or false and the value that is there; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Store:cas(key, old, new, opts) end

---Removes a key.
---@param key string
---@return boolean # whether it was there
function Store:delete(key) end

---Returns a value.
---@param key string
---@return any ... # the value; nil: there is none
function Store:get(key) end

---@class moonlet.worker.Store.incr.options
---@field ttl? number as for set, for a key that is new; another one keeps its time

---Adds to a number. A key that is not there counts from 0.
---@param key string
---@param n? number what to add; may be negative
---@param opts? moonlet.worker.Store.incr.options
---@return number|nil # the sum; or nil, message, code: "EINVAL" if the value is not a number, "ERANGE" if the sum is too large for an integer, "ENOSPC" if the store is full
---@return string|nil # message
---@return string|nil # code
function Store:incr(key, n, opts) end

---Iterates over keys. Meanwhile all workers may write: a key that is there all the time is met
---exactly once, one that comes or goes once or not at all.
---@param prefix? string of the keys that are wanted
---@return function # an iterator; over Redis it raises a failure { message=, code= }
function Store:keys(prefix) end

---@class moonlet.worker.Store.set.options
---@field ttl? number seconds until the value is gone; without it, it stays

---Stores a value, in place of the one that is there.
---@param key string
---@param value any nil removes the key
---@param opts? moonlet.worker.Store.set.options
---@return boolean|nil # true; or nil, message, code: "ENOSPC" if the store is full
---@return string|nil # message
---@return string|nil # code
function Store:set(key, value, opts) end

---How full the store is.
---@return table # `size`, `used`: bytes that values can take, and do (in Redis: its bound, nil if it has none, and all that it uses); `keys`: how many there are, with those that have expired until their room is needed
function Store:usage() end

---Processes that share what a script listens on. The program's option `workers` runs the script N
---times, under a master that starts, watches and replaces the workers. Outside of a worker the
---module is there, too, so that one script runs both ways.
---
---`worker.id` is the number of this worker, from 1 to `worker.count`, the number of workers when it
---began. `worker.generation` counts from 1, one more after each reload. All three are nil outside
---of a worker.
---@class moonlet.worker
local worker = {}

---@class moonlet.worker.bus.options
---@field redis string|moonlet.redis.Redis a URL as for redis.open, or a client
---@field name? string of 1 to 63 bytes

---Joins a bus: `send`, `receive` and `messages` between programs on many machines, over a Redis
---server (5 or later). Each process that opens the bus of that name is a member, with or without
---workers. It is heard of every 5 s; one that is silent for 15 s has ended for the others. Waits.
---@param opts moonlet.worker.bus.options
---@return moonlet.worker.Bus|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function worker.bus(opts) end

---Iterates over the messages on a topic, waiting for each, without an end.
---@param topic string
---@return fun(): any,integer # an iterator: the value, and the id of its sender
function worker.messages(topic) end

---@class moonlet.worker.metrics.options
---@field sum? boolean counters and histograms are added up over the workers, with what those have counted that are gone or do not answer, up to the last time that they were asked; gauges stay as they are

---The metrics (`moonlet.inspect`) of all workers in the text format of Prometheus: each series
---with the label `worker`, the worker's number; and what the master has added up, also of workers
---that are gone: `moonlet_workers_requests_total`, `moonlet_workers_connections_total`,
---`moonlet_workers_restarts_total`, `moonlet_workers`, `moonlet_workers_generation`. A worker that
---does not answer within a second is left out. Outside of a worker the metrics of this process.
---May wait.
---@param opts? moonlet.worker.metrics.options
---@return string|nil # the text; or nil, message, code: "ECANCELED": the master goes on as a new program
---@return string|nil # message
---@return string|nil # code
function worker.metrics(opts) end

---Tells the master that this worker serves. The first call that accepts connections or receives
---datagrams on a socket that it shares tells it, too. Harmless outside of a worker. Never waits.
function worker.ready() end

---Receives the next message on a topic; several tasks share the messages. May wait.
---@param topic string
---@param timeout? number seconds
---@return any ... # the value, and the id of its sender (nil without workers); or nil, message, "ETIMEDOUT"
function worker.receive(topic, timeout) end

---Reloads the program: a new generation of workers is started; when all of them are ready, the
---present ones drain. May wait, for the end of it.
---@return boolean|nil # true; or nil, message, code: "ECANCELED": the new generation has failed, the message says why, and all is as before; "ENOTCONN": outside of a worker
---@return string|nil # message
---@return string|nil # code
function worker.reload() end

---@class moonlet.worker.run.options
---@field count integer workers, 1 to 1024
---@field script? string the file that they run; without it the one that runs now
---@field args? {string} of the script; without it those of the one that runs now
---@field reuseport? boolean each listener has a queue for each worker
---@field max_requests? integer a worker that has answered about so many is replaced
---@field max_rss? integer the same for bytes in memory
---@field grace? number seconds that a worker has to drain

---Runs workers from a script, as the program's option does: starts the program moonlet as their
---master, and waits for its end. A cancellation stops the workers as SIGTERM does. May wait.
---
---if worker.id then serve() else worker.run { count = 4 } end
---@param opts moonlet.worker.run.options
---@return boolean|nil # true once they were stopped; or nil, message, code: "EEXIT": the program has failed; "EALREADY": called in a worker
---@return string|nil # message
---@return string|nil # code
function worker.run(opts) end

---Sends a message to a worker, or to all. Messages of one sender on one topic arrive in order. Of
---each sender, topic and receiver, 1,024 messages or 1 MiB may wait to be taken; then this waits
---for the receiver, and nobody else does. A worker that ends loses what it has not taken: the next
---`send` of that topic to it says so, once. May wait.
---@param to integer|string the id of a worker: the one that serves there now, which may be this one; or "all": each of them, this one too, and without workers this process
---@param topic string up to 255 bytes
---@param value any not nil; copied as moonlet.thread copies values, but for its channels. A plain stream, a listener, a udp or an io file, alone or as a field of a table, up to 255 of them, goes along as by `stream:send_fd`: the receiver gets an object of its own, and this one stays open
---@return boolean|nil # true once it is queued; or nil, message, code: "EPIPE": the worker has ended, or none is there now; "ESRCH": there is no such place; "ENOTCONN": outside of a worker. For "all": two integers, how many were sent, and how many failed
---@return string|nil # message
---@return string|nil # code
function worker.send(to, topic, value) end

---Tells how the workers are. May wait.
---@return table|nil # pid (of the master), count, generation, uptime, reloading, stopping, tickets (how many keys of TLS sessions there were so far), requests, connections, restarts; workers: a list of id, pid, state ("starting", "ready", "draining"), generation, age, silent (seconds since its last beat), connections, requests, open, memory (bytes), late (seconds by which its last beat was late); sockets: a list of address, kind, sockets; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function worker.status() end

---Has the master stop all workers: they drain, then the program ends. May wait.
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function worker.stop() end

---@class moonlet.worker.store.options
---@field size? integer bytes, of the first that opens it; from 65536. Values take what they need in pieces of 64, and one must fit into a sixteenth of the size, or into 2 MiB
---@field evict? boolean when it is full, what was not used for long makes room; without it, a write is refused with "ENOSPC"
---@field redis? string|moonlet.redis.Redis a URL as for redis.open, or a client; then there is neither `size` nor `evict`
---@field name? string with `redis`, if the options are the first argument

---Opens a store that all workers share: keys and values in memory, bounded, each call atomic. A
---worker that is killed in the middle of a write harms nobody. Without workers it is this
---process's own, shared by its threads. The values stay while the program runs, also when all
---workers have been replaced. With `redis`, alone or together with a name, the store lies in a
---Redis server, for programs on many machines; then calls may wait, and fail as those of
---moonlet.redis do. May wait.
---@param name string|table of 1 to 63 bytes; or the options, with `redis` and the name
---@param opts? moonlet.worker.store.options
---@return moonlet.worker.Store|nil # or nil, message, code: "EINVAL" if it is there with other options, "EPROTO" if its memory is of another version of moonlet, those of redis.open
---@return string|nil # message
---@return string|nil # code
function worker.store(name, opts) end

return worker
