--- moonlet.http: answers with a content coding. Each over every version of HTTP.

local support = dofile "tests/spec/support.lua"
local carriers = dofile "tests/spec/http/carriers.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

local TEXT = ("The quick brown fox jumps over the lazy dog. "):rep(200)

local function gunzip(bytes)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  local pipe <close> = assert(io.popen("gzip -dc < " .. path))
  local text = pipe:read "a"
  os.remove(path)
  return text
end

local function get(ask, handler, field, method, opts)
  opts = opts or { compress = true }
  return assert(ask(handler, { headers = { ["Accept-Encoding"] = field }, opts = opts, method = method }))
end

local function coding_of(ask, handler, field)
  local reply = get(ask, handler, field)
  return reply.headers["content-encoding"], reply.headers.vary
end

describe("the option compress", function()
  carriers.each(it, "codes whole texts for those that take it", function(ask)
    local reply = get(ask, function() return TEXT end, "gzip")
    assert.same({ "gzip", "accept-encoding", tostring(#reply.body) },
      { reply.headers["content-encoding"], reply.headers.vary, reply.headers["content-length"] })
    assert.is_true(#reply.body < 1000)
    assert.equal(TEXT, gunzip(reply.body))
    assert.equal("br", (coding_of(ask, function() return TEXT end, "gzip, br")))
    assert.equal("gzip", (coding_of(ask, function() return TEXT end, "gzip, br;q=0.5")))
    local head = get(ask, function() return TEXT end, "gzip", "HEAD")
    assert.same({ "gzip", reply.headers["content-length"], "" },
      { head.headers["content-encoding"], head.headers["content-length"], head.body })
  end)

  carriers.each(it, "leaves alone what it should", function(ask)
    local function with(name, value, body)
      return function(_, res)
        res.headers[name] = value
        return body or TEXT
      end
    end
    assert.same({ nil, "accept-encoding" }, { coding_of(ask, function() return TEXT end, nil) })
    assert.same({ nil, "accept-encoding" }, { coding_of(ask, function() return TEXT end, "gzip;q=0, br;q=0") })
    assert.same({}, { coding_of(ask, function() return "short" end, "gzip") })
    assert.same({}, { coding_of(ask, with("content-type", "image/png"), "gzip") })
    assert.same({ "x" }, { coding_of(ask, with("content-encoding", "x"), "gzip") })
    assert.same({}, { coding_of(ask, with("content-range", "bytes 0-1/2"), "gzip") })
    assert.same({}, { coding_of(ask, with("cache-control", "private, no-transform"), "gzip") })
    assert.same({}, { coding_of(ask, function() return 206, TEXT end, "gzip") })
    assert.same({}, { coding_of(ask, function(_, res) return res:file "tests/spec/http/coded_spec.lua" end, "gzip") })
    assert.is_nil(get(ask, function() return TEXT end, "gzip", nil, {}).headers["content-encoding"])
  end)

  carriers.each(it, "keeps other Vary fields, and weakens the entity tag", function(ask)
    local reply = get(ask, function(_, res)
      res.headers.vary, res.headers.etag = "cookie", '"x"'
      return TEXT
    end, "gzip")
    assert.same({ "cookie, accept-encoding", 'W/"x"' }, { reply.headers.vary, reply.headers.etag })
    reply = get(ask, function(_, res)
      res.headers.vary, res.headers.etag = "cookie, Accept-Encoding", 'W/"x"'
      return TEXT
    end, "gzip")
    assert.same({ "cookie, Accept-Encoding", 'W/"x"' }, { reply.headers.vary, reply.headers.etag })
  end)

  carriers.each(it, "codes what is streamed, with trailers, too", function(ask)
    local reply = get(ask, function(_, res)
      res.headers["content-type"] = "application/json"
      for i = 1, 100 do res:write(TEXT:sub(1, i)) end
      res:trailer("x-sum", "7")
    end, "gzip")
    local expected = {}
    for i = 1, 100 do expected[i] = TEXT:sub(1, i) end
    assert.equal("gzip", reply.headers["content-encoding"])
    assert.equal(table.concat(expected), gunzip(reply.body))
    assert.is_nil(reply.headers["content-length"])
  end)

  carriers.each(it, "leaves event streams alone", function(ask)
    local reply = get(ask, function(_, res)
      local events = res:events()
      events:send "x"
    end, "gzip")
    assert.same({ "data: x\n\n" }, { reply.body, reply.headers["content-encoding"] })
  end)

  it("sends at a flush all that was written", function()
    local here <close>, there = net.pair()
    here:set_timeout(30)
    local go_on
    local server = http.server({ compress = true }, function(_, res)
      res.headers["content-type"] = "text/plain"
      res:write "first"
      res:flush()
      support.eventually(function() return go_on end)
      res:write "second"
    end)
    local serving = task.spawn(server.serve, server, there)
    local client <close> = http.client {}
    local reply = assert(client:stream { url = "http://a.example/", connect = function() return here end })
    local piece = ""
    while piece ~= "first" do piece = piece .. assert(reply:read(5 - #piece)) end
    go_on = true
    assert.equal("second", reply:read_all())
    reply:close()
    here:close()
    serving:join()
  end)

  carriers.each(it, "is a route's, too", function(ask)
    local router = http.router():get("/", { compress = true }, function() return TEXT end)
    assert.equal("gzip", get(ask, router, "gzip", nil, {}).headers["content-encoding"])
    router = http.router():get("/", { compress = false }, function() return TEXT end)
    assert.is_nil(get(ask, router, "gzip").headers["content-encoding"])
  end)
end)

describe("a long answer that is coded", function()
  carriers.each(it, "lets other tasks run many times meanwhile, and is whole", function(ask)
    local lines = {}
    for i = 1, 40000 do lines[i] = ("%d %d\n"):format(i, i * 7919 % 10007) end
    local text = table.concat(lines)
    local rounds, has_ended = 0, false
    local other
    local reply = get(ask, function()
      other = task.spawn(function()
        while not has_ended do
          rounds = rounds + 1
          task.yield()
        end
      end)
      task.yield()
      rounds = 0
      return 200, { ["content-type"] = "text/plain" }, text
    end, "gzip")
    has_ended = true
    other:join()
    assert.equal("gzip", reply.headers["content-encoding"])
    assert.is_true(gunzip(reply.body) == text)
    assert.is_true(rounds >= #text // 8192, rounds)
  end)
end)
