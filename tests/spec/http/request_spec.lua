--- moonlet.http: how handlers read requests. Each over every version of HTTP.

local support = dofile "tests/spec/support.lua"
local carriers = dofile "tests/spec/http/carriers.lua"
local http = require "moonlet.http"
local json = require "moonlet.json"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

local function post(ask, body, handler, kind)
  local headers = { ["Content-Type"] = kind or "text/plain" }
  local reply = assert(ask(handler, { method = "POST", body = body, headers = headers }))
  return reply.body, reply.status
end

local function all_of(...) return json.encode { ... } end

local function show(...)
  local out = {}
  for i = 1, select("#", ...) do out[i] = ("%q"):format((select(i, ...))) end
  return table.concat(out, " ")
end

describe("req:read", function()
  carriers.each(it, "reads lines, numbers, counts and all, as io's files do", function(ask)
    local body = "one\r\n\n 0x1F 12.5e1rest\nlast"
    assert.equal(show("one\r", "", 31, 125.0, "re", "st\n", "last", nil), (post(ask, body, function(req)
      local a, b = req:read("l", "*l")
      local c, d = req:read("n", "n")
      local e = req:read(2)
      local f = req:read "L"
      local g = req:read()
      return show(a, b, c, d, e, f, g, req:read())
    end)))
  end)

  carriers.each(it, "gives \"\" for all of nothing, nil for anything else at the end", function(ask)
    assert.equal(show("", nil, nil, nil, nil), (post(ask, "x", function(req)
      req:read "a"
      return show(req:read "a", (req:read "l"), (req:read(0)), (req:read "n"), (req:read(1)))
    end)))
  end)

  carriers.each(it, "stops at the first format that finds nothing", function(ask)
    assert.equal(show("x", nil), (post(ask, "x", function(req) return show(req:read("l", "l", "l")) end)))
  end)

  carriers.each(it, "gives read_some what lines have left", function(ask)
    assert.equal("a|true|bcdef", (post(ask, "a\nbcdef", function(req)
      local line = req:read()
      local piece = req:read_some(2)
      return line .. "|" .. tostring(#piece == 1 or #piece == 2) .. "|" .. piece .. req:read "a"
    end)))
  end)

  carriers.each(it, "refuses other formats, and to be mixed with the whole body", function(ask)
    assert.equal("falsefalsefalsefalsefalse", (post(ask, "x", function(req)
      local out = ""
      for _, format in ipairs { "x", "*", -1, 1.5, {} } do out = out .. tostring((pcall(req.read, req, format))) end
      return out
    end)))
    assert.equal("false", (post(ask, "x", function(req)
      req:read(1)
      return tostring((pcall(req.body, req)))
    end)))
    assert.equal("false", (post(ask, "x", function(req)
      req:body()
      return tostring((pcall(req.read, req, 1)))
    end)))
  end)

  it("leaves what several formats have read when a later one fails", function()
    local here <close>, there = net.pair()
    local seen
    local server = http.server({ read_timeout = 0.05, on_error = function() end }, function(req)
      local a, _, code = req:read("l", "l")
      seen = { a, code, (req:read "l") }
      return 200
    end)
    local serving = task.spawn(server.serve, server, there)
    here:write "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\none\ntwo"
    here:read_until "\r\n"
    here:close()
    serving:join()
    assert.same({ nil, "ETIMEDOUT", "one" }, { seen[1], seen[2], seen[3] })
  end)

  it("leaves what it has read when its task is cancelled", function()
    local here <close>, there = net.pair()
    local reading, seen = nil, nil
    local server = http.server(function(req)
      reading = task.spawn({ quiet = true }, req.read, req, "l")
      reading:join()
      seen = req:read "l"
      return 200
    end)
    local serving = task.spawn(server.serve, server, there)
    here:write "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 8\r\n\r\none"
    support.eventually(function() return reading end)
    support.parked(reading)
    task.sleep(0)
    reading:cancel()
    here:write " two\n"
    here:read_all()
    serving:join()
    assert.equal("one two", seen)
  end)

  carriers.each(it, "iterates over lines and pieces", function(ask)
    assert.equal("[a][][b]", (post(ask, "a\n\nb", function(req)
      local out = ""
      for line in req:lines() do out = out .. "[" .. line .. "]" end
      return out
    end)))
    assert.equal("[1][2]", (post(ask, "1 2", function(req)
      local out = ""
      for number in req:lines "n" do out = out .. "[" .. number .. "]" end
      return out
    end)))
    assert.equal("abc", (post(ask, "abc", function(req)
      local out = ""
      for piece in req:chunks(1) do
        assert(#piece == 1)
        out = out .. piece
      end
      return out
    end)))
  end)

  carriers.each(it, "answers 413 if a body that is iterated over is too large", function(ask)
    local reply = ask(function(req)
      for _ in req:chunks() do end -- luacheck: ignore 542
      return "unreached"
    end, { method = "POST", body = ("x"):rep(20), opts = { max_body = 10 } })
    assert.equal(413, reply.status)
  end)
end)

describe("req:json", function()
  carriers.each(it, "answers 400 if the handler returns its failure, and also if it raises it", function(ask)
    assert.same({ 400 }, { select(2, post(ask, "{", function(req) return req:json() end)) })
    assert.same({ 500 }, { select(2, post(ask, "{", function(req)
      req:json()
      return nil, "the database is away", "EPIPE"
    end)) })
    assert.equal(all_of(1, "x"), (post(ask, '{"a":[1,"x"]}', function(req)
      local a = req:json().a
      return all_of(a[1], a[2])
    end)))
  end)
end)

-- Each way to find out that the body is wrong: what it is of, its type, how it is read, and the status.
local FAILURES = {
  { "{", "application/json", function(req) return req:json() end, 400 },
  { "x", "text/plain", function(req) return req:form() end, 400 },
  { "--c", "multipart/form-data; boundary=b", function(req) return req:form() end, 400 },
  { "--\r\n", 'multipart/form-data; boundary=""', function(req) return req:form() end, 400 },
  { "--b \r\n", 'multipart/form-data; boundary="b "', function(req) return req:form() end, 400 },
  { "--b \r\n", 'multipart/form-data; boundary="b "', function(req) return req:parts() end, 400 },
  { "--b\r\n", "multipart/form-data; boundary=" .. ("b"):rep(71), function(req) return req:form() end, 400 },
  { "x", "text/plain", function(req) return req:parts() end, 400 },
  { ("x"):rep(40), "text/plain", function(req) return req:body() end, 413 },
  { ("x"):rep(40), "text/plain", function(req) return req:json() end, 413 },
  { ("x"):rep(40), "text/plain", function(req) return req:read "a" end, 413 },
  { ("x"):rep(40), "text/plain", function(req) return req:save(os.tmpname()) end, 413 },
}

-- Lua's, which a spec's own stands before.
local plain_assert = load "return assert" ()

-- Ways in which a handler hands a failure on.
local HANDED_ON = {
  returned = function(value, message, code) return value, message, code end,
  asserted = function(...) return (plain_assert(...)) end,
  raised = function(_, message) error(message, 0) end,
  ["raised with the place before it"] = function(_, message) error(message) end,
}

local function report_nothing()
  return 500, "on_error was asked"
end

describe("a failure of the body", function()
  for how, hand_on in pairs(HANDED_ON) do
    carriers.each(it, "answers its status, and is not reported, if it is " .. how, function(ask)
      for _, failure in ipairs(FAILURES) do
        local body, kind, read, status = table.unpack(failure)
        local reply = ask(function(req) return hand_on(read(req)) end, {
          method = "POST", body = body, headers = { ["Content-Type"] = kind },
          opts = { max_body = 30, on_error = report_nothing },
        })
        assert.equal(status, reply.status, kind .. ": " .. reply.body)
        assert.is_nil(reply.body:find("on_error", 1, true))
        assert.is_nil(reply.body:find("_spec", 1, true), reply.body)
      end
    end)
  end

  carriers.each(it, "is one of several that the handler has met", function(ask)
    assert.same({ 400 }, { select(2, post(ask, "{", function(req)
      local value, message, code = req:json()
      req:form()
      return value, message, code
    end)) })
    assert.same({ 400 }, { select(2, post(ask, "{", function(req)
      local _, message = req:json()
      req:form()
      error(message)
    end)) })
  end)

  carriers.each(it, "is not every error behind it", function(ask)
    local function fail_with(problem)
      local reply = ask(function(req)
        req:json()
        if type(problem) == "string" then return nil, "away", problem end
        error(problem, 0)
      end, { method = "POST", body = ("x"):rep(40), opts = { max_body = 30, on_error = report_nothing } })
      return reply.status
    end
    assert.equal(500, fail_with "ECONNREFUSED")
    assert.equal(500, fail_with { message = "away", code = "ECONNREFUSED" })
    assert.equal(500, fail_with { code = 413 })
    assert.equal(413, fail_with "EMSGSIZE")
  end)

  carriers.each(it, "is known by the whole message alone", function(ask)
    for _, text in ipairs { "%s!", "x%s", "x: %s", "x:: %s", "x:1 %s", ":%s", "1: %s" } do
      assert.same({ 500 }, { select(2, post(ask, "x", function(req)
        local _, message = req:form()
        error(text:format(message), 0)
      end)) }, text)
    end
  end)

  it("is told as itself, and cuts the answer, once the head is out", function()
    local output = support.run [[
      local http, net, task = require "moonlet.http", require "moonlet.net", require "moonlet.task"
      local function serve(handler)
        local near, far = net.memory_pair()
        local serving = task.spawn(function() http.server(handler):serve(far) end)
        near:write "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{"
        local answer = near:read_all() or ""
        serving:join()
        print(answer:match "^HTTP/1.1 (%d+)", (answer:find "0\r\n\r\n$"))
      end
      serve(function(req, res) res:write "x" return req:json() end)
      serve(function(req, res) res:write "x" assert(req:json()) end)
      serve(function(req, res) res:write "x" return nil, "away", "ECONNREFUSED" end)
    ]]
    assert.equal(3, select(2, output:gsub("200\tnil\n", "")))
    assert.is_nil(output:find("line 1", 1, true), output)
    assert.is_nil(output:find("has been sent", 1, true), output)
    assert.matches("away", output)
  end)

  -- It was 500, as if the program had failed: every upload that somebody breaks off was an alarm.
  it("of a peer that leaves in the middle answers 400", function()
    local reads = {
      function(req) return req:body() end, function(req) return req:json() end, function(req) return req:form() end,
      function(req) return req:read "a" end, function(req) return req:save(os.tmpname()) end,
      function(req) for _ in req:chunks() do end return true end, -- luacheck: ignore 542
      function(req)
        for part in plain_assert(req:parts()) do
          local text, message, code = part:body()
          if not text then return nil, message, code end
        end
        return true
      end,
    }
    for _, framing in ipairs { "Content-Length: 1000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n3e8\r\n" } do
      for i, read in ipairs(reads) do
        for how, hand_on in pairs(HANDED_ON) do
          local here <close>, there = net.memory_pair()
          local server = http.server({ on_error = report_nothing }, function(req) return hand_on(read(req)) end)
          task.spawn(server.serve, server, there)
          here:write("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n", framing,
            "--x\r\ncontent-disposition: form-data; name=a\r\n\r\nhal")
          here:shutdown()
          assert.equal("HTTP/1.1 400 Bad Request", here:read_line(), ("%s, %d, %s"):format(framing, i, how))
        end
      end
    end
  end)

  it("of a peer that has left is not reported, either", function()
    local output = support.run [[
      local http, net, task = require "moonlet.http", require "moonlet.net", require "moonlet.task"
      local near, far = net.memory_pair()
      local serving = task.spawn(function() http.server(function(req) assert(req:body()) end):serve(far) end)
      near:write "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"
      near:close()
      serving:join()
      print "over"
    ]]
    assert.equal("over\n", output)
  end)
end)

describe("req:form", function()
  carriers.each(it, "decodes the fields, keeps names as they are, and may be called again", function(ask)
    assert.equal(show("x y", "1", "1, 2", "x y"), (post(ask, "Name=x+y&n=1&n=2&e%3D=1", function(req)
      local form = req:form()
      return show(form.Name, form["e="], form.n, req:form().Name)
    end, "application/x-www-form-urlencoded; charset=utf-8")))
  end)

  carriers.each(it, "reads multipart forms, too: fields and files", function(ask)
    local body = '--b\r\nContent-Disposition: form-data; name="a&b"\r\n\r\n1=%\r\n' ..
      '--b\r\nContent-Disposition: form-data; name="f"; filename="/x/y.txt"\r\n\r\ndata\r\n--b--'
    assert.equal(show("1=%", 1, "f", "y.txt", "application/octet-stream", "data"), (post(ask, body, function(req)
      local form, files = req:form()
      local file = files[1]
      return show(form["a&b"], #files, file.name, file.filename, file.type, file.data)
    end, "multipart/form-data; boundary=b")))
  end)

  carriers.each(it, "answers 400 for what is no form", function(ask)
    for _, kind in ipairs { "text/plain", "multipart/form-data", "multipart/form-data; boundary=b" } do
      assert.same({ 400 }, { select(2, post(ask, "--c", function(req) return req:form() end, kind)) })
    end
  end)
end)

describe("req:cookies", function()
  carriers.each(it, "reads them from all lines, the first of a name counts", function(ask)
    local reply = ask(function(req)
      local c = req:cookies()
      return show(c.a, c.b, c.c, c.d, c.e)
    end, { headers = { { "Cookie", 'a=1; b="two"; a=2;c=x=y' }, { "Cookie", "d=; =z; nothing; e =1" } } })
    assert.equal(show("1", "two", "x=y", "", "1"), reply.body)
  end)

  carriers.each(it, "gives an empty table without any", function(ask)
    assert.equal("nil", ask(function(req) return tostring(next(req:cookies())) end).body)
  end)
end)

describe("req:save", function()
  local function with_path(body)
    local path = os.tmpname()
    body(path)
    os.remove(path)
  end

  local function count_beside(path)
    local pipe <close> = assert(io.popen("ls -d " .. path .. "* 2>/dev/null | wc -l"))
    return pipe:read "n"
  end

  carriers.each(it, "writes the body to the file and tells its size", function(ask)
    with_path(function(path)
      local body = ("0123456789"):rep(5000)
      assert.equal("50000", (post(ask, body, function(req) return tostring(req:save(path)) end)))
      assert.equal(body, support.read_file(path))
      assert.equal(1, count_beside(path))
    end)
  end)

  carriers.each(it, "leaves the file alone if the body is too large, and answers 413", function(ask)
    with_path(function(path)
      local file = assert(io.open(path, "w"))
      file:write "old"
      file:close()
      local _, status = post(ask, ("x"):rep(100), function(req) return req:save(path, 50) end)
      assert.equal(413, status)
      assert.equal("old", support.read_file(path))
      assert.equal(1, count_beside(path))
    end)
  end)

  it("leaves nothing behind when the peer leaves, or the handler is cancelled", function()
    with_path(function(path)
      os.remove(path)
      local here <close>, there = net.pair()
      local code
      local server = http.server(function(req)
        code = select(3, req:save(path))
        return 200
      end)
      local serving = task.spawn(server.serve, server, there)
      here:write "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"
      here:close()
      serving:join()
      assert.truthy(code == "EEOF" or code == "ECONNRESET")
      assert.equal(0, count_beside(path))
    end)
  end)

  it("says why it cannot, and keeps permissions of a file that it replaces", function()
    local ask = carriers.memory
    assert.equal("ENOENT", (post(ask, "x", function(req) return (select(3, req:save "/nowhere/at/all")) end)))
    assert.equal("EISDIR", (post(ask, "x", function(req) return (select(3, req:save "/tmp")) end)))
    assert.equal("false", (post(ask, "x", function(req) return tostring((pcall(req.save, req, "/tmp/a\0b"))) end)))
    with_path(function(path)
      os.execute("chmod 640 " .. path)
      post(ask, "x", function(req) req:save(path) end)
      local pipe <close> = assert(io.popen("stat -c %a " .. path))
      assert.equal("640", pipe:read "l")
    end)
  end)
end)
