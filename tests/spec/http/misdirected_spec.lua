-- A server with several certificates, and requests that come over the connection of another name.

local credentials = dofile "tests/spec/tls_support.lua"
local net = require "moonlet.net"
local server = require "moonlet.http.server"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local it = support.limited(it)
local shows = credentials.shows

local has_curl = io.popen("curl -V 2>/dev/null"):read("a"):find "HTTP2" ~= nil

describe("a server with certificates for several names", function()
  setup(function() credentials.make() end)
  teardown(function() credentials.remove() end)

  -- Calls body(port, log) beside a server with these TLS options.
  local function beside(tls, body)
    local log = {}
    local how = { log = function(line) log[#log + 1] = line end }
    local made = server.server(how, function() return "served" end)
    local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = tls }))
    local serving = task.spawn(made.serve, made, listener)
    body(listener:address().port, log)
    made:stop(0)
    serving:join()
  end

  local function names()
    return shows("good", { names = { ["b.example"] = shows "other", ["*.wild.example"] = shows "other" } })
  end

  -- The answer of HTTP/1.1 to requests for the host over a connection that asked for `name`; false: for none.
  local function ask(port, name, text)
    local conn <close> = assert(net.connect("127.0.0.1", port,
      { tls = credentials.trusts_root { server_name = name, verify = false } }))
    conn:write(text)
    return conn:read_all()
  end

  local function status(port, name, host)
    return tonumber(ask(port, name, "GET / HTTP/1.1\r\nHost: " .. host .. "\r\nConnection: close\r\n\r\n")
      :match "^HTTP/1.1 (%d+) ")
  end

  it("answers 421 to a request for a name whose certificate the connection did not show", function()
    beside(names(), function(port, log)
      for _, case in ipairs {
        { "good.example", "b.example" }, { "good.example", "B.Example:8443" }, { "good.example", "b.example." },
        { "good.example", "x.wild.example" }, { "unknown.example", "b.example" },
      } do
        assert.equal(421, status(port, case[1], case[2]), table.concat(case, " "))
      end
      assert.matches(" 421 ", log[1])
      assert.equal(5, #log)
    end)
  end)

  it("serves every other host, numbers, and clients that ask for no name", function()
    beside(names(), function(port)
      for _, case in ipairs {
        { "good.example", "good.example" }, { "good.example", "unknown.example" }, { "good.example", "127.0.0.1:1" },
        { "good.example", "[::1]:1" }, { "good.example", ("b"):rep(300) }, { "b.example", "b.example:1" },
        { "b.example", "B.EXAMPLE." }, { "x.wild.example", "y.wild.example" }, { "b.example", "x.wild.example" },
        { "b.example", "good.example" }, { "good.example", "a.b.wild.example" }, { "good.example", "b.example.org" },
        { false, "b.example" }, { "127.0.0.1", "b.example" },
      } do
        assert.equal(200, status(port, case[1], case[2]), tostring(case[1]) .. " " .. case[2])
      end
    end)
  end)

  it("asks nothing of that kind where there is one certificate, whatever the host", function()
    beside(shows "good", function(port)
      assert.equal(200, status(port, "good.example", "b.example"))
    end)
  end)

  it("also by a target in absolute form, and serves nothing behind it", function()
    beside(names(), function(port)
      local answer = ask(port, "good.example", "GET https://b.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n"
        .. "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n")
      assert.matches("^HTTP/1.1 421 Misdirected Request\r\n", answer)
      assert.is_nil(answer:find "served")
    end)
  end)

  it("in HTTP/2, too, and goes on with the connection", function()
    if not has_curl then return pending "no curl with HTTP/2" end
    local tls = names()
    tls.alpn = { "h2", "http/1.1" }
    beside(tls, function(port)
      local url = ("https://good.example:%d/ "):format(port)
      local command = ("curl -s -k --http2 --max-time 20 --resolve good.example:%d:127.0.0.1"):format(port)
      local say = " -o /dev/null -w '%{http_version} %{http_code} %{num_connects}\\n' "
      local pipe <close> = assert(io.popen(command .. say .. url .. "-H 'Host: b.example:1' --next -s -k --http2" .. say
        .. url))
      assert.equal("2 421 1\n2 200 0\n", pipe:read "a")
    end)
  end)
end)
