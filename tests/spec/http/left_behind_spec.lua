--- moonlet.http: tasks that go on with `req` or `res` when the handler has returned. Their calls end, and never touch
-- another request. (The calls of such a task used memory of the request after the connection had given it to the next.)

local support = dofile "tests/spec/support.lua"
local carriers = dofile "tests/spec/http/carriers.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

describe("a task that a handler has left behind", function()
  -- Serves on a connection whose peer writes `request` and then reads nothing until the handler has ended.
  local function serve(handler, request, body)
    local here <close>, there = net.memory_pair { capacity = 1000 }
    here:set_timeout(30)
    local server = http.server({ on_error = function() end, write_timeout = 20, read_timeout = 20 }, handler)
    local serving = task.spawn(server.serve, server, there)
    here:write(request)
    body(here, server)
    here:close()
    serving:join()
  end

  it("ends its write in front of the answer's end, or with the connection", function()
    local outcome, ended
    serve(function(_, res)
      res:write "head"
      ended = task.spawn(function() outcome = table.pack(res:write(("x"):rep(100000))) end)
      support.parked(ended)
    end, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", function(here)
      local reply = carriers.parse(here:read_all() or "")
      assert.equal(100004, #reply.body)
      support.finish(ended)
      assert.is_true(outcome[1])
    end)
  end)

  it("has its read of the body ended", function()
    local outcome, reading
    serve(function(req)
      reading = task.spawn(function() outcome = table.pack(req:read_some()) end)
      support.parked(reading)
      return "done"
    end, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", function(here)
      local reply = carriers.parse(here:read_all() or "")
      assert.equal("done", reply.body)
      support.finish(reading)
      assert.is_nil(outcome[1])
      assert.equal("string", type(outcome[3]))
    end)
  end)

  it("gets \"CLOSED\" from calls that it begins later, and other answers are whole", function()
    local kept, outcome, late = {}, nil, nil
    local here <close>, there = net.pair()
    local server = http.server(function(req, res)
      if req.path == "/1" then
        kept.req, kept.res = req, res
        late = task.spawn(function()
          task.yield()
          outcome = { (select(3, res:write "late")), (select(3, res:flush())), (select(3, req:read_some())) }
        end)
        return "1"
      end
      late:join()
      return req.path
    end)
    local serving = task.spawn(server.serve, server, there)
    here:write "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    local text = here:read_all()
    serving:join()
    assert.matches("\r\n\r\n1HTTP/1.1 200 OK.*\r\n\r\n/2$", text)
    assert.same({ "CLOSED", "CLOSED", "CLOSED" }, outcome)
    assert.is_false((pcall(function() return kept.req.method end)))
    local res = kept.res
    for _, results in ipairs { { res:cookie("a", "b") }, { res:send "x" }, { res:redirect "/" }, { res:events() },
      { res:file "/dev/null" } } do
      assert.equal("CLOSED", results[3])
    end
  end)

  carriers.each(it, "does not hold up the end of its connection", function(ask)
    local children = {}
    local reply = ask(function(req, res)
      children[1] = task.spawn(function() return req:read_some() end)
      children[2] = task.spawn(function()
        while res:write(("y"):rep(5000)) do task.yield() end
      end)
      task.yield()
      res:write "x"
      task.yield()
    end)
    assert.truthy(reply)
    for _, child in ipairs(children) do support.finish(child) end
  end)
end)
