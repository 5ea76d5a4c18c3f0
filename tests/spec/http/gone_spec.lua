--- moonlet.http: peers that leave, and peers that read slowly.

local support = dofile "tests/spec/support.lua"
local frames = dofile "tests/spec/http/http2_frames.lua"
local channel = require "moonlet.channel"
local http = require "moonlet.http"
local net = require "moonlet.net"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local plain_it = it
local it = support.limited(it)

-- Each of: a peer, connected to a server with the handler and options, which has sent one request.
local function raw(pair)
  return function(opts, handler, body, more)
    local here <close>, there = pair()
    local server = http.server(opts, handler)
    local serving = task.spawn(server.serve, server, there)
    here:write("GET / HTTP/1.1\r\nHost: x\r\n\r\n", more or "")
    body(here)
    here:close()
    return serving
  end
end

local function http2(opts, handler, body)
  local here <close>, there = net.pair()
  local server = http.server(opts, handler)
  local serving = task.spawn(server.serve, server, there)
  here:write(frames.PREFACE, frames.frame("SETTINGS", 0, 0))
  here:write(frames.frame("HEADERS", frames.END_STREAM | frames.END_HEADERS, 1, frames.request("GET", "/")))
  body(here)
  here:close()
  return serving
end

local kinds = {
  ["HTTP/1.1"] = raw(net.pair), memory = raw(net.memory_pair), ["HTTP/2"] = http2,
}

local function each(title, body)
  for name, open in pairs(kinds) do
    it(title .. " (" .. name .. ")", function() body(open, name) end)
  end
end

-- A handler that says "waiting" by begin, waits for `go`, and notes in `fate` how it ends.
local function waiter(fate, before)
  return function(req, res)
    local guard <close> = setmetatable({}, { __close = function(_, err) -- luacheck: ignore 211
      fate.ended = err == nil and "returned" or task.is_cancellation(err) and "cancelled" or tostring(err)
    end })
    if before then before(req, res) end
    fate.begun:set()
    fate.go:wait()
    if not before then return "done" end
  end
end

local function new_fate() return { begun = sync.event(), go = sync.event() } end

local function stream(_, res)
  res:write "first"
  res:flush()
end

describe("a peer that leaves", function()
  each("cancels the handler once the head is out, and the server goes on", function(open)
    local fate = new_fate()
    local serving = open({}, waiter(fate, stream), function() fate.begun:wait() end)
    support.eventually(function() return fate.ended end)
    assert.equal("cancelled", fate.ended)
    assert.is_true(support.finish(serving))
  end)

  each("does not cancel it before, unless on_gone says so", function(open)
    local fate = new_fate()
    local serving = open({}, waiter(fate), function() fate.begun:wait() end)
    for _ = 1, 20 do task.yield() end
    assert.is_nil(fate.ended)
    fate.go:set()
    assert.is_true(support.finish(serving))
    assert.equal("returned", fate.ended)
    fate = new_fate()
    serving = open({ on_gone = "cancel" }, waiter(fate), function() fate.begun:wait() end)
    support.eventually(function() return fate.ended end)
    assert.equal("cancelled", fate.ended)
    assert.is_true(support.finish(serving))
  end)

  each("does not cancel it if on_gone is \"ignore\"", function(open)
    local fate = new_fate()
    local serving = open({ on_gone = "ignore" }, waiter(fate, stream), function() fate.begun:wait() end)
    for _ = 1, 20 do task.yield() end
    fate.go:set()
    assert.is_true(support.finish(serving))
    assert.equal("returned", fate.ended)
  end)

  each("cancels the handler of a route that asks for it", function(open)
    local fate = new_fate()
    local router = http.router():get("/", { on_gone = "cancel" }, waiter(fate))
    local serving = open({}, router, function() fate.begun:wait() end)
    support.eventually(function() return fate.ended end)
    assert.equal("cancelled", fate.ended)
    assert.is_true(support.finish(serving))
  end)

  each("is noticed by gone() and by select, and logged", function(open)
    local seen, begun, lines = {}, sync.event(), {}
    local opts = { log = function(line) lines[#lines + 1] = line end }
    local serving = open(opts, function(req)
      seen[1] = req:gone()
      seen[2] = channel.select { { req, "gone" }, default = "no" }
      begun:set()
      seen[3] = channel.select { { req, "gone" }, timeout = 20 }
      seen[4] = req:gone()
      return "x"
    end, function() begun:wait() end)
    assert.is_true(support.finish(serving))
    assert.same({ false, "default", 1, true }, seen)
    assert.equal(1, #lines)
  end)

  for _, name in ipairs { "HTTP/1.1", "memory" } do
    it("is noticed behind a request that nobody has read yet (" .. name .. ")", function()
      local fate = new_fate()
      local serving = kinds[name]({}, waiter(fate, stream), function() fate.begun:wait() end,
        "GET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
      support.eventually(function() return fate.ended end)
      assert.equal("cancelled", fate.ended)
      support.finish(serving)
    end)

    it("is not taken for gone while it sends (" .. name .. ")", function()
      local fate = new_fate()
      local serving = kinds[name]({ on_gone = "cancel" }, waiter(fate, stream), function(here)
        fate.begun:wait()
        here:write "GET /2 HTTP/1.1\r\nHost: x\r\n"
        for _ = 1, 20 do task.yield() end
        assert.is_nil(fate.ended)
        fate.go:set()
        here:write "\r\n"
        local text = ""
        repeat text = text .. assert(here:read_some()) until text:find "\r\n0\r\n\r\n.*\r\n0\r\n\r\n"
      end)
      support.finish(serving)
      assert.equal("returned", fate.ended)
    end)
  end
end)

describe("write_timeout", function()
  local virtual_it = support.virtual(plain_it)

  local function serve(read)
    local here <close>, there = net.memory_pair { capacity = 10000 }
    local outcome
    local server = http.server({ write_timeout = 1, on_error = function() end }, function(_, res)
      outcome = table.pack(res:write(("x"):rep(100000)))
    end)
    local serving = task.spawn(server.serve, server, there)
    here:write "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    read(here)
    here:close()
    serving:join()
    return outcome
  end

  virtual_it("lets a peer take its time that reads a little now and then", function()
    local start = task.now()
    local outcome = serve(function(here)
      for _ = 1, 30 do
        here:read_some(20000)
        task.sleep(0.6)
      end
    end)
    assert.is_true(outcome[1])
    assert.is_true(task.now() - start > 5)
  end)

  virtual_it("ends the answer to a peer that reads nothing for so long", function()
    local outcome = serve(function(here)
      here:read_some(20000)
      task.sleep(3)
    end)
    assert.equal("ETIMEDOUT", outcome[3])
  end)
end)
