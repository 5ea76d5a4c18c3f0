--- Wrong arguments: the error names the function and the argument, at the place of the caller, whatever language
-- the function is written in.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local moonlet = require "moonlet"
local task, sync, channel, queue, pool = moonlet.task, moonlet.sync, moonlet.channel, moonlet.queue, moonlet.pool

local function nothing() end

-- Runs the call in a function of its own, which is what the error must name, and checks that it does.
local function refuses(name, position, what, call)
  local message = support.message_of(function() call() return nil end)
  local pattern = "^tests/spec/core/argument_spec.lua:%d+: bad argument #" .. position .. " to '" .. name .. "' %("
  assert.matches(pattern, message)
  assert.is_truthy(message:find(what, 1, true), message)
end

describe("a wrong argument is told with its place", function()
  it("by the functions of task that are written in Lua", function()
    refuses("all", 1, "table expected", function() task.all("x") end)
    refuses("all", 1, "item 2", function() task.all { nothing, 5 } end)
    refuses("race", 1, "item 1", function() task.race { 5 } end)
    refuses("map", 1, "table expected", function() task.map(5, nothing) end)
    refuses("map", 2, "function expected", function() task.map({}) end)
    refuses("map", 3, "limit", function() task.map({ 1 }, nothing, 0) end)
    refuses("every", 1, "positive number", function() task.every(0, nothing) end)
    refuses("every", 2, "function expected", function() task.every(1) end)
    refuses("supervise", 1, "table expected", function() task.supervise() end)
    refuses("supervise", 1, "'fn'", function() task.supervise { fn = 5 } end)
    refuses("supervise", 1, "'backoff'", function() task.supervise { fn = error, backoff = {} } end)
    refuses("supervise", 1, "'intensity'", function() task.supervise { fn = error, intensity = 5 } end)
  end)

  it("by queues, pools and futures", function()
    local q = queue.new { capacity = 1 }
    refuses("new", 1, "table expected", function() queue.new(5) end)
    refuses("new", 1, "'order'", function() queue.new { order = "x" } end)
    refuses("new", 1, "'capacity'", function() queue.new { capacity = 0 } end)
    refuses("new", 1, "'less'", function() queue.new { less = 5 } end)
    refuses("put", 1, "nil", function() q:put() end)
    refuses("put", 2, "number expected", function() q:put(1, "x") end)
    refuses("get", 1, "number expected", function() q:get("x") end)
    refuses("peek", 1, "number expected", function() q:peek("x") end)
    refuses("join", 1, "number expected", function() q:join("x") end)
    refuses("new", 1, "'open'", function() pool.new {} end)
    refuses("new", 1, "'max'", function() pool.new { open = nothing, max = 0 } end)
    refuses("new", 1, "'check'", function() pool.new { open = nothing, check = 5 } end)
    local p = pool.new { open = nothing }
    refuses("lease", 1, "number expected", function() p:lease("x") end)
    local f = sync.future()
    refuses("get", 1, "number expected", function() f:get("x") end)
  end)

  -- With an address, or in the Unix domain, no port comes before the options, which were called the third argument.
  it("by functions of net, wherever the options are", function()
    local net = moonlet.net
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local address = listener:address()
    local functions = {
      connect = function(...) net.connect(...) return nil end,
      listen = function(...) net.listen(...) return nil end,
    }
    for name, fn in pairs(functions) do
      refuses(name, 3, "unknown option 'x'", function() fn("127.0.0.1", 0, { x = 1 }) end)
      refuses(name, 2, "unknown option 'x'", function() fn("unix:@argument", { x = 1 }) end)
      refuses(name, 2, "unknown option 'x'", function() fn(address, { x = 1 }) end)
      refuses(name, 2, "option 'family'", function() fn("unix:@argument", { family = 5 }) end)
      refuses(name, 2, "TLS option 'ca' must", function() fn("unix:@argument", { tls = { ca = 5 } }) end)
      refuses(name, 2, "table expected", function() fn(address, 5) end)
      refuses(name, 2, "has no port", function() fn("unix:@argument", 5) end)
      refuses(name, 2, "number expected", function() fn("127.0.0.1") end)
    end
    refuses("connect", 3, "'timeout'", function() net.connect("unix:@argument", nil, { timeout = "x" }) end)
    local socket <close> = assert(net.udp { host = "127.0.0.1", port = 0 })
    refuses("send_to", 4, "'timeout'", function() socket:send_to("x", "127.0.0.1", 1, { timeout = "x" }) end)
    refuses("send_to", 3, "'timeout'", function() socket:send_to("x", address, { timeout = "x" }) end)
  end)

  it("by select", function()
    refuses("select", 1, "'timeout'", function() channel.select { timeout = "x" } end)
  end)
end)

