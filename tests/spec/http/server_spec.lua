local carriers = dofile "tests/spec/http/carriers.lua"
local credentials = dofile "tests/spec/tls_support.lua"
local net = require "moonlet.net"
local server = require "moonlet.http.server"
local support = dofile("tests/spec/support.lua")
local task = require "moonlet.task"

local it = support.limited(it)

describe("an HTTP server", function()
  local CLOSE = "Host: x\r\nConnection: close\r\n"

  -- What comes back for the text, sent in pieces of `step` bytes.
  local function ask(handler, text, step)
    local a, b = net.pair()
    local serving = task.spawn(function() server.server(handler):serve(b) end)
    for i = 1, #text, step or #text do a:write(text:sub(i, i + (step or #text) - 1)) end
    local answer = a:read_all()
    a:close()
    serving:join()
    return answer
  end

  local function echo(req) return 200, { ["x-method"] = req.method }, req:body() end

  carriers.each(it, "answers with the string that the handler returns", function(carrier)
    local reply = carrier(function() return "hello" end)
    assert.same({ 200, "hello", "5", "text/plain; charset=utf-8" },
      { reply.status, reply.body, reply.headers["content-length"], reply.headers["content-type"] })
  end)

  it("tells a client that speaks plain HTTP to a port of TLS so, and serves the next", function()
    local lines = {}
    local how = { log = function(line) lines[#lines + 1] = line end }
    local made = server.server(how, function() return "served" end)
    local guard <close> = -- luacheck: ignore 211
      setmetatable({}, { __close = credentials.remove })
    credentials.make()
    local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = credentials.shows "good" }))
    local serving = task.spawn(made.serve, made, listener)
    for _, request in ipairs {
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" .. ("x"):rep(20000), "HEAD / HTTP/1.0\r\n\r\n",
    } do
      local conn <close> = assert(net.connect(listener:address()))
      for i = 1, 8 do conn:write(request:sub(i, i)) end
      conn:write(request:sub(9))
      local answer = conn:read_all()
      assert.matches("^HTTP/1.1 400 Bad Request\r\n", answer)
      assert.matches("\r\nconnection: close\r\n", answer)
      assert.matches("\r\n\r\nthis port speaks TLS: the URL begins with https:\n$", answer)
    end
    for _, bytes in ipairs { "SSH-2.0-x\r\n", "GET", "\22\3\1\0\5hello" } do
      local conn <close> = assert(net.connect(listener:address()))
      conn:write(bytes)
      conn:finish()
      local answer = conn:read_all()
      assert.is_nil(answer and answer:find "HTTP")
    end
    local conn <close> = assert(net.connect(listener:address(), { tls = credentials.trusts() }))
    conn:write "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert.matches("served$", conn:read_all())
    made:stop(0)
    serving:join()
    assert.same({ 4, " 400 " }, { #lines, lines[1]:match " 400 " })
  end)

  carriers.each(it, "answers with what the handler returns: status, headers, body, JSON, nothing", function(carrier)
    local function answer(...)
      local results = table.pack(...)
      local reply = carrier(function() return table.unpack(results, 1, results.n) end)
      return { reply.status, reply.body, reply.headers["x-a"] }
    end
    assert.same({ 204, "" }, answer())
    assert.same({ 204, "" }, answer(nil))
    assert.same({ 204, "" }, answer(true))
    assert.same({ 404, "" }, answer(404))
    assert.same({ 201, "made" }, answer(201, "made"))
    assert.same({ 201, "made", "1" }, answer(201, { ["X-A"] = 1 }, "made"))
    assert.same({ 200, "[1,2]" }, answer { 1, 2 })
    assert.same({ 200, "" }, answer "")
    assert.same({ 418, "short\n" }, answer(server.error(418, "short")))
    for _, wrong in ipairs { { 99 }, { 600 }, { 200.5 }, { 200, 1 }, { "a", "b" }, { 200, {}, "x", 1 }, { false },
      { 204, "body" }, { 304, "body" }, { nil, "failed" }, { nil, "failed", "ECODE" }, { print } } do
      assert.equal(500, answer(table.unpack(wrong, 1, 4))[1], tostring(wrong[1]))
    end
  end)

  it("answers 500, and reports, where on_error fails itself", function()
    local output = support.run([[
      local http, net, task = require "moonlet.http", require "moonlet.net", require "moonlet.task"
      local near, far = net.memory_pair()
      local server = http.server({ on_error = function() error("on_error failed", 0) end }, function() error "x" end)
      task.spawn(server.serve, server, far)
      near:write "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
      print(near:read_line())
    ]])
    assert.matches("HTTP/1.1 500 ", output)
    assert.matches("on_error failed", output)
  end)

  it("answers 500, and reports, where what on_error gives cannot be sent", function()
    -- The connection was cut without a word.
    for _, answer in ipairs {
      [[500, { ["x-bad"] = "a\r\nb" }, "secret"]], [[500, { ["bad name"] = "a" }, "secret"]], [[99]], [[500, print]],
      [[500, {}, { print }]], [[1, 2, 3, 4]],
    } do
      local output = support.run([[
        local http, net, task = require "moonlet.http", require "moonlet.net", require "moonlet.task"
        local near, far = net.memory_pair()
        local server = http.server({ on_error = function() return ]] .. answer .. [[ end }, function(_, res)
          res:cookie("session", "secret")
          error "x"
        end)
        task.spawn(server.serve, server, far)
        near:write "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        print(near:read_all())
      ]])
      assert.matches("HTTP/1.1 500 ", output)
      assert.matches("internal server error", output)
      assert.matches("task .* failed: ", output)
      assert.is_nil(output:find("secret", 1, true))
    end
  end)

  -- A page of another host reads a failure only if that has the fields of CORS, too.
  carriers.each(it, "leaves the fields of a failed answer that are those of all answers", function(carrier)
    local app = require("moonlet.http").router()
    app:use(function(_, res, next)
      res.headers["Access-Control-Allow-Origin"] = "*"
      res.headers["Content-Security-Policy"] = "default-src 'self'"
      res.headers["X-Request-Id"] = "7"
      next()
    end)
    local failures = {
      [404] = function() error(server.error(404, "none", { ["x-request-id"] = "8" })) end,
      [503] = function() return server.error(503) end,
      [500] = function() error "a bug" end,
      [400] = function(req) error((select(2, req:json())), 0) end,
    }
    for status, fail in pairs(failures) do
      app:get("/" .. status, function(req, res)
        res:cookie("a", "secret")
        for _, name in ipairs { "ETag", "Content-Type", "Content-Length", "Content-Encoding", "Content-Disposition",
          "Cache-Control", "Expires", "Last-Modified", "Location", "Accept-Ranges", "Age", "Refresh" } do
          res.headers[name] = name == "Content-Length" and 3 or "secret"
        end
        return fail(req)
      end)
      local reply = carrier(app, { path = "/" .. status, opts = { on_error = function() return nil end } })
      assert.same({ status, "*", "default-src 'self'", status == 404 and "8" or "7" }, {
        reply.status, reply.headers["access-control-allow-origin"], reply.headers["content-security-policy"],
        reply.headers["x-request-id"],
      })
      for name, value in pairs(reply.headers) do assert.is_nil(value:find("secret", 1, true), name) end
    end
  end)

  it("reports the request whose answer cannot be made, for no traceback leads there", function()
    local output = support.run [[
      local http, net, task = require "moonlet.http", require "moonlet.net", require "moonlet.task"
      local near, far = net.memory_pair()
      local server = http.server(function(req)
        if req.path == "/a" then return { f = print } end
        if req.path == "/b" then return "body", 200 end
        error "at a line"
      end)
      task.spawn(server.serve, server, far)
      for _, target in ipairs { "a", "b", ("c"):rep(1000) } do
        near:write("GET /", target, " HTTP/1.1\r\nHost: x\r\n\r\n")
        near:read_until "error\n"
      end
      near:close()
    ]]
    assert.matches("value.f is a function.-\n\tin the answer to GET /a HTTP/1.1\n", output)
    assert.matches("returned 2 values, the first a string: before a body there is a status.-GET /b HTTP", output)
    assert.matches("in the answer to GET /c+%.%.%.\n", output)
    assert.is_nil(output:find(("c"):rep(300), 1, true))
  end)

  -- nil and true, as a logger returns them, answered 204: a bug looked like a success.
  carriers.each(it, "answers 500 where on_error gives nothing, nil or true, 404 where it gives that", function(carrier)
    for _, answer in ipairs { function() end, function() return nil end, function() return true end } do
      assert.equal(500, carrier(function() error "a bug" end, { opts = { on_error = answer } }).status)
      local reply = carrier(function() error(server.error(503, "later")) end, { opts = { on_error = answer } })
      assert.same({ 503, "later\n" }, { reply.status, reply.body })
    end
    assert.equal(404, carrier(function() error "a bug" end, { opts = { on_error = function() return 404 end } }).status)
  end)

  carriers.each(it, "sends one content-type where http.error gives another one", function(carrier)
    local reply = carrier(function() error(server.error(400, "m", { ["Content-Type"] = "text/x" })) end)
    assert.same({ 400, "text/x", "m\n" }, { reply.status, reply.headers["content-type"], reply.body })
  end)

  it("reads the same body however the bytes are cut", function()
    local text = "POST / HTTP/1.1\r\n" .. CLOSE ..
      "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    for _, step in ipairs { 1, 2, 7, #text } do
      assert.truthy(ask(echo, text, step):find "\r\n\r\nabcde$")
    end
  end)

  it("answers 400 to a bare LF, and parses nothing after it", function()
    local calls = 0
    local answer = ask(function() calls = calls + 1 end,
      "GET / HTTP/1.1\nHost: x\n\nGET / HTTP/1.1\r\n" .. CLOSE .. "\r\n")
    assert.truthy(answer:find "^HTTP/1.1 400 ")
    assert.equal(0, calls)
    assert.is_nil(answer:find("HTTP/1.1", 2, true))
  end)

  it("answers pipelined requests in order", function()
    local answer = ask(function(req) return req.path end,
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\n" .. CLOSE .. "\r\n")
    assert.truthy(answer:find "\r\n\r\n/1HTTP/1.1 200 OK.*\r\n\r\n/2$")
  end)

  it("frames what is written in chunks, and for HTTP/1.0 by the end", function()
    local function write(_, res)
      res:write "a"
      res:write "b"
    end
    assert.truthy(ask(write, "GET / HTTP/1.1\r\n" .. CLOSE .. "\r\n")
      :find "\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n$")
    assert.truthy(ask(write, "GET / HTTP/1.0\r\n\r\n"):find "\r\n\r\nab$")
  end)

  it("takes a handler as require gives it, with the name of its file behind it", function()
    local handler = function() return "" end
    assert.matches("http.server", tostring(server.server(handler, "./app.lua")))
    assert.matches("http.server", tostring(server.server({}, handler, "./app.lua")))
    assert.matches("option", support.message_of(server.server, { "./app.lua" }, handler))
    assert.matches("#2 to 'server'", support.message_of(server.server, {}, "./app.lua"))
  end)

  it("tells of wrong options at the line that gives them", function()
    for _, fn in ipairs { server.serve, server.server } do
      for _, opts in ipairs { 8080, { prot = 8080 }, { on_error = 1 } } do
        local message = support.message_of(function() fn(opts, print) return nil end)
        assert.matches("^tests/spec/http/server_spec.lua:%d+: bad argument #1 to 'serve", message)
      end
    end
  end)

  carriers.each(it, "leads nowhere from a request that is over", function(carrier)
    local kept, kept_res
    carrier(function(req, res) kept, kept_res = req, res return "" end)
    assert.same({ "CLOSED" }, { select(3, kept:body()) })
    assert.same({ "CLOSED" }, { select(3, kept_res:write "x") })
    assert.has_error(function() return kept.path end)
    assert.has_error(function() kept_res.status = 200 end)
  end)
end)
