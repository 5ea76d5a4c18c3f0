--- Processes that share what a script listens on. The program's option `workers` runs the script N
-- times, under a master that starts, watches and replaces the workers. Outside of a worker the
-- module is there, too, so that one script runs both ways.
--
-- `worker.id` is the number of this worker, from 1 to `worker.count`, the number of workers when it
-- began. `worker.generation` counts from 1, one more after each reload. All three are nil outside
-- of a worker.
-- @module moonlet.worker

local ipairs, require, tostring, type = ipairs, require, tostring, type
local math_type = math.type

local arg = arg

local argument = require "moonlet.argument"
local core = require "moonlet.worker.core"
local json = require "moonlet.json"
local messages = require "moonlet.worker.messages"
local process = require "moonlet.process"

local worker = {}

-- The place of this process among the workers.
worker.id, worker.count, worker.generation = core.place()

--- Tells the master that this worker serves. The first call that accepts connections or receives
-- datagrams on a socket that it shares tells it, too. Harmless outside of a worker. Never waits.
function worker.ready() core.ready() end

--- Reloads the program: a new generation of workers is started; when all of them are ready, the
-- present ones drain. May wait, for the end of it.
-- @treturn boolean true; or nil, message, code: "ECANCELED": the new generation has failed, the
-- message says why, and all is as before; "ENOTCONN": outside of a worker
function worker.reload()
  local text, message, code = core.request "reload"
  if not text then return nil, message, code end
  return true
end

--- Has the master stop all workers: they drain, then the program ends. May wait.
-- @treturn boolean true; or nil, message, code
function worker.stop()
  local text, message, code = core.request "stop"
  if not text then return nil, message, code end
  return true
end

--- Tells how the workers are. May wait.
-- @treturn table pid (of the master), count, generation, uptime, reloading, stopping, tickets (how
-- many keys of TLS sessions there were so far), requests, connections, restarts; workers: a list of
-- id, pid, state ("starting", "ready", "draining"), generation, age, silent (seconds since its last
-- beat), connections, requests, open, memory (bytes), late (seconds by which its last beat was
-- late); sockets: a list of address, kind, sockets; or nil, message, code
function worker.status()
  local text, message, code = core.request "status"
  if not text then return nil, message, code end
  return json.decode(text)
end

local METRICS_OPTIONS = { sum = true }

--- The metrics (`moonlet.inspect`) of all workers in the text format of Prometheus: each series
-- with the label `worker`, the worker's number; and what the master has added up, also of workers
-- that are gone: `moonlet_workers_requests_total`, `moonlet_workers_connections_total`,
-- `moonlet_workers_restarts_total`, `moonlet_workers`, `moonlet_workers_generation`. A worker that
-- does not answer within a second is left out. Outside of a worker the metrics of this process.
-- May wait.
-- @tparam[opt] table opts
-- @tparam[opt=false] boolean opts.sum counters and histograms are added up over the workers, with
-- what those have counted that are gone or do not answer, up to the last time that they were asked;
-- gauges stay as they are
-- @treturn string the text; or nil, message, code: "ECANCELED": the master goes on as a new program
-- @usage router:get("/metrics", function()
--   return 200, { ["content-type"] = "text/plain; version=0.0.4" }, worker.metrics()
-- end)
function worker.metrics(opts)
  if opts ~= nil then argument.options(opts, 1, "metrics", METRICS_OPTIONS) end
  if worker.id then return require("moonlet.worker.figures").text(opts and opts.sum) end
  return require("moonlet.inspect").metrics "prometheus"
end

local OPTIONS = {
  count = true, script = true, args = true, reuseport = true, max_requests = true, max_rss = true,
  grace = true,
}
local NUMBERS = { "max_requests", "max_rss", "grace" }

-- The value of the program's option --workers.
local function option_of(opts)
  local text = tostring(opts.count)
  if opts.reuseport then text = text .. ",reuseport" end
  for _, name in ipairs(NUMBERS) do
    if opts[name] then text = text .. "," .. name .. "=" .. tostring(opts[name]) end
  end
  return text
end

local function check_options(opts)
  argument.options(opts, 1, "run", OPTIONS)
  local is_count = math_type(opts.count) == "integer" and opts.count >= 1 and opts.count <= 1024
  argument.check(is_count, 1, "run", "option 'count' must be an integer from 1 to 1024")
  argument.check(opts.script == nil or type(opts.script) == "string", 1, "run",
    "option 'script' must be a string")
  argument.check(opts.args == nil or type(opts.args) == "table", 1, "run",
    "option 'args' must be a list")
  for _, name in ipairs(NUMBERS) do
    local value = opts[name]
    argument.check(value == nil or type(value) == "number" and value > 0, 1, "run",
      ("option '%s' must be a positive number"):format(name))
  end
end