it("a traceback names the functions of task as they are called", function()
  local t = support.parked(task.spawn(task.sleep, support.patience))
  assert.is_truthy(t:traceback():find("in function 'moonlet.task.sleep'", 1, true))
end)

describe("a finalizer that a script calls itself", function()
  local greenlet, net = require "moonlet.greenlet", require "moonlet.net"

  it("refuses what is no object of its kind, and leaves one that says it is closed", function()
    local here <close>, there = assert(net.memory_pair())
    local _ <close> = there
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local udp <close> = assert(net.udp { host = "127.0.0.1" })
    local resolver <close> = assert(net.resolver { servers = { "127.0.0.1" } })
    local context = assert(net.tls { verify = false })
    local permit = sync.semaphore(1):hold()
    local objects = { here, listener, udp, resolver, context, permit, sync.mutex(), greenlet.current() }
    for _, object in ipairs(objects) do
      local finalize = getmetatable(object).__gc
      for _, other in ipairs { {}, 1, "x", io.stdout, here == object and listener or here } do
        assert.is_false(pcall(finalize, other))
      end
      assert.is_false(pcall(finalize))
    end
    getmetatable(context).__gc(context)
    assert.is_false(pcall(here.starttls, here, { context = context, role = "client" }))
    assert.is_false(pcall(context.reload, context))
  end)
end)

describe("a misspelt option is refused by name", function()
  local channel_of_one = channel.new(1)
  local function with(opts) opts.misspelt = 1 return opts end

  it("by everything that takes options", function()
    local net = moonlet.net
    local stream <close>, peer = net.pair()
    local other <close> = peer
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local udp <close> = assert(net.udp { host = "127.0.0.1" })
    local resolver <close> = net.resolver { servers = { "127.0.0.1" } }
    local g = task.group()
    local calls = {
      ["1 new"] = function(o) queue.new(o) return nil end,
      ["1 new "] = function(o) o.open = nothing pool.new(o) return nil end,
      ["1 supervise"] = function(o) o.fn = nothing task.supervise(o) return nil end,
      ["1 [%w.]*spawn"] = function(o) task.spawn(o, nothing) return nil end,
      ["1 spawn"] = function(o) g:spawn(o, nothing) return nil end,
      ["1 [%w.]*group"] = function(o) task.group(o) return nil end,
      ["1 [%w.]*select"] = function(o) o[1] = { channel_of_one, "put", 1 } channel.select(o) return nil end,
      ["1 [%w.]*select "] = function(o)
        o[1], o[2], o[3] = channel_of_one, "put", 1
        channel.select { o }
        return nil
      end,
      ["1 serve"] = function(o) listener:serve(o, nothing) return nil end,
      ["1 [%w.]*udp"] = function(o) net.udp(o) return nil end,
      ["1 set"] = function(o) udp:set(o) return nil end,
      ["1 [%w.]*memory_pair"] = function(o) net.memory_pair(o) return nil end,
      ["1 [%w.]*memory_pair "] = function(o) net.memory_pair { a_to_b = o } return nil end,
      ["1 [%w.]*memory_pair  "] = function(o) net.memory_pair { b_to_a = o } return nil end,
      ["1 [%w.]*tls"] = function(o) net.tls(o) return nil end,
      ["1 [%w.]*tls "] = function(o) net.tls { names = { a = o } } return nil end,
      ["1 starttls"] = function(o) stream:starttls(o) return nil end,
      ["3 [%w.]*connect"] = function(o) net.connect("127.0.0.1", 1, o) return nil end,
      ["3 [%w.]*connect "] = function(o) net.connect("127.0.0.1", 1, { tls = o }) return nil end,
      ["3 [%w.]*listen"] = function(o) net.listen("127.0.0.1", 0, o) return nil end,
      ["2 [%w.]*resolve"] = function(o) net.resolve("localhost", o) return nil end,
      ["1 [%w.]*resolver"] = function(o) net.resolver(o) return nil end,
      ["2 resolve"] = function(o) resolver:resolve("localhost", o) return nil end,
    }
    for name, call in pairs(calls) do
      local position, called = name:match "^(%d) (.-) *$"
      refuses(called, position, "unknown option 'misspelt'", function() call(with {}) end)
    end
    refuses("supervise", 1, "'backoff'", function() task.supervise { fn = nothing, backoff = with { 1, 2 } } end)
    refuses("supervise", 1, "'intensity'", function() task.supervise { fn = nothing, intensity = { 1, 2, 3 } } end)
    refuses("new", 1, "unknown option '1'", function() queue.new { "fifo" } end)
    refuses("set", 1, "unknown option 'host'", function() udp:set { host = "127.0.0.1" } end)
  end)
end)

