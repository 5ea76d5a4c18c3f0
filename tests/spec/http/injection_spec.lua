--- moonlet.http: text with CR, LF or NUL never ends a line of a head, of an answer or a request, whatever brings it.

local support = dofile "tests/spec/support.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

local BAD = { "a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\0b" }

local function is_clean(text, what)
  local head = text:match "^(.-\r\n)\r\n" or text
  assert.is_nil(head:find "[\r\n]X%-Evil", what)
  assert.is_nil(head:find("\0", 1, true), what)
end

-- What a handler may do with a text that a stranger has chosen.
local ANSWERS = {
  ["a value"] = function(_, res, bad) res.headers["x-a"] = bad return "x" end,
  ["a value of several"] = function(_, _, bad) return 200, { ["x-a"] = { bad, "b" } }, "x" end,
  ["a name"] = function(_, _, bad) return 200, { [bad] = "b" }, "x" end,
  ["a redirect to a path"] = function(_, res, bad) res:redirect("/" .. bad) end,
  ["a redirect to a URL"] = function(_, res, bad) res:redirect("http://a/" .. bad) end,
  ["a cookie's name"] = function(_, res, bad) res:cookie(bad, "x") return "x" end,
  ["a cookie's value"] = function(_, res, bad) res:cookie("c", bad) return "x" end,
  ["a cookie's path"] = function(_, res, bad) res:cookie("c", "x", { path = "/" .. bad }) return "x" end,
  ["a cookie's domain"] = function(_, res, bad) res:cookie("c", "x", { domain = bad }) return "x" end,
  ["an interim answer"] = function(_, res, bad) res:inform(103, { link = bad }) return "x" end,
  ["an error's header"] = function(_, _, bad) error(http.error(400, "m", { ["x-e"] = bad })) end,
  ["a trailer"] = function(_, res, bad)
    res:write "x"
    res:trailer("x-t", bad)
  end,
  ["a kind of event"] = function(_, res, bad) res:events():send { data = "x", event = bad } end,
  ["an event's id"] = function(_, res, bad) res:events():send { data = "x", id = bad } end,
}

-- What a client may ask for with one.
local REQUESTS = {
  ["a URL"] = function(bad) return { url = "http://a/" .. bad } end,
  ["a host"] = function(bad) return { url = "http://" .. bad .. "/" } end,
  ["credentials in a URL"] = function(bad) return { url = "http://" .. bad .. ":p@a/" } end,
  ["a value"] = function(bad) return { headers = { x = bad } } end,
  ["a name"] = function(bad) return { headers = { [bad] = "x" } } end,
  ["a cookie"] = function(bad) return { headers = { cookie = bad } } end,
  ["a method"] = function(bad) return { method = bad } end,
  ["a query"] = function(bad) return { query = { a = bad, [bad] = "b" } } end,
  ["credentials"] = function(bad) return { auth = { bad, bad } } end,
  ["a token"] = function(bad) return { auth = bad } end,
}

-- The heads of parts of what a client sends.
local PARTS = {
  ["a part's name"] = function(bad) return { [bad] = "x" } end,
  ["a file's name"] = function(bad) return { a = { data = "x", filename = bad } } end,
  ["a file's type"] = function(bad) return { a = { data = "x", filename = "f", type = bad } } end,
}

local function answer_of(handler)
  local here <close>, there = net.memory_pair()
  local server = http.server({ on_error = function() return 500 end }, handler)
  local serving = task.spawn(server.serve, server, there)
  here:write "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
  local text = here:read_all() or ""
  serving:join()
  return text
end

-- All that a client sends; "" if it refuses.
local function request_of(opts)
  local sent = {}
  opts.url = opts.url or "http://a/"
  local c <close> = http.client { retries = 0, connect = function()
    local near, far = net.memory_pair()
    task.spawn({ daemon = true }, function()
      local s <close> = far
      sent[1] = s:read_until("\r\n\r\n") or ""
      local size = tonumber(sent[1]:lower():match "content%-length: (%d+)") or 0
      if size > 0 then sent[2] = s:read_exactly(size) end
      s:write "HTTP/1.1 204 No\r\n\r\n"
    end)
    return near
  end }
  pcall(c.request, c, opts)
  return table.concat(sent, "\r\n")
end

describe("an answer", function()
  for what, handler in pairs(ANSWERS) do
    it("has no line of its own made by " .. what, function()
      for _, bad in ipairs(BAD) do
        local text = answer_of(function(req, res) return handler(req, res, bad) end)
        assert.matches("^HTTP/1.1 %d%d%d ", text)
        is_clean(text, what)
        assert.is_nil(text:find "[\r\n]X%-Evil", what)
      end
    end)
  end
end)

describe("a request", function()
  for what, make in pairs(REQUESTS) do
    it("has no line of its own made by " .. what, function()
      for _, bad in ipairs(BAD) do is_clean(request_of(make(bad)), what) end
    end)
  end

  for what, make in pairs(PARTS) do
    it("has no line of its own made by " .. what, function()
      for _, bad in ipairs(BAD) do
        local text = request_of { method = "POST", multipart = make(bad) }
        assert.is_nil(text:find "[\r\n]X%-Evil", what)
        assert.is_nil(text:find("\0", 1, true), what)
      end
    end)
  end
end)
