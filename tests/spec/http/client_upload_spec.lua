-- Bodies that moonlet.http's client sends in parts: at the same time the response is awaited and read.

local support = dofile("tests/spec/support.lua")
local clients = dofile "tests/spec/http/clients.lua"
local channel = require "moonlet.channel"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
package.cpath = assert(os.getenv "MOONLET_TESTS") .. "/?.so;" .. package.cpath
local faults = require "memory_faults"
local it = support.limited(it)
local simulated = support.virtual(it)
local script_of = clients.scripted

--- A client of moonlet's own server, in a version of HTTP.
local function client_of(version, handler, opts)
  local server = http.server({ on_error = function() return 500 end }, handler)
  opts = opts or {}
  opts.version = version
  return (script_of(function(far) server:serve(far) end, opts))
end

local function read_head(s)
  repeat
    local line = s:read_line()
    if not line then return nil end
  until line == ""
  return true
end

local OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

local function fails(code, value, message, got)
  assert.is_nil(value)
  assert.is_string(message)
  assert.equal(code, got, message)
end

local function count_up(n, size)
  local i = 0
  return function()
    i = i + 1
    if i <= n then return ("x"):rep(size or 1000) end
  end
end

local function raises(fragment, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_truthy(tostring(err):find(fragment, 1, true), tostring(err))
end

local function no_more_open(c)
  support.eventually(function() return c:stats().open == c:stats().idle end)
end

for _, version in ipairs { "1.1", "2" } do
  describe("a body in parts, HTTP/" .. version, function()
    it("is sent while the response is read: each part may depend on what was answered", function()
      local c <close> = client_of(version, function(req, res)
        res:flush()
        for piece in req:chunks() do
          res:write(piece:upper())
          res:flush()
        end
        res:write "end"
      end)
      for _ = 1, 3 do
        local parts = channel.new()
        local function body() return (parts:get()) end
        local r <close> = assert(c:stream { url = "http://a/", method = "POST", body = body })
        assert.equal(200, r.status)
        for i = 1, 5 do
          parts:put("part " .. i)
          assert.equal("PART " .. i, r:read(6))
        end
        parts:close()
        assert.equal("end", r:read_all())
      end
      assert.same({ made = 1, open = 1, idle = 1, reused = 2 }, c:stats())
    end)

    it("goes on after a whole response of status 200, whose connection serves again when it is through", function()
      local got
      local c <close> = client_of(version, function(req, res)
        if req.method == "GET" then return "next" end
        res.headers["content-length"] = "2"
        res:write "ok"
        res:flush()
        got = #req:body(1 << 20)
      end)
      assert.equal("ok", assert(c:post("http://a/", { body = count_up(200) })).body)
      support.eventually(function() return got end)
      assert.equal(200000, got)
      local r <close> = assert(c:stream { url = "http://a/", method = "POST", body = count_up(200) })
      assert.equal("ok", r:read_all())
      support.eventually(function() return c:stats().idle == 1 end)
      assert.equal("next", assert(c:get "http://a/").body)
      assert.equal(1, c:stats().made)
    end)

    it("ends when the status says that it is not wanted, and the response is read", function()
      local given = 0
      local c <close> = client_of(version, function(req)
        if req.method == "GET" then return "next" end
        return 413, "too much"
      end)
      local function forever()
        given = given + 1
        if given > 5 then task.sleep(3600) end
        return "x"
      end
      local r = assert(c:post("http://a/", { body = forever }))
      assert.same({ 413, "too much" }, { r.status, r.body })
      assert.is_true(given <= 6)
      no_more_open(c)
      assert.equal("next", assert(c:get "http://a/").body)
    end)

    it("that large is echoed by a server which writes as it reads", function()
      local c <close> = client_of(version, function(req, res)
        for piece in req:chunks() do res:write(piece) end
      end, { network = { capacity = 4096 } })
      local text = ("0123456789"):rep(40000)
      assert.is_true(assert(c:post("http://a/", { body = text })).body == text)
      assert.equal(400000, #assert(c:post("http://a/", { body = count_up(400) })).body)
      assert.same({ 1, 1 }, { c:stats().open, c:stats().idle })
    end)

    it("that raises breaks the connection, and its error is the caller's", function()
      local ended
      local c <close> = client_of(version, function(req, res)
        if req.path == "/late" then res:flush() end
        local body, _, code = req:body(1000)
        ended = code or body
        return "never"
      end)
      local function broken()
        local i = 0
        return function()
          i = i + 1
          if i == 3 then error("my own mistake", 0) end
          return "abc"
        end
      end
      raises("my own mistake", c.post, c, "http://a/", { body = broken() })
      support.eventually(function() return ended end)
      assert.is_truthy(ended == "EEOF" or ended == "ECONNRESET", ended)
      raises("must return strings, not a table", c.post, c, "http://a/", { body = function() return {} end })
      local go = channel.new()
      local r <close> = assert(c:stream { url = "http://a/late", method = "POST", body = function()
        go:get()
        error({ mine = true })
      end })
      go:close()
      local ok, err = pcall(r.read_all, r)
      assert.same({ false, true }, { ok, err.mine })
      no_more_open(c)
    end)

    it("whose function fails is a failure of the request, never a whole one", function()
      local ended
      local c <close> = client_of(version, function(req)
        local body, _, code = req:body(1000)
        ended = code or body
        return "never"
      end)
      local i = 0
      local r, message, code = c:post("http://a/", { body = function()
        i = i + 1
        if i == 2 then return nil, "the disk is on fire", "EIO" end
        return "abc"
      end })
      assert.same({ "the disk is on fire", "EIO" }, { message, code }, r)
      support.eventually(function() return ended end)
      assert.is_truthy(ended == "EEOF" or ended == "ECONNRESET", ended)
      no_more_open(c)
    end)

    it("ends with the response that is closed, or forgotten", function()
      local c <close> = client_of(version, function(req, res)
        res:flush()
        for _ in req:chunks() do end
      end)
      for i = 1, 4 do
        local t
        local function body()
          t = task.current()
          task.sleep(3600)
        end
        local r = assert(c:stream { url = "http://a/", method = "POST", body = body })
        if i % 2 == 0 then r:close() end
        r = nil -- luacheck: ignore 311
        support.eventually(function()
          collectgarbage()
          return t and t:status() == "cancelled"
        end)
      end
      no_more_open(c)
    end)

    it("may be cancelled after each number of switches, with the task that asked for it", function()
      for switches = 0, 40 do
        local c <close> = client_of(version, function(req, res)
          for piece in req:chunks() do
            res:write(piece)
            res:flush()
          end
        end, { pool = { per_host = 1 } })
        local t = task.spawn({ quiet = true }, function()
          local r <close> = assert(c:stream { url = "http://a/", method = "POST", body = count_up(20, 10) })
          for _ in r:chunks() do task.yield() end
        end)
        for _ = 1, switches do task.yield() end
        t:cancel()
        t:join()
        assert.equal("ab", assert(c:post("http://a/", { body = { "a", "b" } })).body)
        no_more_open(c)
      end
    end)

    simulated("may last longer than the time for the head, which counts from its end", function()
      local c <close> = client_of(version, function(req, res)
        req:body()
        if req.path == "/slow" then task.sleep(20) end
        res:write "x"
      end)
      local function slow()
        local n = 0
        return function()
          n = n + 1
          task.sleep(3)
          return n < 10 and "x" or nil
        end
      end
      local opts = { body = slow(), timeout = { head = 5, total = 100 } }
      assert.equal("x", assert(c:post("http://a/", opts)).body)
      local before = task.now()
      fails("ETIMEDOUT", c:post("http://a/slow", { body = slow(), timeout = { head = 5, total = 100 } }))
      assert.equal(35, math.floor(task.now() - before + 0.5))
      no_more_open(c)
    end)

    -- Sends it, and says what became of the request: the answer's text; or code, what the handler met, message.
    local function send(opts)
      local met
      local c <close> = client_of(version, function(req)
        local body, _, code = req:body(1 << 20)
        met = code or "whole"
        return (req.headers["content-length"] or "-") .. "|" .. (body or code)
      end)
      local r, message, code = c:post("http://a/", opts)
      if r then return r.body end
      no_more_open(c)
      if opts.length ~= 0 then support.eventually(function() return met end) end
      return code, met, message
    end

    it("with a length is sent without chunks", function()
      local function pieces(...)
        local list, i = { ... }, 0
        return function()
          i = i + 1
          return list[i]
        end
      end
      assert.equal("5|abcde", send { body = pieces("ab", "", "cde"), length = 5 })
      assert.equal("5|abcde", send { body = pieces("ab", "cde", "", ""), length = 5.0 })
      assert.equal("0|", send { body = pieces(), length = 0 })
      assert.equal("0|", send { body = pieces("", ""), length = 0 })
      assert.equal("3|abc", send { body = "abc", length = 3 })
      local near, far = net.memory_pair()
      task.spawn({ daemon = true }, function()
        near:write "from a stream"
        near:close()
      end)
      assert.equal("13|from a stream", send { body = far, length = 13 })
      assert.equal("100000|" .. ("x"):rep(100000), send { body = count_up(100), length = 100000 })
    end)

    it("of fewer or more bytes than its length is never a whole request", function()
      local wrong = {
        { 5, "abcd" }, { 5 }, { 5, "", "" }, { 5, "abcdef" }, { 5, "abcde", "f" }, { 5, "abcde", "", "f" },
        { 5, "abc", "def" }, { 0, "a" }, { 0, "", "a" }, { 1 << 40, "abc" }, { 3, "abc", "" , "", "d" },
        { math.maxinteger, "a" },
      }
      for _, case in ipairs(wrong) do
        local i = 1
        local code, met, message = send { length = case[1], body = function()
          i = i + 1
          return case[i]
        end }
        local given = #table.concat(case, "", 2)
        assert.equal("EPROTO", code)
        assert.matches(given < case[1] and "shorter than its length" or "longer than its length", message)
        assert.not_equal("whole", met)
      end
    end)

    it("that fails at the end of its length is no whole request either", function()
      local i = 0
      local code, met = send { length = 5, body = function()
        i = i + 1
        if i == 1 then return "abcde" end
        return nil, "the disk is on fire", "EIO"
      end }
      assert.equal("EIO", code)
      assert.not_equal("whole", met)
    end)

    it("of a file has the file's size, from where it stands; of a pipe it has none", function()
      local path = os.tmpname()
      local file <close> = assert(io.open(path, "w+b"))
      file:write(("y"):rep(1000), "tail")
      file:seek("set", 1000)
      assert.equal("4|tail", send { body = file })
      file:seek("set", 1000)
      assert.equal("4|tail", send { body = file, length = 4 })
      file:seek("set", 1000)
      assert.equal("EPROTO", (send { body = file, length = 3 }))
      file:seek("end")
      assert.equal("0|", send { body = file })
      local opened <close> = assert(require("moonlet.fs").open(path))
      opened:seek("set", 1000)
      file:flush()
      assert.equal("4|tail", send { body = opened })
      local pipe <close> = assert(io.popen "printf piped")
      assert.equal("-|piped", send { body = pipe })
      local sized <close> = assert(io.popen "printf piped")
      assert.equal("5|piped", send { body = sized, length = 5 })
      os.remove(path)
    end)

    it("of a form that fails in the middle is a failure", function()
      local code, met = send { multipart = { a = "1", b = { filename = "x", body = function()
        return nil, "the disk is on fire", "EIO"
      end } } }
      assert.equal("EIO", code)
      assert.not_equal("whole", met)
    end)

    -- A file as `data` was sent as what tostring() makes of it: "file (0x...)", and nothing failed.
    it("of a form has the content of files, functions, lists and streams, as data or body", function()
      local path = os.tmpname()
      local file <close> = assert(io.open(path, "w+"))
      file:write "of a file"
      file:flush()
      local opened <close> = assert(require("moonlet.fs").open(path))
      for _, name in ipairs { "data", "body" } do
        local once = count_up(1, 3)
        for text, content in pairs {
          ["of a file"] = file, ["of a list"] = { "of a", " list" }, xxx = once, ["7"] = 7, ["true"] = true,
        } do
          file:seek "set"
          local got = send { multipart = { f = { [name] = content, filename = "n" } } }
          assert.matches('filename="n"\r\ncontent%-type: application/octet%-stream\r\n\r\n' .. text .. "\r\n", got)
          assert.equal(content == once, got:find("-|", 1, true) == 1) -- the length of a function is unknown
        end
        assert.matches("\r\n\r\nof a file\r\n", (send { multipart = { f = { [name] = opened } } }))
        opened:seek "set"
      end
      assert.matches("\r\n\r\nof a file\r\n", (send { multipart = { f = { path = path } } }))
      os.remove(path)
    end)

    it("of a form keeps the order of parts of one name", function()
      local many = {}
      for i = 1, 40 do many[i] = { data = ("<%d>"):format(i), filename = "n" } end
      local got = send { multipart = { f = many } }
      local i = 0
      for number in got:gmatch "<(%d+)>" do
        i = i + 1
        assert.equal(i, tonumber(number))
      end
      assert.equal(40, i)
    end)

    it("of a form raises for what is no part", function()
      local function part(value) return { multipart = { f = value } } end
      raises("part 'f' of the multipart form needs one of 'data', 'body' and 'path'", send, part { filename = "x" })
      raises("needs one of", send, part { data = "x", path = "/dev/null" })
      raises("part 'f' of the multipart form has an unknown field 'content_type'", send,
        part { data = "x", content_type = "text/plain" })
      raises("has a number as 'filename', which must be a string", send, part { data = "x", filename = 7 })
      raises("must be a string, a list, a function, a file or a stream, not a thread", send,
        part { data = coroutine.create(print) })
      raises("such as {path=}, not a userdata", send, part(io.stdout))
      raises("option 'multipart' must be a table, not a string", send, { multipart = "x" })
      raises("No such file", send, part { path = "/nowhere/at/all" })
    end)

    it("wants a length that is one, and that is the body's", function()
      for _, length in ipairs { -1, 1.5, "x", 1 / 0, true } do
        raises("option 'length' must be a number of bytes", send, { body = count_up(1), length = length })
      end
      raises("option 'length' is 4, but the body has 3 bytes", send, { body = "abc", length = 4 })
      raises("option 'length' needs the option 'body'", send, { length = 4 })
      raises("option 'length' needs the option 'body'", send, { json = {}, length = 2 })
    end)
  end)
end

describe("a server of HTTP/1.1 that answers early", function()
  it("and closes has its response read, and no more is sent", function()
    local c <close> = script_of(function(s)
      read_head(s)
      s:write "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
      s:shutdown "write"
      s:read_all()
    end)
    local given = 0
    local r = assert(c:post("http://a/", { body = function()
      given = given + 1
      if given > 3 then task.sleep(3600) end
      return "x"
    end }))
    assert.equal("ok", r.body)
    assert.same({ made = 1, open = 0, idle = 0, reused = 0 }, c:stats())
  end)

  it("and reads on gets the whole body, and the next request by the same connection", function()
    local bodies = {}
    local c <close> = script_of(function(s)
      while read_head(s) do
        s:write(OK)
        bodies[#bodies + 1] = s:read_until "0\r\n\r\n"
      end
    end)
    for _ = 1, 3 do
      local n = 0
      local r = assert(c:post("http://a/", { body = function()
        n = n + 1
        task.yield()
        return n <= 20 and "abc" or nil
      end }))
      assert.equal("ok", r.body)
    end
    assert.equal(1, c:stats().made)
    for i = 1, 3 do assert.equal(("3\r\nabc\r\n"):rep(20) .. "0\r\n\r\n", bodies[i]) end
  end)

  simulated("and reads no further, though it does not close: the body is given up, and the response counts", function()
    local c <close> = script_of(function(s)
      read_head(s)
      s:write(OK)
      task.sleep(60)
    end, { network = { capacity = 4096 } })
    local before = task.now()
    assert.equal("ok", assert(c:post("http://a/", { body = count_up(10000) })).body)
    assert.is_true(task.now() - before < 5)
    assert.equal(0, c:stats().open)
  end)

  it("with what is no response fails, and the body ends", function()
    local c <close> = script_of(function(s)
      read_head(s)
      s:write "nonsense\r\n\r\n"
      s:read_all()
    end)
    local t
    fails("EPROTO", c:post("http://a/", { body = function()
      t = task.current()
      task.sleep(3600)
    end }))
    assert.is_true(t == nil or t:status() == "cancelled")
    assert.equal(0, c:stats().open)
  end)

  it("by a redirect gets the body again at the other place, from its start", function()
    local got
    local c <close> = script_of(function(s, n)
      read_head(s)
      if n == 1 then
        s:write "HTTP/1.1 307 Go\r\nlocation: http://b/\r\ncontent-length: 0\r\n\r\n"
        return s:read_all()
      end
      got = s:read_exactly(300000)
      s:write(OK)
      s:read_all()
    end, { network = { capacity = 4096 } })
    local text = ("0123456789"):rep(30000)
    assert.equal("ok", assert(c:post("http://a/", { body = text })).body)
    assert.is_true(got == text)
  end)
end)

describe("a body in parts over sockets", function()
  it("meets a server that refuses it and closes: its answer is read", function()
    for _ = 1, 20 do
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local server = http.server(function() return 413, "no" end)
      task.spawn({ daemon = true }, function() server:serve(listener) end)
      local c <close> = http.client {}
      local where = ("http://127.0.0.1:%d/"):format(listener:address().port)
      local r = assert(c:post(where, { body = count_up(1000, 5000) }))
      assert.same({ 413, "no" }, { r.status, r.body })
      server:stop(0)
    end
  end)
end)

describe("a body in parts for which memory ends", function()
  for _, version in ipairs { "1.1", "2" } do
    it("leaves the pool intact, whichever allocation fails, HTTP/" .. version, function()
      local n = 1
      local calls, ok
      repeat
        local c <close> = client_of(version, function(req) return req:body() end, { pool = { per_host = 1 } })
        local i = 0
        local function body()
          i = i + 1
          return i <= 3 and "abc" or nil
        end
        local opts = { body = body, length = n % 2 == 0 and 9 or nil, timeout = 20 }
        local r, message
        faults.lua(n)
        ok, r, message = pcall(c.post, c, "http://a/", opts)
        calls = faults.lua(0)
        assert.is_true(ok or tostring(r):find("not enough memory", 1, true) ~= nil, tostring(r))
        assert.is_true(not ok or r ~= nil or message ~= nil)
        assert.is_true(not (ok and r and r.status == 200) or r.body == "abcabcabc")
        collectgarbage()
        assert.equal("ok", assert(c:post("http://a/", { body = { "ok" }, timeout = 20 })).body)
        support.eventually(function() return c:stats().open <= 1 and c:stats().idle == c:stats().open end)
        n = n + 3 + n // 10
      until ok and calls < n
      assert.is_true(n > 50, n)
    end)
  end
end)
