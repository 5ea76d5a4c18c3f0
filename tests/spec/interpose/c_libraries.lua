--- What the specs of C libraries share: finding the library, many tasks that wait in it at once, servers that
-- take their time.
-- Loaded with dofile("tests/spec/interpose/c_libraries.lua").

local support = dofile "tests/spec/support.lua"
local net = require "moonlet.net"
local patch = require "moonlet.patch"
local task = require "moonlet.task"

local libraries = {}

-- Pure Lua modules that Debian has for older versions only.
package.path = package.path .. ";/usr/share/lua/5.3/?.lua;/usr/share/lua/5.2/?.lua"

--- Loads a module of a library; fails, naming the Debian package, when it is not there.
function libraries.need(module, debian_package)
  local found, result = pcall(require, module)
  if not found then
    error(("the Debian package %s is needed: %s"):format(debian_package, result), 0)
  end
  return result
end

--- Fails, naming the Debian package, when a program is not there.
function libraries.need_program(name, debian_package)
  if not os.execute(("PATH=$PATH:/usr/sbin command -v %s >/dev/null"):format(name)) then
    error(("%s is needed, of the Debian package %s"):format(name, debian_package), 0)
  end
end

--- Counts the times that its task ran, once every 10 ms, until it is closed.
function libraries.ticker()
  local ticker = { count = 0 }
  ticker.task = task.spawn(function()
    task.every(0.01, function() ticker.count = ticker.count + 1 end)
  end)
  return setmetatable(ticker, { __close = function() ticker.task:cancel() end })
end

--- Waits until it has ticked so often; an error when it never does.
function libraries.until_ticked(ticker, count)
  support.eventually(function() return ticker.count >= count end)
end

libraries.SPAN, libraries.TASKS = 0.2, 20

--- Runs fn(i) in 20 tasks, each of which has to wait for at least 0.2 s, and fails unless they wait together:
-- the last starts before the first ends, all need less time than half of them in turn, and a task of moonlet's
-- own ticks meanwhile. It is the calls' own time that is measured here.
function libraries.overlap(fn)
  local started, together, ticker <close> = 0, true, libraries.ticker()
  local from = task.now()
  task.group(function(g)
    for i = 1, libraries.TASKS do
      g:spawn(function()
        started = started + 1
        fn(i)
        together = together and started == libraries.TASKS
      end)
    end
  end)
  local seconds = task.now() - from
  local all = libraries.TASKS * libraries.SPAN
  if not together then error("a task ended before the last one had started", 2) end
  if seconds < 0.9 * libraries.SPAN or seconds > all / 2 then
    error(("it took %.2f s, in turn it would be %.2f s"):format(seconds, all), 2)
  end
  if ticker.count < 3 then error(("another task ran %d times meanwhile"):format(ticker.count), 2) end
end

--- How often tasks waited in a call.
function libraries.waited(call)
  return patch.status().calls[call].waited
end

--- A server in tasks of the test: handler(conn) for each connection. Closes with the variable that it is in.
-- @treturn table port, listener
function libraries.server(handler, options)
  local listener = assert(net.listen("127.0.0.1", 0, options))
  task.spawn({ daemon = true }, listener.serve, listener, { on_error = function() end }, handler)
  return setmetatable({ port = listener:address().port, listener = listener },
    { __close = function() listener:close() end })
end

--- A server that answers each line with "you said " and the line, 0.2 s later.
function libraries.slow_server(options)
  return libraries.server(function(conn)
    for line in conn:lines() do
      task.sleep(libraries.SPAN)
      conn:write("you said ", line, "\n")
    end
  end, options)
end

--- An HTTP server that answers each request with its path, 0.2 s later.
function libraries.slow_pages()
  return libraries.server(function(conn)
    local path = conn:read_line():match "^GET (%S+)"
    repeat until conn:read_line() == ""
    task.sleep(libraries.SPAN)
    conn:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(#path, path))
    conn:finish(1)
  end)
end

--- A server that takes connections and never says a word.
function libraries.silent_server(options)
  return libraries.server(function(conn) conn:read_all() end, options)
end

--- Fails unless a call that waits, fn(), is ended by cancelling its task, and by a deadline around it, while
-- another task goes on; then calls close().
function libraries.cancels(fn, close)
  local ticker <close>, after = libraries.ticker(), false
  local waiting = support.parked(task.spawn({ quiet = true }, function()
    fn()
    after = true
  end))
  waiting:cancel("enough")
  local ok, reason, code = waiting:join(support.patience)
  if ok or code ~= "ECANCELED" then
    error(("cancelled, it ended with %s, %s, %s"):format(ok, reason, code), 2)
  end
  local before = ticker.count
  support.is_failure("EDEADLINE", nil, task.timeout(0.05, function()
    fn()
    after = true
  end))
  if after then error("the code behind the cancelled call ran", 2) end
  if ticker.count == before then error("no other task ran", 2) end
  close()
end

--- Runs a script that makes the same calls in a moonlet that leaves them to libc: `--no-interpose`. It finds
-- `port` and `overlapping(fn)`, which gives the seconds that 4 tasks took, and the ticks of another meanwhile.
-- @treturn string what it printed
function libraries.without(source, port)
  local output, status = support.run(([[
    local task = require "moonlet.task"
    package.path = package.path .. ";/usr/share/lua/5.3/?.lua;/usr/share/lua/5.2/?.lua"
    local port = %d
    local function overlapping(fn)
      local ticks, tasks, from = 0, {}, task.now()
      local ticker = task.spawn(task.every, 0.01, function() ticks = ticks + 1 end)
      task.yield()
      for i = 1, 4 do tasks[i] = task.spawn(fn, i) end
      for _, t in ipairs(tasks) do assert(t:join()) end
      ticker:cancel()
      return task.now() - from, ticks
    end
  ]]):format(port or 0) .. source, "--no-interpose")
  if status ~= 0 then error(output, 2) end
  return output
end

--- Fails unless a function's body, in which `i` is the task's number, blocks every task in such a moonlet: four
-- tasks with it take the slow server's time one after the other, and nobody ticks meanwhile.
function libraries.blocks_without(requires, body, port)
  local output = libraries.without(("%s\nprint(overlapping(function(i) %s end))"):format(requires, body), port)
  local seconds, ticks = output:match "^(%S+)\t(%d+)\n$"
  if not seconds or tonumber(seconds) <= 3.9 * libraries.SPAN or tonumber(ticks) > 6 then error(output, 2) end
end

return libraries
