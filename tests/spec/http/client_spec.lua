-- moonlet.http's client against servers that are scripts: what they get, and what they answer, byte by byte.

local support = dofile("tests/spec/support.lua")
local http = require "moonlet.http"
local net = require "moonlet.net"
local sync = require "moonlet.sync"
local task = require "moonlet.task"
local plain_it = it
local it = support.limited(it)

--- A client whose connections lead to `answer(stream, n)`, n being the number of the connection.
local function client_of(answer, opts)
  opts = opts or {}
  local made = 0
  opts.connect = function()
    made = made + 1
    local near, far = net.memory_pair(opts.network)
    local n = made
    task.spawn({ daemon = true }, function()
      local _ <close> = far
      answer(far, n)
    end)
    return near
  end
  opts.network = nil
  return http.client(opts), function() return made end
end

--- Reads a request's head; the request line, then a table of fields.
local function read_head(s)
  local line = s:read_line()
  if not line then return nil end
  local fields = {}
  while true do
    local field = s:read_line()
    if not field or field == "" then break end
    local name, value = field:match "^([^:]+): (.*)$"
    fields[name] = value
  end
  return line, fields
end

--- A server that answers each request of a connection with the next text.
local function answering(...)
  local texts, i, seen = { ... }, 0, {}
  return function(s)
    for line, fields in read_head, s do
      if fields["content-length"] then fields.body = s:read_exactly(tonumber(fields["content-length"])) end
      i = i + 1
      seen[#seen + 1] = { line = line, fields = fields }
      s:write(texts[math.min(i, #texts)])
    end
  end, seen
end

local OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

local function fails(code, value, message, got)
  assert.is_nil(value)
  assert.is_string(message)
  assert.equal(code, got)
end

describe("http.client", function()
  it("sends a request and gives its response", function()
    local answer, seen = answering "HTTP/1.1 200 Fine\r\nX-A: 1\r\ncontent-length: 5\r\n\r\nhello"
    local c <close> = client_of(answer)
    local r = assert(c:get("http://example.test:81/a?b=1", { query = { c = "d e" } }))
    assert.equal(200, r.status)
    assert.equal("Fine", r.reason)
    assert.equal("1.1", r.version)
    assert.equal("1", r.headers["x-a"])
    assert.equal("hello", r.body)
    assert.is_false(r.reused)
    assert.matches("^GET /a%?b=1&c=d.+e HTTP/1%.1$", seen[1].line)
    assert.equal("example.test:81", seen[1].fields.host)
    assert.is_nil(seen[1].fields["content-length"])
  end)

  it("understands a response however it is cut", function()
    local bodies = {
      ["HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world"] = 0,
      ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nt: 1\r\n\r\n"] = 0,
      ["HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.0 200\r\n\r\nhello world"] = 1,
    }
    for text, closes in pairs(bodies) do
      for cut = 1, #text do
        local c <close> = client_of(function(s)
          read_head(s)
          s:write(text:sub(1, cut))
          task.yield()
          s:write(text:sub(cut + 1))
          if closes == 1 then s:shutdown() end
          s:read_all()
        end)
        local r = assert(c:get "http://a/")
        assert.equal("hello world", r.body)
      end
    end
  end)

  it("fails at every end that comes too early, and at what is no response", function()
    local text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    for cut = 0, #text - 1 do
      local c <close> = client_of(function(s)
        read_head(s)
        s:write(text:sub(1, cut))
      end)
      fails("EEOF", c:get "http://a/")
    end
    for _, bad in ipairs {
      "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n", "junk\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
      "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\na",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
      "HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
      ("HTTP/1.1 100 Continue\r\n\r\n"):rep(100),
    } do
      local c <close> = client_of(function(s)
        read_head(s)
        s:write(bad)
        s:read_all()
      end)
      fails("EPROTO", c:get "http://a/")
      assert.equal(0, c:stats().open)
    end
  end)

  it("uses a connection again, but not after unsolicited bytes or close", function()
    local answer = answering(OK)
    local c <close>, made = client_of(answer)
    for i = 1, 5 do assert.equal(i > 1, assert(c:get "http://a/").reused) end
    assert.equal(1, made())
    assert.same({ open = 1, idle = 1, made = 1, reused = 4 }, c:stats())
    for _, text in ipairs { OK .. "x", (OK:gsub("\r\n\r\n", "\r\nconnection: close\r\n\r\n")) } do
      local d <close>, count = client_of((answering(text)))
      for _ = 1, 3 do assert.equal("ok", assert(d:get "http://a/").body) end
      assert.equal(3, count())
    end
  end)

  it("does not share connections between origins", function()
    local c <close>, made = client_of((answering(OK)))
    for _, where in ipairs { "http://a/", "http://b/", "http://a:81/" } do assert(c:get(where)) end
    assert.equal(3, made())
  end)

  it("sends again what met a connection that had died, unless its work might be done twice", function()
    local function once_each(s)
      read_head(s)
      s:write(OK)
      read_head(s)
    end
    local c <close>, made = client_of(once_each)
    assert(c:get "http://a/")
    assert.equal("ok", assert(c:get "http://a/").body)
    assert.equal(2, made())
    local r, _, code = c:post("http://a/", { body = "x" })
    assert.is_nil(r)
    assert.is_true(code == "EEOF" or code == "ECONNRESET" or code == "EPIPE", code)
  end)

  it("sends bodies of each kind", function()
    local answer, seen = answering(OK)
    local c <close> = client_of(answer)
    assert(c:post("http://a/", { body = "text" }))
    assert.equal("text", seen[1].fields.body)
    assert(c:post("http://a/", { body = { "a", 1, "b" } }))
    assert.equal("a1b", seen[2].fields.body)
    assert(c:post("http://a/", { json = { a = 1 } }))
    assert.equal('{"a":1}', seen[3].fields.body)
    assert.equal("application/json", seen[3].fields["content-type"])
    assert(c:put("http://a/", { form = { a = "b c" } }))
    assert.equal("application/x-www-form-urlencoded", seen[4].fields["content-type"])
    assert(c:post("http://a/"))
    assert.equal("0", seen[5].fields["content-length"])
    assert(c:post("http://a/", { multipart = { f = { data = "x", filename = "n" }, a = "1" } }))
    assert.matches('name="a"\r\n\r\n1\r\n', seen[6].fields.body)
    assert.matches('name="f"; filename="n"\r\ncontent%-type: application/octet%-stream\r\n\r\nx\r\n',
      seen[6].fields.body)
  end)

  it("sends what a function gives in chunks", function()
    local got
    local c <close> = client_of(function(s)
      read_head(s)
      got = s:read_until "0\r\n\r\n"
      s:write(OK)
      s:read_all()
    end)
    local parts, i = { "ab", "", "cde" }, 0
    assert(c:post("http://a/", { body = function()
      i = i + 1
      return parts[i]
    end }))
    assert.equal("2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", got)
  end)

  it("reads a stream piece by piece, and closes what was not read", function()
    local c <close> = client_of(function(s)
      for _ in read_head, s do
        s:write "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\na\nb\r\n2\r\n\nc\r\n0\r\nx-t: 1\r\n\r\n"
      end
    end)
    do
      local r <close> = assert(c:stream("http://a/"))
      local lines = {}
      for line in r:lines() do lines[#lines + 1] = line end
      assert.same({ "a", "b", "c" }, lines)
      assert.equal("1", r:trailers()["x-t"])
    end
    assert.equal(1, c:stats().idle)
    do
      local r <close> = assert(c:stream("http://a/"))
      assert.equal("a\n", r:read(2))
    end
    assert.same({ 0, 0 }, { c:stats().idle, c:stats().open })
  end)

  -- A request that the server closes the connection on is lost, unless it may be sent twice.
  support.virtual(plain_it)("keeps a connection no longer than the server says, less a second", function()
    for _, case in ipairs {
      { "timeout=5", 3.9, true }, { "timeout=5", 4.1, false }, { "max=7, Timeout = 3", 1.9, true },
      { "max=7, Timeout = 3", 2.1, false }, { "timeout=1", 0, false }, { "timeout=0", 0, false },
      { "timeout=86400", 7, true }, { "timeout=86400", 9, false }, { "mytimeout=2", 7, true },
      { "timeout=", 7, true }, { "timeout=x", 7, true },
    } do
      local text = "HTTP/1.1 200 OK\r\nKeep-Alive: " .. case[1] .. "\r\ncontent-length: 2\r\n\r\nok"
      local c <close> = client_of(answering(text), { pool = { idle = 8 } })
      assert.is_false(assert(c:get "http://a/").reused)
      task.sleep(case[2])
      assert.equal(case[3] and 1 or 0, c:stats().open, case[1])
      assert.equal(case[3], assert(c:get "http://a/").reused, case[1])
    end
  end)

  support.virtual(plain_it)("closes idle connections in their own time, whichever was idle first", function()
    local function answer(s, n)
      for _ in read_head, s do
        s:write("HTTP/1.1 200 OK\r\nkeep-alive: timeout=", n == 1 and 20 or 3, "\r\ncontent-length: 0\r\n\r\n")
      end
    end
    local c <close> = client_of(answer)
    local first <close> = assert(c:stream "http://a/")
    assert(c:get "http://a/")
    first:read_all()
    assert.same({ 2, 2 }, { c:stats().open, c:stats().idle })
    task.sleep(2.1)
    assert.same({ 1, 1 }, { c:stats().open, c:stats().idle })
    task.sleep(17)
    assert.same({ 0, 0 }, { c:stats().open, c:stats().idle })
  end)

  it("gives server-sent events", function()
    local text = "\xef\xbb\xbfdata: a\n\n: note\nevent: x\nid: 7\ndata: b\ndata: c\n\ndata: lost"
    local c <close> = client_of((answering("HTTP/1.1 200 OK\r\ncontent-length: " .. #text .. "\r\n\r\n" .. text)))
    local r <close> = assert(c:stream "http://a/")
    local all = {}
    for e in r:events() do all[#all + 1] = e end
    assert.same({ { data = "a", event = "message" }, { data = "b\nc", event = "x", id = "7" } }, all)
  end)

  it("leaves head, 204 and 304 without a body", function()
    for _, status in ipairs { "204 No", "304 Not" } do
      local c <close>, made = client_of((answering("HTTP/1.1 " .. status .. "\r\n\r\n")))
      for _ = 1, 2 do assert.equal("", assert(c:get "http://a/").body) end
      assert.equal(1, made())
    end
    local c <close>, made = client_of((answering "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"))
    for _ = 1, 2 do assert.equal("", assert(c:head "http://a/").body) end
    assert.equal(1, made())
  end)

  it("limits a body, before and while it comes", function()
    local c <close> = client_of((answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" .. ("x"):rep(100))))
    fails("EMSGSIZE", c:get("http://a/", { max_body = 99 }))
    assert.equal(100, #assert(c:get("http://a/", { max_body = 100 })).body)
    local chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    local d <close> = client_of((answering(chunked)))
    fails("EMSGSIZE", d:get("http://a/", { max_body = 4 }))
    assert.equal("hello", assert(d:get("http://a/", { max_body = 5 })).body)
  end)

  it("gives a status as an answer, and with check= as a failure", function()
    local c <close> = client_of((answering "HTTP/1.1 404 No\r\ncontent-length: 1\r\n\r\nx"))
    assert.equal(404, assert(c:get "http://a/").status)
    local r, message, code, response = c:get("http://a/", { check = true })
    fails("ESTATUS", r, message, code)
    assert.equal("x", response.body)
  end)

  it("refuses what is no URL, and what cannot be sent", function()
    local c <close> = client_of((answering(OK)))
    for _, bad in ipairs { "", "a", "ftp://a/", "http://", "http://a b/", "http://a/\r\nx: y", "http://a:0/" } do
      fails("EURL", c:get(bad))
    end
    assert.error_matches(function() c:get("http://a/", { headers = { x = "a\r\nb" } }) end, "header field 'x'")
    assert.error_matches(function() c:request { url = "http://a/", method = "GE T" } end, "token")
    assert.error_matches(function() c:get("http://a/", { nonsense = 1 }) end, "unknown option 'nonsense'")
    assert.same({ 0, 0 }, { c:stats().open, c:stats().idle })
  end)

  it("ends at its deadline in every phase, and leaves the pool intact", function()
    local phases = {
      function(s) s:read_all() end,
      function(s) read_head(s); s:write "HTTP/1.1 200"; s:read_all() end,
      function(s) read_head(s); s:write "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"; s:read_all() end,
    }
    for _, answer in ipairs(phases) do
      local c <close> = client_of(answer)
      fails("EDEADLINE", c:get("http://a/", { timeout = 0.05 }))
      fails("ETIMEDOUT", c:get("http://a/", { timeout = { head = 0.05, idle = 0.05 } }))
      assert.same({ 0, 0 }, { c:stats().open, c:stats().idle })
      local t = task.spawn(function() return c:get "http://a/" end)
      for _ = 1, 20 do task.yield() end
      t:cancel()
      t:join()
      assert.same({ 0, 0 }, { c:stats().open, c:stats().idle })
    end
  end)

  it("lets no more than per_host connections be, in the order of the calls", function()
    local c <close>, made = client_of((answering(OK)), { pool = { per_host = 2 } })
    local order, tasks = {}, {}
    for i = 1, 8 do
      tasks[i] = task.spawn(function()
        assert(c:get "http://a/")
        order[#order + 1] = i
      end)
    end
    for _, t in ipairs(tasks) do assert(t:join()) end
    assert.equal(2, made())
    assert.equal(8, #order)
  end)

  --- Makes `count` requests at the same time, each of a connection of its own, some at a host of their own.
  local function together(pool, count, hosts)
    local waiting, all = 0, sync.event()
    local c = client_of(function(s)
      while read_head(s) do
        waiting = waiting + 1
        if waiting >= count then all:set() end
        all:wait()
        s:write(OK)
      end
    end, { pool = pool })
    local numbers = {}
    for i = 1, count do numbers[i] = i end
    task.map(numbers, function(i) assert(c:get(("http://a%d/"):format(i % (hosts or 1)))) end)
    return c
  end

  it("keeps as many idle connections as it is told, whatever number is in use", function()
    for _, case in ipairs {
      { nil, 10 }, { {}, 10 }, { { idle_per_host = 20 }, 20 }, { { idle_per_host = 3 }, 3 },
      { { idle_per_host = 0 }, 0 }, { { idle_per_host = 150 }, 30 },
      { { per_host = 30 }, 30 }, { { per_host = 40, idle_per_host = 5 }, 5 },
      { { max = 4 }, 4 }, { { max = 4, idle_per_host = 20 }, 4 }, { { max = 0 }, 0 }, { { idle = 0 }, 0 },
      { { idle_per_host = math.huge, max = math.huge, idle = math.huge }, 30 },
    } do
      local c <close> = together(case[1], 30)
      support.eventually(function() return c:stats().idle == case[2] end)
      assert.same({ case[2], 30 }, { c:stats().open, c:stats().made })
    end
  end)

  it("keeps more than a hundred idle connections if so many are wanted of one host", function()
    local c <close> = together({ idle_per_host = 120 }, 120)
    assert.equal(120, c:stats().idle)
    local d <close> = together(nil, 120, 20)
    assert.equal(100, d:stats().idle)
  end)

  it("wants numbers that a pool can have", function()
    for _, pool in ipairs {
      { per_host = 0 }, { per_host = 1.5 }, { per_host = "2" }, { idle_per_host = -1 }, { max = -1 }, { idle = -1 },
      { idle = "x" }, { max = 0 / 0 }, { per_hosts = 1 }, { 1 }, "x",
    } do
      local ok, message = pcall(http.client, { pool = pool })
      assert.is_false(ok)
      assert.matches("bad argument #1 to 'client' %(.*option 'pool", message)
    end
  end)
end)

describe("redirects", function()
  local function to(status, where)
    return ("HTTP/1.1 %d X\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n"):format(status, where)
  end

  it("are followed, with the method that RFC 9110 says", function()
    for _, case in ipairs {
      { 301, "POST", "GET" }, { 302, "POST", "GET" }, { 303, "POST", "GET" }, { 303, "PUT", "GET" },
      { 301, "PUT", "PUT" }, { 307, "POST", "POST" }, { 308, "POST", "POST" }, { 303, "HEAD", "HEAD" },
    } do
      local answer, seen = answering(to(case[1], "/b?c"), case[2] == "HEAD" and "HTTP/1.1 200 OK\r\n\r\n" or OK)
      local c <close> = client_of(answer)
      local r = assert(c:request { url = "http://a/x", method = case[2], body = case[2] ~= "HEAD" and "d" or nil })
      assert.equal("http://a/b?c", r.url)
      assert.equal(case[3] .. " /b?c HTTP/1.1", seen[2].line)
      assert.equal(case[3] == case[2] and case[2] ~= "HEAD" and "d" or nil, seen[2].fields.body)
    end
  end)

  it("end after ten, or when they are not wanted", function()
    local c <close> = client_of((answering(to(302, "/"))))
    fails("EPROTO", c:get "http://a/")
    assert.equal(302, assert(c:get("http://a/", { redirects = false })).status)
    fails("EPROTO", c:get("http://a/", { redirects = 2 }))
  end)

  it("drop credentials at another origin for good", function()
    local answer, seen = answering(to(302, "http://b/"), to(302, "http://a/"), OK)
    local c <close> = client_of(answer)
    assert(c:get("http://a/", { auth = { "u", "p" }, headers = { cookie = "a=1", ["x-k"] = "v" } }))
    assert.equal("Basic dTpw", seen[1].fields.authorization)
    assert.equal("a=1", seen[1].fields.cookie)
    for i = 2, 3 do
      assert.is_nil(seen[i].fields.authorization)
      assert.is_nil(seen[i].fields.cookie)
      assert.equal("v", seen[i].fields["x-k"])
    end
  end)

  it("do not send again a body that can be read only once", function()
    local c <close> = client_of(function(s)
      read_head(s)
      s:read_until "0\r\n\r\n"
      s:write(to(307, "/b"))
      s:read_all()
    end)
    local given
    fails("EPROTO", c:post("http://a/", { body = function()
      local piece = not given and "x" or nil
      given = true
      return piece
    end }))
  end)
end)

describe("cookies", function()
  it("come back to where they belong, and only in a client that has a jar", function()
    local answer, seen = answering("HTTP/1.1 200 OK\r\nset-cookie: a=1; Path=/x\r\nset-cookie: b=2; Secure\r\n"
      .. "set-cookie: c=3; Domain=com\r\nset-cookie: d=4; HttpOnly\r\ncontent-length: 0\r\n\r\n")
    local c <close> = client_of(answer, { cookies = true })
    for _, where in ipairs { "http://a.example.com/x/y", "http://a.example.com/x/", "http://a.example.com/xy",
      "http://b.example.com/x" } do assert(c:get(where)) end
    assert.is_nil(seen[1].fields.cookie)
    assert.equal("a=1; d=4", seen[2].fields.cookie)
    assert.is_nil(seen[4].fields.cookie)
  end)

  it("obey the public suffix list, dates and prefixes", function()
    local cookies = require "moonlet.http.cookies"
    local jar = cookies.new(function() return 1000 end)
    assert.is_false(jar:set("a=1; Domain=co.uk", "http", "x.co.uk", "/"))
    assert.is_true(jar:set("a=1; Domain=.x.co.uk", "http", "www.x.co.uk", "/"))
    assert.equal("a=1", jar:header("http", "y.x.co.uk", "/"))
    assert.is_false(jar:set("__Host-a=1; Secure; Domain=x.co.uk; Path=/", "https", "x.co.uk", "/"))
    assert.is_true(jar:set("a=; Max-Age=0; Domain=x.co.uk", "http", "x.co.uk", "/"))
    assert.is_nil(jar:header("http", "x.co.uk", "/"))
  end)

  it("last until the date that they name, if it is one", function()
    local cookies = require "moonlet.http.cookies"
    local now = 784111776
    local jar = cookies.new(function() return now end)
    local dates = { "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "8:49:37 6 NOVember 94" }
    for i, date in ipairs(dates) do
      jar:set(("a%d=1; Expires=%s"):format(i, date), "http", "x.example", "/")
    end
    for i, date in ipairs { "Sun, 06 Nov 1994", "31 Nov 1994 08:49:37", "" } do -- no dates: until the end
      jar:set(("b%d=1; Expires=%s"):format(i, date), "http", "x.example", "/")
    end
    assert.equal("a1=1; a2=1; a3=1; b1=1; b2=1; b3=1", jar:header("http", "x.example", "/"))
    now = now + 1
    assert.equal("b1=1; b2=1; b3=1", jar:header("http", "x.example", "/"))
  end)
end)

describe("a proxy", function()
  it("gets the whole URL of http, and a login", function()
    local answer, seen = answering(OK)
    local c <close> = client_of(answer, { proxy = "http://u:p@proxy:3128" })
    assert(c:get "http://a/x")
    assert.equal("GET http://a/x HTTP/1.1", seen[1].line)
    assert.equal("Basic dTpw", seen[1].fields["proxy-authorization"])
  end)

  it("of SOCKS5 is asked for the name", function()
    local asked
    local answer = answering(OK)
    local c <close> = client_of(function(s)
      assert.equal("\5\1\0", s:read_exactly(3))
      s:write "\5\0"
      asked = s:read_exactly(4 + 1 + 6 + 2)
      s:write "\5\0\0\1\0\0\0\0\0\0"
      answer(s)
    end, { proxy = "socks5://proxy" })
    assert.equal("ok", assert(c:get "http://a.test/").body)
    assert.equal("\5\1\0\3\6a.test\0\80", asked)
  end)
end)

describe("content codings", function()
  local function gzip(command)
    local pipe <close> = io.popen(command .. " | gzip -9")
    local data = pipe:read "a"
    return "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: " .. #data .. "\r\n\r\n" .. data, data
  end

  it("are taken off, unless decode=false", function()
    local text, raw = gzip "printf 'hello hello hello'"
    local answer, seen = answering(text)
    local c <close> = client_of(answer)
    local r = assert(c:get "http://a/")
    assert.equal("hello hello hello", r.body)
    assert.is_nil(r.headers["content-encoding"])
    assert.is_nil(r.headers["content-length"])
    assert.matches("gzip", seen[1].fields["accept-encoding"])
    r = assert(c:get("http://a/", { decode = false }))
    assert.equal(raw, r.body)
    assert.equal("gzip", r.headers["content-encoding"])
    assert.is_nil(seen[2].fields["accept-encoding"])
    assert.equal(1, c:stats().made)
  end)

  it("cannot make a body larger than its limit", function()
    local text = gzip "head -c 20000000 /dev/zero"
    local c <close> = client_of((answering(text)))
    fails("EMSGSIZE", c:get("http://a/", { max_body = 1000000 }))
    local r <close> = assert(c:stream "http://a/")
    local size = 0
    for piece in r:chunks() do size = size + #piece end
    assert.equal(20000000, size)
  end)

  it("that are broken or cut are failures", function()
    local _, raw = gzip "printf 'hello hello hello'"
    for _, case in ipairs { { raw:sub(1, -5), "EEOF" }, { "junk", "EPROTO" } } do
      local c <close> = client_of((answering("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: "
        .. #case[1] .. "\r\n\r\n" .. case[1])))
      fails(case[2], c:get "http://a/")
    end
  end)
end)

describe("downloads", function()
  it("go on where they were cut, if the server still has the same", function()
    local path = os.tmpname()
    local _, seen = nil, {}
    local c <close> = client_of(function(s, n)
      local _, fields = read_head(s)
      seen[n] = fields
      if n == 1 then
        s:write 'HTTP/1.1 200 OK\r\netag: "v1"\r\ncontent-length: 10\r\n\r\n01234'
      else
        s:write 'HTTP/1.1 206 Part\r\netag: "v1"\r\ncontent-range: bytes 5-9/10\r\ncontent-length: 5\r\n\r\n56789'
        s:read_all()
      end
    end)
    local sums = {}
    local opts = { resume = true, progress = function(sum, total) sums[#sums + 1] = sum .. "/" .. total end }
    fails("EEOF", c:download("http://a/f", path, opts))
    assert(c:download("http://a/f", path, opts))
    assert.equal("bytes=5-", seen[2].range)
    assert.equal('"v1"', seen[2]["if-range"])
    local file <close> = assert(io.open(path, "rb"))
    assert.equal("0123456789", file:read "a")
    assert.equal("10/10", sums[#sums])
    assert.is_nil(io.open(path .. ".part"))
    assert.is_nil(io.open(path .. ".part.tag"))
    os.remove(path)
  end)

  it("leave nothing behind that is not whole", function()
    local path = os.tmpname()
    os.remove(path)
    local c <close> = client_of(function(s)
      read_head(s)
      s:write "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234"
    end)
    fails("EEOF", c:download("http://a/f", path))
    local r <close> = assert(c:stream "http://a/f")
    fails("EEOF", r:save(path))
    assert.is_nil(io.open(path))
    assert.is_nil(io.open(path .. ".part"))
  end)
end)

describe("a real network", function()
  it("is asked for addresses that allow= lets through", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local answer = answering(OK)
    task.spawn({ daemon = true, quiet = true }, function() listener:serve(answer) end)
    local port = listener:address().port
    local where = ("http://localhost:%d/"):format(port)
    local c <close> = http.client()
    fails("EACCES", c:get(where, { allow = function() return false end }))
    assert.equal("ok", assert(c:get(where, { allow = function(a) return a.host:find "^127" ~= nil end })).body)
    assert.equal("ok", assert(c:get(where)).body)
    assert.is_true(assert(c:get(where)).reused)
  end)

  it("tells of what is not there", function()
    local listener = assert(net.listen("127.0.0.1", 0))
    local port = listener:address().port
    listener:close()
    fails("ECONNREFUSED", http.get(("http://127.0.0.1:%d/"):format(port)))
    fails("ECONNREFUSED", http.get(("http://127.0.0.1:%d/"):format(port), { retries = 1 }))
  end)
end)

describe("requests to one URL", function()
  it("do not show each other's fields, whatever came before", function()
    local server, seen = answering(OK)
    local client = client_of(server)
    local url = "http://one.example/fields"
    local choices = {
      {}, { headers = { ["x-own"] = "1", host = "other.example" } }, {}, { auth = { user = "u", password = "p" } }, {},
      { json = { 1 }, method = "POST" }, {}, { decode = false }, {}, { headers = { range = "bytes=0-1" } }, {},
    }
    for _, opts in ipairs(choices) do assert.equal(200, client:request(url, opts).status) end
    for i = 3, #seen, 2 do assert.same(seen[1].fields, seen[i].fields) end
    assert.equal("1 other.example", seen[2].fields["x-own"] .. " " .. seen[2].fields.host)
    assert.equal("Basic dTpw", seen[4].fields.authorization)
    assert.equal("application/json [1]", seen[6].fields["content-type"] .. " " .. seen[6].fields.body)
    assert.is_nil(seen[8].fields["accept-encoding"])
    assert.is_nil(seen[10].fields["accept-encoding"])
  end)
end)

-- Public bug reports of other clients were about UTF-8 in Location.
describe("a Location with bytes that no URL has", function()
  it("is followed, encoded as browsers encode it", function()
    local seen = {}
    local c <close> = client_of(function(s)
      for line in read_head, s do
        seen[#seen + 1] = line:match "^GET (%S+) HTTP"
        s:write(line:find "GET / " and
          "HTTP/1.1 302 F\r\nlocation: /a b/\xc3\xbc%20{x}|\\?q=\"<>^`'\r\ncontent-length: 0\r\n\r\n"
          or OK)
      end
    end)
    assert.equal(200, assert(c:get "http://a/").status)
    assert.same({ "/", "/a%20b/%C3%BC%20%7Bx%7D%7C%5C?q=%22%3C%3E%5E%60'" }, seen)
  end)
end)

-- Each was passed over, or told of a line of moonlet's own.
describe("options that cannot be meant", function()
  local wrong = {
    { "options 'json' and 'form': a request has one body", { json = {}, form = {} } },
    { "options 'body' and 'multipart'", { body = "x", multipart = {} } },
    { "a list of strings, and has no 'a'", { body = { a = 1 } } },
    { "option 'auth' must be {user=, password=}, {token=} or a string", { auth = { username = "x" } } },
    { "option 'auth' must be", { auth = 5 } },
    { "option 'auth' must be", { auth = { user = "x", password = 5 } } },
    { "unknown option 'timeout.conect'", { timeout = { conect = 1 } } },
    { "option 'timeout' must be seconds, or a table with seconds, not a string", { timeout = "5" } },
  }
  for _, case in ipairs(wrong) do
    it("raise, and say so: " .. case[1], function()
      local c <close> = client_of(function() end)
      local ok, message = pcall(function() c:post("http://a/", case[2]) end)
      assert.is_false(ok)
      assert.is_truthy(message:find(case[1], 1, true), message)
      assert.is_nil(message:find("[moonlet", 1, true), message)
    end)
  end
end)