--- Runs workers from a script, as the program's option does: starts the program moonlet as their
-- master, and waits for its end. A cancellation stops the workers as SIGTERM does. May wait.
--
--     if worker.id then serve() else worker.run { count = 4 } end
--
-- @tparam table opts
-- @tparam integer opts.count workers, 1 to 1024
-- @tparam[opt] string opts.script the file that they run; without it the one that runs now
-- @tparam[opt] {string} opts.args of the script; without it those of the one that runs now
-- @tparam[opt=false] boolean opts.reuseport each listener has a queue for each worker
-- @tparam[opt] integer opts.max_requests a worker that has answered about so many is replaced
-- @tparam[opt] integer opts.max_rss the same for bytes in memory
-- @tparam[opt=30] number opts.grace seconds that a worker has to drain
-- @treturn boolean true once they were stopped; or nil, message, code: "EEXIT": the program has
-- failed; "EALREADY": called in a worker
function worker.run(opts)
  check_options(opts)
  if worker.id then return nil, "this is a worker already", "EALREADY" end
  local given = arg or {}
  local command = { "/proc/self/exe", "--workers", option_of(opts), opts.script or given[0] }
  if not command[4] then return nil, "there is no script to run", "EINVAL" end
  for _, value in ipairs(opts.args or given) do command[#command + 1] = tostring(value) end
  command.stdin, command.kill_after = "inherit", (opts.grace or 30) + 10
  local master <close>, message, code = process.spawn(command)
  if not master then return nil, message, code end
  local result = master:wait()
  if result.status == 0 then return true end
  return nil, ("the workers have ended with %s %d"):format(result.signal and "signal" or "status",
    result.signal or result.status), "EEXIT"
end

--- Sends a message to a worker, or to all. Messages of one sender on one topic arrive in order. Of
-- each sender, topic and receiver, 1,024 messages or 1 MiB may wait to be taken; then this waits
-- for the receiver, and nobody else does. A worker that ends loses what it has not taken: the next
-- `send` of that topic to it says so, once. May wait.
-- @function send
-- @tparam integer|string to the id of a worker: the one that serves there now, which may be this
-- one; or "all": each of them, this one too, and without workers this process
-- @tparam string topic up to 255 bytes
-- @param value not nil; copied as moonlet.thread copies values, but for its channels. A plain
-- stream, a listener, a udp or an io file, alone or as a field of a table, up to 255 of them, goes
-- along as by `stream:send_fd`: the receiver gets an object of its own, and this one stays open
-- @treturn boolean true once it is queued; or nil, message, code: "EPIPE": the worker has ended, or
-- none is there now; "ESRCH": there is no such place; "ENOTCONN": outside of a worker. For "all":
-- two integers, how many were sent, and how many failed
worker.send = messages.send

--- Receives the next message on a topic; several tasks share the messages. May wait.
-- @function receive
-- @tparam string topic
-- @tparam[opt] number timeout seconds
-- @return the value, and the id of its sender (nil without workers); or nil, message, "ETIMEDOUT"
worker.receive = messages.receive

--- Iterates over the messages on a topic, waiting for each, without an end.
-- @function messages
-- @tparam string topic
-- @treturn function():any,integer an iterator: the value, and the id of its sender
-- @usage for text, from in worker.messages "news" do print(from, text) end
worker.messages = messages.messages

--- Joins a bus: `send`, `receive` and `messages` between programs on many machines, over a Redis
-- server (5 or later). Each process that opens the bus of that name is a member, with or without
-- workers. It is heard of every 5 s; one that is silent for 15 s has ended for the others. Waits.
-- @function bus
-- @tparam table opts
-- @tparam string|Redis opts.redis a URL as for redis.open, or a client
-- @tparam[opt="bus"] string opts.name of 1 to 63 bytes
-- @treturn Bus or nil, message, code
-- @usage local bus <close> = assert(worker.bus { redis = "redis://10.0.0.1", name = "chat" })
-- bus:send("all", "news", "hello")
worker.bus = require "moonlet.worker.bus"

--- Opens a store that all workers share: keys and values in memory, bounded, each call atomic. A
-- worker that is killed in the middle of a write harms nobody. Without workers it is this
-- process's own, shared by its threads. The values stay while the program runs, also when all
-- workers have been replaced. With `redis`, alone or together with a name, the store lies in a
-- Redis server, for programs on many machines; then calls may wait, and fail as those of
-- moonlet.redis do. May wait.
-- @function store
-- @tparam string|table name of 1 to 63 bytes; or the options, with `redis` and the name
-- @tparam[opt] table opts
-- @tparam[opt=16777216] integer opts.size bytes, of the first that opens it; from 65536. Values
-- take what they need in pieces of 64, and one must fit into a sixteenth of the size, or into 2 MiB
-- @tparam[opt=false] boolean opts.evict when it is full, what was not used for long makes room;
-- without it, a write is refused with "ENOSPC"
-- @tparam[opt] string|Redis opts.redis a URL as for redis.open, or a client; then there is neither
-- `size` nor `evict`
-- @tparam[opt="store"] string opts.name with `redis`, if the options are the first argument
-- @treturn Store or nil, message, code: "EINVAL" if it is there with other options, "EPROTO" if its
-- memory is of another version of moonlet, those of redis.open
-- @usage local hits = assert(worker.store "hits")
-- hits:incr "/"
-- local limits = assert(worker.store("limits", { redis = "redis://10.0.0.1" }))
worker.store = require "moonlet.worker.store"

return worker
