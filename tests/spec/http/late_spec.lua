--- moonlet.http: a request and a response that are used after their handler lead nowhere: nothing of another request is
-- seen, nothing of another answer is changed, and waits in them end.

local support = dofile "tests/spec/support.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

local FIELDS = { "method", "target", "path", "query", "version", "scheme", "host", "peer", "client", "route", "tls",
  "params", "headers", "locals" }

local READS = {
  body = {}, json = {}, form = {}, read_some = {}, read = { "a" }, lines = {}, chunks = {}, cookies = {},
  parts = {}, trailers = {}, gone = {}, save = { "/dev/null" },
}

local WRITES = {
  write = { "LATE" }, flush = {}, send = { "LATE" }, json = { { LATE = true } }, redirect = { "/LATE" }, events = {},
  inform = { 103, { link = "LATE" } }, trailer = { "x-late", "LATE" }, cookie = { "LATE", "1" }, set_timeout = { 1 },
  file = { "README.md" }, hijack = {}, sent = {},
}

-- All text in a value, whatever it is.
local function text_of(value, seen)
  seen = seen or {}
  if seen[value] then return "" end
  if type(value) == "string" then return value end
  if type(value) ~= "table" and type(value) ~= "userdata" then return tostring(value) end
  seen[value] = true
  local out = { tostring(value) }
  local ok, next_pair, state, key = pcall(pairs, value)
  if ok then
    pcall(function()
      for k, v in next_pair, state, key do
        out[#out + 1] = text_of(k, seen)
        out[#out + 1] = text_of(v, seen)
      end
    end)
  end
  return table.concat(out, " ")
end

-- What comes of a call, an iterator's first value included.
local function attempt(fn, ...)
  local results = table.pack(pcall(fn, ...))
  local out = {}
  for i = 1, results.n do
    local value = results[i]
    if type(value) == "function" then
      out[#out + 1] = text_of(table.pack(pcall(value)))
    else
      out[#out + 1] = text_of(value)
    end
  end
  return table.concat(out, " ")
end

-- Uses all of a request and a response that are over; the text of all that it led to.
local function use(kept)
  local out = {}
  for _, name in ipairs(FIELDS) do out[#out + 1] = attempt(function() return kept.req[name] end) end
  for name, arguments in pairs(READS) do
    local method = kept.methods[name]
    out[#out + 1] = attempt(method, kept.req, table.unpack(arguments))
  end
  out[#out + 1] = text_of(kept.headers)
  for _, iterator in ipairs(kept.iterators) do out[#out + 1] = attempt(iterator) end
  for name, arguments in pairs(WRITES) do
    local method = kept.res_methods[name]
    if method then out[#out + 1] = attempt(method, kept.res, table.unpack(arguments)) end
  end
  attempt(function() kept.res.status = 599 end)
  attempt(function() kept.res.headers["x-late"] = "LATE" end)
  attempt(function() kept.res_headers["x-late"] = "LATE" end)
  return table.concat(out, "\n")
end

-- All that can be taken along from a handler.
local function keep(req, res)
  local kept = { req = req, res = res, methods = {}, res_methods = {}, headers = req.headers,
    res_headers = res.headers, iterators = {} }
  for name in pairs(READS) do kept.methods[name] = req[name] end
  for name in pairs(WRITES) do kept.res_methods[name] = res[name] end
  kept.iterators[1] = req:chunks()
  return kept
end

local function post(path, secret, extra)
  local body = "body=" .. secret
  return ("POST %s HTTP/1.1\r\nHost: %s\r\nX-Secret: %s\r\nCookie: c=%s\r\n%sContent-Type: "
    .. "application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s"):format(path, secret:lower(), secret, secret,
    extra or "", #body, body)
end

local function check(seen, answer)
  assert.is_true(#seen > 0)
  for _, text in ipairs(seen) do assert.is_nil(text:upper():find("SECOND", 1, true), text) end
  assert.is_nil(answer:find("LATE", 1, true), answer)
end

describe("what is left of a request", function()
  it("shows nothing of the one that is pipelined behind it, and adds nothing to its answer", function()
    local here <close>, there = net.pair()
    local kept, seen = nil, {}
    local server = http.server({ on_error = function() end }, function(req, res)
      if req.path == "/first" then
        kept = keep(req, res)
        return 200, "first"
      end
      seen[1] = use(kept)
      assert(req:body())
      seen[2] = use(kept)
      res:write "sec"
      seen[3] = use(kept)
      res:write "ond"
    end)
    local serving = task.spawn(server.serve, server, there)
    here:write(post("/first", "FIRST"), post("/second", "SECOND", "Connection: close\r\n"))
    local answer = here:read_all()
    serving:join()
    seen[4] = use(kept)
    assert.equal(4, #seen)
    check(seen, answer)
    assert.matches("^HTTP/1.1 200 OK\r\n.-\r\n\r\nfirstHTTP/1.1 200 OK\r\n.-\r\n\r\n3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n$",
      answer)
  end)

  it("ends a read that waits in another task, which gets nothing of the next request", function()
    local here <close>, there = net.pair()
    local reader, result
    local server = http.server({ on_error = function() end }, function(req)
      if req.path == "/second" then return 200, (req:body()) end
      reader = task.spawn(function() result = table.pack(req:read_some()) end)
      support.parked(reader)
      return 200, "first"
    end)
    local serving = task.spawn(server.serve, server, there)
    here:write "POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
    support.eventually(function() return reader end)
    here:write("first", post("/second", "SECOND", "Connection: close\r\n"))
    local answer = here:read_all()
    serving:join()
    support.finish(reader)
    assert.is_nil(text_of(result):find "SECOND")
    assert.matches("first", answer)
    here:close()
  end)

  it("shows nothing of another stream of the same connection (HTTP/2)", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local kept, seen = nil, {}
    local function note(late)
      local values = use(late) -- others may run meanwhile
      seen[#seen + 1] = values
    end
    local server = http.server({ on_error = function() end }, function(req, res)
      if req.path == "/first" then
        kept = keep(req, res)
        return 200, "first"
      end
      note(kept)
      assert(req:body())
      note(kept)
      res:write "sec"
      note(kept)
      res:write "ond"
    end)
    local serving = task.spawn(server.serve, server, listener)
    local c <close> = http.client { version = "2" }
    local base = "http://" .. tostring(listener:address())
    local function ask(path, secret)
      return assert(c:post(base .. path, { headers = { ["x-secret"] = secret, cookie = "c=" .. secret },
        form = { body = secret } }))
    end
    local first = ask("/first", "FIRST")
    assert.equal("first", first.body)
    local asking = {}
    for i = 1, 3 do asking[i] = task.spawn(ask, "/second", "SECOND") end
    for i = 1, 3 do
      local r = support.finish(asking[i])
      assert.same({ 200, "second", "2" }, { r.status, r.body, r.version })
      assert.is_nil(text_of(r.headers):find "LATE")
    end
    assert.equal(9, #seen)
    check(seen, "")
    c:close()
    server:stop(0)
    serving:join()
  end)

  it("ends reads and writes that wait when the peer has gone, in each order", function()
    for _, how in ipairs { "read", "write" } do
      local here, there = net.memory_pair { capacity = 10 }
      local waiting, result
      local server = http.server({ on_error = function() end, on_gone = "ignore" }, function(req, res)
        waiting = task.spawn(function()
          if how == "read" then
            result = table.pack(req:read_some())
          else
            result = table.pack(res:write(("x"):rep(100000)))
          end
        end)
        support.parked(waiting)
        here:close()
        return 200, "gone"
      end)
      local serving = task.spawn(server.serve, server, there)
      local writing = task.spawn({ quiet = true }, here.write, here,
        "POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
      serving:join()
      writing:join()
      support.finish(waiting)
      assert.is_nil(result[1])
      assert.is_string(result[3])
    end
  end)
end)
