--- moonlet.http, routers: which handler a request is for, and what runs around it.

local support = dofile "tests/spec/support.lua"
local carriers = dofile "tests/spec/http/carriers.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

-- A test over each version of HTTP: body(ask), where ask(handler, method, path, opts) gives what the handler
-- answers to one request: status, body, headers.
local function each(title, body)
  carriers.each(it, title, function(carrier)
    body(function(handler, method, path, opts)
      local how = { method = method, path = path }
      for name, value in pairs(opts or {}) do how[name] = value end
      local reply = assert(carrier(handler, how))
      return reply.status, reply.body, reply.headers
    end)
  end)
end

local function says(text) return function() return text end end

describe("a router", function()
  each("calls the handler of the method and path", function(ask)
    local r = http.router():get("/a", says "get a"):post("/a", says "post a"):get("/", says "root")
    local status, body = ask(r, "GET", "/a")
    assert.same({ 200, "get a" }, { status, body })
    assert.equal("post a", (select(2, ask(r, "POST", "/a"))))
    assert.equal("root", (select(2, ask(r, "GET", "/"))))
    assert.equal(404, (ask(r, "GET", "/a/")))
    assert.equal(404, (ask(r, "GET", "/b")))
  end)

  each("hands parameters over decoded, and the rest of a path", function(ask)
    local function show(req) return req.route .. " " .. (req.params.id or "") .. (req.params.path or "") end
    local r = http.router():get("/users/{id}", show):get("/files/{path...}", show)
    assert.equal("/users/{id} a b/c", (select(2, ask(r, "GET", "/users/a%20b%2Fc"))))
    assert.equal("/files/{path...} x/y z", (select(2, ask(r, "GET", "/files/x/y%20z"))))
    assert.equal("/files/{path...} ", (select(2, ask(r, "GET", "/files/"))))
    assert.equal(404, (ask(r, "GET", "/users/")))
    assert.equal(404, (ask(r, "GET", "/files")))
  end)

  each("prefers text to a parameter and that to the rest, whatever was added first", function(ask)
    local r = http.router():get("/{rest...}", says "rest"):get("/{name}", says "name"):get("/me", says "text")
      :get("/{name}/x", says "name x")
    assert.equal("text", (select(2, ask(r, "GET", "/me"))))
    assert.equal("name", (select(2, ask(r, "GET", "/you"))))
    assert.equal("rest", (select(2, ask(r, "GET", "/you/and/me"))))
    assert.equal("name x", (select(2, ask(r, "GET", "/me/x"))))
  end)

  each("answers HEAD by GET, OPTIONS with what there is, and 405 with Allow", function(ask)
    local r = http.router():get("/a", says "a"):put("/a", says "put"):post("/{x}", says "any")
    local status, body = ask(r, "HEAD", "/a")
    assert.same({ 200, "" }, { status, body })
    local _, _, headers = ask(r, "OPTIONS", "/a")
    assert.equal("GET, HEAD, OPTIONS, POST, PUT", headers.allow)
    status, body, headers = ask(r, "DELETE", "/a")
    assert.equal("this method is not allowed here\n", body)
    assert.same({ 405, "GET, HEAD, OPTIONS, POST, PUT" }, { status, headers.allow })
    assert.equal("any", (select(2, ask(r, "POST", "/a"))))
  end)

  it("answers OPTIONS *, which asks for no resource, and so does a server of files", function()
    local seen = 0
    local plain = http.router():get("/a", says "a")
    local around = http.router():mount("", plain):use(function(_, _, next)
      seen = seen + 1
      next()
    end)
    for _, handler in ipairs { plain, around, http.files "docs" } do
      local here <close>, there = net.memory_pair()
      local serving = task.spawn(function() http.server(handler):serve(there) end)
      here:write "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
      local answers = here:read_all()
      assert.matches("^HTTP/1.1 204 ", answers)
      assert.matches("\nHTTP/1.1 404 ", answers)
      serving:join()
    end
    assert.equal(2, seen)
  end)

  each("runs middleware around everything, which sees and changes the answer", function(ask)
    local seen = {}
    local r = http.router()
    r:use(function(req, res, next)
      seen[#seen + 1] = "in " .. req.path
      next()
      res.headers["x-status"] = res.status
    end)
    r:use(function(req, _, next)
      if req.path == "/closed" then return 403, "closed" end
      next()
    end)
    r:get("/a", function() return 201, { ["x-a"] = "1" }, "made" end)
    local status, body, headers = ask(r, "GET", "/a")
    assert.same({ 201, "made", "1", "201" }, { status, body, headers["x-a"], headers["x-status"] })
    assert.equal(403, (ask(r, "GET", "/closed")))
    status, body, headers = ask(r, "GET", "/none")
    assert.equal("not found\n", body)
    assert.same({ 404, "404" }, { status, headers["x-status"] })
    assert.same({ "in /a", "in /closed", "in /none" }, seen)
  end)

  each("mounts other handlers, which see their part of the path", function(ask)
    local inner = http.router():get("/users/{id}", function(req) return req.path .. " " .. req.route end)
    local path
    local r = http.router():mount("/api/", inner):get("/api/own", says "own")
    r:use(function(req, _, next) next() path = req.path end)
    assert.equal("/users/7 /api/users/{id}", (select(2, ask(r, "GET", "/api/users/7"))))
    assert.equal("/api/users/7", path)
    assert.equal("own", (select(2, ask(r, "GET", "/api/own"))))
    assert.equal(404, (ask(r, "GET", "/apinot")))
  end)

  each("limits what a route's options say", function(ask)
    local r = http.router():post("/small", { max_body = 3 }, function(req) return req:body() end)
      :get("/slow", { timeout = 0.05 }, function() task.sleep(30) return "late" end)
    assert.equal(200, (ask(r, "POST", "/small", { body = "abc" })))
    assert.equal(413, (ask(r, "POST", "/small", { body = "abcd" })))
    assert.equal(503, (ask(r, "GET", "/slow")))
  end)

  each("takes a handler as require gives it, with the name of its file behind it", function(ask)
    local r = http.router():get("/a", says "a", "./a.lua")
    assert.equal(200, (ask(r, "GET", "/a")))
  end)

  it("refuses patterns that are none, at the line that adds them", function()
    local r = http.router():get("/a", says "a")
    for _, pattern in ipairs { "a", "/{", "/{a}b", "/{a...}/b", "/{a}/{a}", "/a" } do
      local ok, message = pcall(function() r:get(pattern, says "x") end)
      assert.is_false(ok, pattern)
      assert.matches("router_spec.lua:%d+: bad argument #1 to 'get'", message)
    end
    assert.is_false((pcall(r.get, r, {}, says "x")))
    assert.is_false((pcall(r.get, r, "/x", "no function")))
  end)
end)
