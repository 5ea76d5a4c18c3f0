--- moonlet.http: multipart bodies, part by part.

local carriers = dofile "tests/spec/http/carriers.lua"
local net = require "moonlet.net"
local server = require "moonlet.http.server"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"

local it = support.limited(it)

describe("the parts of a multipart request", function()
  local BODY = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n' ..
    '--b\r\nContent-Disposition: form-data; name="f"; filename="C:\\\\dir\\\\x.txt"\r\n' ..
    "Content-Type: text/csv\r\n\r\n1,2\r\n--c\r\n\r\n--b--\r\n"

  -- What the handler returns for the body, sent in pieces of `step` bytes.
  local function ask(handler, body, step, kind)
    local a, b = net.pair()
    local serving = task.spawn(function() server.server(handler):serve(b) end)
    local text = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: " ..
      (kind or "multipart/form-data; boundary=b") .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
    for i = 1, #text, step or #text do a:write(text:sub(i, i + (step or #text) - 1)) end
    local answer = a:read_all()
    a:close()
    serving:join()
    return answer:match "\r\n\r\n(.*)$"
  end

  local function describe_all(req)
    local out = {}
    for part in req:parts() do
      out[#out + 1] = ("%s %s %s <%s>"):format(part.name, part.filename, part.type, part:body())
    end
    return table.concat(out, ";")
  end

  it("come one after the other, however the bytes are cut", function()
    for _, step in ipairs { 1, 2, 5, 1000 } do
      assert.equal("a nil text/plain <one>;f x.txt text/csv <1,2\r\n--c\r\n>", ask(describe_all, BODY, step))
    end
  end)

  it("skips what is left of a part", function()
    assert.equal("a f ", ask(function(req)
      local names = ""
      for part in req:parts() do names = names .. part.name .. " " end
      return names
    end, BODY))
  end)

  it("refuses a part larger than the limit", function()
    assert.equal("EMSGSIZE", ask(function(req)
      local part = req:parts()()
      return (select(3, part:body(2)))
    end, BODY))
  end)

  it("raises where the body ends short or is malformed", function()
    for _, body in ipairs { BODY:sub(1, -8), (BODY:gsub("form%-data", "other")), "--bx\r\n\r\n" } do
      assert.equal("false", ask(function(req) return tostring((pcall(describe_all, req))) end, body))
    end
  end)

  carriers.each(it, "answers 400 for a malformed or short body, also where the handler does not look", function(request)
    for _, body in ipairs { BODY:sub(1, -8), (BODY:gsub("form%-data", "other")), "--bx\r\n\r\n", "", "--b" } do
      local reply = request(describe_all, {
        method = "POST", body = body, headers = { ["Content-Type"] = "multipart/form-data; boundary=b" },
      })
      assert.equal(400, reply.status)
    end
  end)

  carriers.each(it, "answers 413 for a part that is too large, if the handler returns that", function(request)
    local reply = request(function(req) return req:parts()():body(2) end, {
      method = "POST", body = BODY, headers = { ["Content-Type"] = "multipart/form-data; boundary=b" },
    })
    assert.equal(413, reply.status)
  end)

  it("gives the lines of a part", function()
    assert.equal("1,2|--c||", ask(function(req)
      local next_part, out = req:parts(), ""
      next_part()
      for line in next_part():lines "L" do out = out .. line:gsub("\r\n", "|") end
      return out .. "|"
    end, BODY))
  end)

  it("is closed to a part once the next was asked for", function()
    assert.equal("CLOSED", ask(function(req)
      local next_part = req:parts()
      local first = next_part()
      next_part()
      return (select(3, first:read_some()))
    end, BODY))
  end)

  carriers.each(it, "have names of files that lead nowhere", function(request)
    local names = {
      ["../../x"] = "x", [".."] = "", ["a/.."] = "", ["."] = "", ["..\\\\"] = "", ["..."] = "...", [".x"] = ".x",
      ["/etc/passwd"] = "passwd", [""] = "",
    }
    for given, expected in pairs(names) do
      local body = ('--b\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\n\r\nx\r\n--b--'):format(given)
      for _, read in ipairs {
        function(req) return "<" .. req:parts()().filename .. ">" end,
        function(req) return "<" .. select(2, req:form())[1].filename .. ">" end,
      } do
        local reply = request(read, { method = "POST", body = body,
          headers = { ["Content-Type"] = "multipart/form-data; boundary=b" } })
        assert.equal("<" .. expected .. ">", reply.body, given)
      end
    end
  end)

  it("are none of another type", function()
    for _, kind in ipairs { "text/plain", "multipart/form-data", 'multipart/form-data; boundary=""' } do
      assert.equal("EPROTO", ask(function(req) return (select(3, req:parts())) end, BODY, nil, kind))
    end
  end)

  it("saves a part to a file, which appears whole or never", function()
    local path = os.tmpname()
    os.remove(path)
    assert.equal("3", ask(function(req) return tostring((req:parts()():save(path))) end, BODY))
    local file <close> = assert(io.open(path, "rb"))
    assert.equal("one", file:read "a")
    os.remove(path)
    assert.equal("EMSGSIZE", ask(function(req) return (select(3, req:parts()():save(path, 2))) end, BODY))
    assert.is_nil(io.open(path))
    assert.is_nil(io.open(path .. ".part"))
  end)
end)
