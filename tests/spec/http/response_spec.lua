--- moonlet.http: what handlers say with `res`. Each over every version of HTTP.

local support = dofile "tests/spec/support.lua"
local carriers = dofile "tests/spec/http/carriers.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local virtual, it = support.virtual(it), support.limited(it)

-- The messages of what fn raises for each list of arguments; an error if one of them does not.
local function refused(fn, cases)
  local problems = {}
  for i, case in ipairs(cases) do
    local ok, message = pcall(fn, table.unpack(case, 1, case.n or #case))
    if ok then problems[#problems + 1] = i .. " is taken" end
    if not tostring(message):find "bad argument" then problems[#problems + 1] = i .. ": " .. tostring(message) end
  end
  return table.concat(problems, "; ")
end

describe("res:redirect", function()
  carriers.each(it, "answers with the status and a location without bytes that no address has", function(ask)
    local reply = ask(function(_, res) res:redirect("/a b?x=\xc3\xa9\"<>", 303) end)
    assert.same({ 303, "/a%20b?x=%C3%A9%22%3C%3E", "0", "" },
      { reply.status, reply.headers.location, reply.headers["content-length"], reply.body })
    assert.equal(302, ask(function(_, res) return res:redirect "https://b.example/%20" end).status)
  end)

  carriers.each(it, "refuses other statuses, and lines' ends and zero bytes", function(ask)
    assert.equal("", ask(function(_, res)
      return 200, refused(function(...) return res:redirect(...) end, {
        { "/", 200 }, { "/", 304 }, { "/", "302" }, { "/\r\nx: y" }, { "/\n" }, { "/\0" }, {}, { 1 },
      })
    end).body)
  end)
end)

describe("res:cookie", function()
  carriers.each(it, "sets cookies, each in a line of its own, with safe defaults", function(ask)
    local reply = ask(function(_, res)
      res:cookie("sid", "abc")
      res:cookie("n", 1, { path = "/x", domain = "a.example", max_age = 60.9, secure = true, http_only = false,
        same_site = "none", partitioned = true })
      res:cookie("t", "a b,c", { expires = 784111777, same_site = false })
      res:cookie("old", nil)
      return "x"
    end)
    local cookies = {}
    for _, line in ipairs(reply.lines) do
      if line[1] == "set-cookie" then cookies[#cookies + 1] = line[2] end
    end
    assert.same({
      "sid=abc; Path=/; HttpOnly; SameSite=Lax",
      "n=1; Path=/x; Domain=a.example; Max-Age=60; Secure; SameSite=None; Partitioned",
      't="a b,c"; Path=/; Expires=Sun, 06 Nov 1994 08:49:37 GMT; HttpOnly',
      "old=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax",
    }, cookies)
  end)

  carriers.each(it, "refuses what would end the cookie or the line, and what browsers refuse", function(ask)
    assert.equal("", ask(function(_, res)
      return 200, refused(function(...) return res:cookie(...) end, {
        { "a", "x\r\ny" }, { "a", "x\n" }, { "a", "x\0" }, { "a", "x;y" }, { "a", 'x"' }, { "a", "x\\" },
        { "a", "\xc3\xa9" },
        { "a b", "" }, { "a=b", "" }, { "", "" }, { "a\n", "" }, { 1, "" }, { "a", {} }, { "a", true },
        { "a", "", { path = "/;x" } }, { "a", "", { path = "/\n" } }, { "a", "", { domain = "a;b" } },
        { "a", "", { domain = "a\r" } }, { "a", "", { max_age = "1" } }, { "a", "", { max_age = 0 / 0 } },
        { "a", "", { expires = math.huge } }, { "a", "", { same_site = "x" } }, { "a", "", { same_site = "Lax\r\n" } },
        { "a", "", { httponly = true } }, { "a", "", 1 },
        { "a", "", { same_site = "None" } }, { "a", "", { partitioned = true } }, { "__Secure-a", "" },
        { "__Host-a", "" },
        { "__Host-a", "", { secure = true, path = "/x" } }, { "__Host-a", "", { secure = true, domain = "a.example" } },
      })
    end).body)
  end)
end)

describe("res:events", function()
  carriers.each(it, "sends events line by line", function(ask)
    local reply = ask(function(_, res)
      local events = res:events()
      assert(events:send "one")
      assert(events:send { data = "a\nb\r\nc\rd\n", event = "x", id = 7, retry = 1.5 })
      assert(events:send { data = { 1, 2 } })
      assert(events:send { data = "" })
    end)
    assert.same({ 200, "text/event-stream", "no-cache" },
      { reply.status, reply.headers["content-type"], reply.headers["cache-control"] })
    assert.equal("data: one\n\n" .. "event: x\nid: 7\nretry: 1500\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n" ..
      "data: [1,2]\n\n" .. "data: \n\n", reply.body)
  end)

  carriers.each(it, "refuses what would be other events", function(ask)
    local problem
    ask(function(_, res)
      local events = res:events()
      problem = refused(function(...) return events:send(...) end, {
        { { event = "a\nb" } }, { { id = "a\rb" } }, { { id = "a\0" } }, { { retry = "1" } }, { { retry = -1 } },
        { {} }, { { dat = "x" } }, {},
      })
    end)
    assert.equal("", problem)
  end)

  virtual("sends a comment when nothing was sent for a while, and ends with the handler", function()
    local reply = carriers.memory(function(_, res)
      local events = res:events { heartbeat = 0.02 }
      task.sleep(0.07)
      events:send "x"
    end)
    assert.matches("^:\n\n:\n\n.*data: x\n\n$", reply.body)
    assert.is_false(reply.broken)
  end)

  it("ends when the peer leaves", function()
    for _, pair in ipairs { net.pair, net.memory_pair } do
      local here <close>, there = pair()
      local ended
      local server = http.server(function(_, res)
        local events = res:events { heartbeat = 0.01 }
        local guard <close> = setmetatable({}, { __close = function() ended = true end }) -- luacheck: ignore 211
        while events:send "tick" do task.sleep(0.01) end
      end)
      local serving = task.spawn(server.serve, server, there)
      here:write "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
      here:read_until "tick"
      here:close()
      serving:join()
      assert.is_true(ended)
    end
  end)
end)

describe("a content-length that the script sets", function()
  carriers.each(it, "is that of the body", function(ask)
    local reply = ask(function(_, res)
      res.headers["content-length"] = 4
      res:write "ab"
      res:write "cd"
    end)
    assert.same({ "4", "abcd", nil },
      { reply.headers["content-length"], reply.body, reply.headers["transfer-encoding"] })
    assert.equal("2", ask(function(_, res)
      res.headers["content-length"] = "2"
      return "ab"
    end).headers["content-length"])
  end)

  carriers.each(it, "raises if the body has another size, or cuts it off", function(ask)
    for _, length in ipairs { "1", "3", "x", "", "-2", "2, 2", "99999999999999999999" } do
      assert.equal(500, ask(function(_, res)
        res.headers["content-length"] = length
        return "ab"
      end).status)
    end
    for _, length in ipairs { 1, 3 } do
      local reply = ask(function(_, res)
        res.headers["content-length"] = length
        res:write "ab"
      end)
      assert.is_true(reply == nil or reply.broken)
    end
  end)

  carriers.each(it, "may be told to HEAD without a body", function(ask)
    local reply = ask(function(_, res)
      res.headers["content-length"] = 1000
      res.status = 200
    end, { method = "HEAD" })
    assert.equal("1000", reply.headers["content-length"])
  end)

  -- A proxy that hands on an upstream's 304 with its fields answered 500.
  carriers.each(it, "may be told to 304 and 204, which send none", function(ask)
    for _, status in ipairs { 304, 204 } do
      local reply = ask(function(_, res)
        res.headers["content-length"] = 1000
        res.headers.etag = '"a"'
        return status
      end)
      assert.same({ status, '"a"', "" }, { reply.status, reply.headers.etag, reply.body })
      assert.is_nil(reply.headers["content-length"])
    end
  end)
end)