describe("a wrong argument is told with its number, at the line of the call", function()
  it("where a function shifts its arguments, or one is left out", function()
    refuses("[%w.]*no_switch", 1, "function expected, got number", function() task.no_switch(1) end)
    refuses("[%w.]*listen", 1, "host expected, got number", function() moonlet.net.listen(7000) end)
    refuses("[%w.]*connect", 1, "host expected, got number", function() moonlet.net.connect(7000) end)
    refuses("[%w.]*resolve", 1, "string expected, got number", function() moonlet.net.resolve(7000) end)
    local listener <close> = assert(moonlet.net.listen("127.0.0.1", 0))
    refuses("serve", 1, "function expected, got no value", function() listener:serve() end)
    refuses("serve", 1, "function expected, got number", function() listener:serve(5) end)
    refuses("serve", 1, "table expected, got number", function() listener:serve(5, nothing) end)
    refuses("serve", 2, "function expected, got number", function() listener:serve({}, 5) end)
  end)

  it("where the library compares", function()
    local q = queue.new { order = "priority" }
    q:put {}
    refuses("put", 1, "attempt to compare two table values; the option 'less' tells how", function() q:put {} end)
    local mine = queue.new { order = "priority", less = function() error("mine", 0) end }
    mine:put(1)
    assert.equal("mine", support.message_of(mine.put, mine, 2))
  end)

  it("where a pool cannot close what it opened", function()
    local p = pool.new { open = function() return 5 end }
    for _, call in ipairs {
      function() p:lease():discard() return nil end,
      function() p:lease():close() p:close() return nil end,
    } do
      assert.matches("^tests/spec/core/argument_spec.lua:%d+: cannot close a number: it has no method 'close'",
        support.message_of(call))
    end
  end)

  it("where a number is none", function()
    local nan = 0 / 0
    local q, f = queue.new(), sync.future()
    for name, call in pairs {
      get = function() q:get(nan) end, peek = function() q:peek(nan) end, join = function() q:join(nan) end,
      lease = function() pool.new { open = nothing }:lease(nan) end,
    } do
      refuses(name, 1, "not-a-number", call)
    end
    refuses("get", 1, "not-a-number", function() f:get(nan) end)
    refuses("supervise", 1, "'backoff'", function() task.supervise { fn = nothing, backoff = { nan, 1 } } end)
  end)

  it("where a method is called with a dot", function()
    local q, p, f = queue.new(), pool.new { open = nothing }, sync.future()
    local listener <close> = assert(moonlet.net.listen("127.0.0.1", 0))
    local methods = {
      put = q, get = q, peek = q, task_done = q, join = q, lease = p, fail = f, set = f,
      serve = listener, stop = listener,
    }
    for name, object in pairs(methods) do
      local message = support.message_of(function() object[name](5) return nil end)
      assert.matches("^tests/spec/core/argument_spec.lua:%d+: calling '" .. name
        .. "' on bad self %([%w.]+ expected, got number%)", message)
    end
  end)

  it("by functions that others of moonlet's modules call for them", function()
    local http, sqlite, websocket, worker = moonlet.http, moonlet.sqlite, moonlet.websocket, moonlet.worker
    refuses("get", 1, "URL expected", function() http.get {} end)
    refuses("get", 2, "table expected", function() http.get("http://h/", "x") end)
    refuses("delete", 1, "'unknown'", function() http.delete("http://h/", { unknown = 1 }) end)
    refuses("request", 1, "'url'", function() http.request { url = {} } end)
    local wrong = { url = "http://h/", timeout = { unknown = 1 } }
    refuses("request", 1, "'timeout.unknown'", function() http.request(wrong) end)
    refuses("stream", 1, "URL or table", function() http.stream() end)
    refuses("download", 2, "path expected", function() http.download("http://h/", 1) end)
    refuses("files", 1, "string expected", function() http.router():static("/", 5) end)
    refuses("connect", 1, "URL expected", function() websocket.connect() end)
    refuses("connect", 2, "'unknown'", function() websocket.connect("ws://h/", { unknown = 1 }) end)
    refuses("upgrade", 1, "request", function() websocket.upgrade() end)
    refuses("upgrade", 2, "response", function() websocket.upgrade {} end)
    refuses("open", 2, "'unknown'", function() sqlite.open(":memory:", { unknown = 1 }) end)
    refuses("open", 2, "'unknown'", function() moonlet.redis.open("redis://h", { unknown = 1 }) end)
    refuses("open", 2, "'unknown'", function() moonlet.postgres.open("postgres://h/d", { unknown = 1 }) end)
    refuses("receive", 1, "string expected", function() worker.receive() end)
    refuses("messages", 1, "string expected", function() worker.messages() end)
    refuses("json", 1, "a value expected", function() require("moonlet.sql").json() end)
    local db <close> = assert(sqlite.open ":memory:")
    local message = support.message_of(function() db:row "SELECT ?" return nil end)
    assert.matches("^tests/spec/core/argument_spec.lua:%d+: the statement has 1 parameter", message)
  end)
end)
