--- What the specs share: child programs, connected streams, waiting for an event with a deadline.
-- Loaded with dofile("tests/spec/support.lua"): specs run in the project's root.

local task = require "moonlet.task"
local test = require "moonlet.test"
local net = require "moonlet.net"

local support = {}

--- Longest that any event is waited for, in seconds: generous, as it only ends tests that fail.
support.patience = 30

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- What is in a file; nil when it cannot be opened.
function support.read_file(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a"
end

--- Runs a shell command; blocks the whole process, so it must not need us.
-- @treturn string stdout and stderr, in one
-- @treturn integer exit status, negative: number of the signal that killed it
function support.shell(command)
  local pipe = assert(io.popen("{ " .. command .. "\n} 2>&1"))
  local output = pipe:read("a")
  local _, how, number = pipe:close()
  return output, how == "signal" and -number or number
end

-- Under a sanitizer, and on a busy machine, anything may take long: no test expects to be told so.
local function without_slow_warnings(options)
  return options:find("--slow", 1, true) and options or "--slow 0 " .. options
end

--- The command line that runs a Lua source text in a moonlet of its own, or in a host: words of a command that takes
-- no options.
-- @treturn string
-- @treturn string the script's file, to be removed by the caller
function support.command(source, options, host)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  assert(file:write(source))
  file:close()
  if host then return ("%s %s"):format(host, quote(path)), path end
  local program = assert(os.getenv("MOONLET"), "the environment variable MOONLET names the program")
  return ("%s %s %s"):format(quote(program), without_slow_warnings(options or ""), quote(path)), path
end

--- Runs a Lua source text in a moonlet of its own.
-- @treturn string stdout and stderr, in one, the script's name replaced by "script"
-- @treturn integer exit status
function support.run(source, options)
  local command, path = support.command(source, options)
  local output, status = support.shell(command)
  os.remove(path)
  output = output:gsub(path:gsub("%p", "%%%0"), "script")
  return output, status
end

-- Free ports are below those that the kernel chooses, for port 0 and for connections, and processes begin far from
-- each other. One count for all copies of this file.
local FIRST_PORT = 10240
local ports = package.loaded["tests.ports"] or {}
package.loaded["tests.ports"] = ports

local function next_port()
  if not ports.last then
    ports.count = tonumber(support.read_file("/proc/sys/net/ipv4/ip_local_port_range"):match "%d+") - FIRST_PORT
    ports.last = tonumber(support.read_file("/proc/self/stat"):match "%d+") * 128
  end
  ports.last = ports.last + 1
  return ports.count > 1024 and FIRST_PORT + ports.last % ports.count or 0
end

--- A port of 127.0.0.1 on which nobody listens, and that nobody else is given soon.
function support.free_port()
  for _ = 1, 1000 do
    local listener <close> = net.listen("127.0.0.1", next_port())
    if listener then return listener:address().port end
  end
  error "no port is free"
end

--- Starts another program in the background.
-- @treturn table pid; it is killed when that is closed: `local server <close> = support.start(...)`
function support.start(command)
  local pipe = assert(io.popen(("exec 3>&1; %s >/dev/null 2>&1 3>&- & echo $! >&3"):format(command)))
  local pid = pipe:read("n")
  pipe:close()
  return setmetatable({ pid = pid }, { __close = function()
    os.execute(("kill -KILL %d 2>/dev/null"):format(pid))
  end })
end

--- Lets the others run until predicate() is true; an error when it never is.
-- @return what predicate() returned
function support.eventually(predicate)
  local deadline = task.now() + support.patience
  repeat
    local result = predicate()
    if result then return result end
    task.sleep(0.0005)
  until task.now() > deadline
  error("waited in vain for an event", 2)
end

--- How often another task, which only yields, runs while fn does.
function support.turns_beside(fn)
  local turns = 0
  local other = task.spawn(function()
    while true do
      turns = turns + 1
      task.yield()
    end
  end)
  fn()
  other:cancel()
  return turns
end

--- Waits until a task waits: lets the others run, whatever the clock says.
function support.parked(t)
  local start = os.time()
  while t:status() ~= "waiting" do
    if t:status() ~= "ready" or os.time() - start > support.patience then
      error(("%s does not come to wait"):format(t), 2)
    end
    task.yield()
  end
  return t
end

-- Streams that pair() made: open until the test ends, unless it closes them.
local streams = setmetatable({}, { __mode = "k" })

local function close_streams()
  for stream in pairs(streams) do stream:close() end
end

local function end_other_tasks()
  for _, other in ipairs(task.list()) do
    if other ~= task.current() then
      other:cancel("the test is over")
      other:join(support.patience)
    end
  end
end

-- What a test has left behind. What it has left to the collector is not lost, nor is the directory that a worker still
-- lists for a watch that is closed.
local function left_behind(leaks)
  local left, start = leaks(), os.time()
  if #left > 0 then -- what finalizers hold comes second
    collectgarbage()
    collectgarbage()
    left = leaks()
  end
  while #left > 0 and os.time() - start < 5 do
    task.sleep(0.001)
    left = leaks()
  end
  return left
end

-- Runs a test; an error if it takes too long, or leaves a descriptor or a task that does not end.
local function run_limited(body)
  local leaks, mark = test.leaks(), {}
  local ok, result, message = pcall(task.timeout, 4 * support.patience, function()
    body()
    return mark
  end)
  end_other_tasks()
  close_streams()
  if not ok then error(result, 0) end
  if result ~= mark then error(message, 0) end
  local left = left_behind(leaks)
  if #left > 0 then error("left behind: " .. table.concat(left, ", "), 0) end
end

--- Gives back a function for `it` whose tests end after the time limit, and leave nothing behind.
function support.limited(it)
  return function(title, body)
    it(title, function() run_limited(body) end)
  end
end

--- The same, under a clock that jumps when everybody waits: no sleep takes time, and a test that is stuck fails
-- at once. For tests in which nobody waits for a descriptor.
function support.virtual(it)
  return function(title, body)
    it(title, function()
      local clock <close> = test.virtual_clock()
      run_limited(body)
    end)
  end
end

--- Two connected streams, which are closed at the end of the test, and the listener's address.
function support.pair()
  local listener <close> = assert(net.listen("127.0.0.1", 0))
  local address = listener:address()
  local here = assert(net.connect(address))
  local there = assert(listener:accept(support.patience))
  streams[here], streams[there] = true, true
  return here, there, address
end

--- Bytes that certainly do not fit into the buffers of a connection on the loopback, as many as is
-- quick to read. (The hostile build reads one byte at a time.)
function support.more_than_buffers()
  local here <close>, peer = support.pair()
  local there <close> = peer
  here:write("0123456789")
  return #there:read_some() == 1 and 12 * 1024 * 1024 or 32 * 1024 * 1024
end

--- A task that writes so many bytes to a stream, more than fit, and waits; its result is the write's.
function support.parked_writer(stream, size)
  return support.parked(task.spawn(function() return stream:write(("x"):rep(size)) end))
end

--- Fails unless a write that waits behind another one, and that attempt(stream) makes and ends, has sent nothing
-- and harms none of the others.
function support.ends_in_the_queue(attempt)
  local here <close>, peer = support.pair()
  local there <close> = peer
  local size = support.more_than_buffers()
  local first = support.parked_writer(here, size)
  attempt(here)
  local last = support.parked(task.spawn(function() return here:write("last") end))
  assert(#there:read_exactly(size) == size, "the first write is not whole")
  assert(support.finish(first))
  assert(support.finish(last))
  assert(there:read_exactly(4) == "last", "something else was sent")
end

-- The rows of the kernel's table of TCP connections over IPv4.
-- @treturn function iterator: local port, remote port, state as two hexadecimal digits, bytes not read yet
local function tcp_connections()
  return coroutine.wrap(function()
    for line in io.lines("/proc/net/tcp") do
      local here, there, state, unread = line:match("^%s*%d+: %x+:(%x+) %x+:(%x+) (%x+) %x+:(%x+)")
      if here then
        coroutine.yield(tonumber(here, 16), tonumber(there, 16), state, tonumber(unread, 16))
      end
    end
  end)
end

--- Waits until bytes wait in the kernel for this end of a connection over IPv4: close() turns them into a reset.
function support.until_unread(stream)
  local from, to = stream:address().port, stream:peer().port
  support.eventually(function()
    for here, there, _, unread in tcp_connections() do
      if here == from and there == to and unread > 0 then return true end
    end
  end)
end

--- Waits until so many connections over IPv4 are being made to a port.
function support.until_connecting(port, count)
  support.eventually(function()
    local found = 0
    for _, there, state in tcp_connections() do
      if there == port and state == "02" then found = found + 1 end
    end
    return found == count
  end)
end

--- Fails unless `values` (from table.pack) are nil, a message and the code.
function support.is_failure(code, message, ...)
  local values = table.pack(...)
  if values[1] ~= nil or values[3] ~= code or type(values[2]) ~= "string"
      or (message and not values[2]:find(message, 1, true)) then
    error(("expected nil, %q, %q, got %s, %s, %s"):format(message or "...", code,
      tostring(values[1]), tostring(values[2]), tostring(values[3])), 2)
  end
end

--- Joins a task that must end well.
-- @return its results
function support.finish(t)
  local results = table.pack(t:join(support.patience))
  if not results[1] then
    error(("%s: %s (%s)"):format(t, results[2], results[3]), 2)
  end
  return table.unpack(results, 2, results.n)
end

--- The message of the error that fn(...) raises.
function support.message_of(fn, ...)
  local ok, message = pcall(fn, ...)
  if ok then error("no error was raised", 2) end
  return tostring(message)
end

return support
