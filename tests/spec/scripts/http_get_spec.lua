-- scripts/http_get.lua, with a server of ours, and over TLS.

local credentials = dofile "tests/spec/tls_support.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local it = support.limited(it)

local BIG = ("0123456789abcdef"):rep(100000)

describe("scripts/http_get.lua", function()
  local directory

  setup(function()
    directory = programs.open_directory()
    credentials.make(directory)
  end)
  after_each(programs.stop_all)
  teardown(programs.remove_directory)

  -- Serves while the test runs. Returns the URL.
  local function serve(handler, tls)
    local listener = assert(net.listen("127.0.0.1", 0, { tls = tls }))
    task.spawn({ daemon = true }, http.serve, { listener = listener, on_error = function() end }, handler)
    return ("%s://localhost:%d"):format(tls and "https" or "http", listener:address().port)
  end

  -- Runs it beside the server. Returns output, complaints, exit status.
  local function get(...)
    local program = programs.start(programs.command_line("http_get.lua", ...))
    local status = program:wait()
    return program:output(), program:errors(), status
  end

  local function echo(req)
    return ("%s %s [%s] %s"):format(req.method, req.target, req.headers["content-type"] or "", req:body())
  end

  it("prints what it fetches, with -i after the head", function()
    local url = serve(echo)
    assert.same({ "GET /a?b [] ", "", 0 }, { get(url .. "/a?b") })
    local output = get("-i", url:gsub("^http://", "") .. "/x")
    assert.matches("^HTTP/1.1 200 OK\n.*content%-length: 10\n\nGET /x %[%] $", output)
    output = get("-I", url)
    assert.matches("^HTTP/1.1 200 OK\n.*\n\n$", output)
    assert.equal("GET /1 [] GET /2 [] ", (get(url .. "/1", url .. "/2")))
  end)

  it("sends data, fields and methods", function()
    local url = serve(echo)
    assert.equal("POST / [application/x-www-form-urlencoded] a=1", (get("-d", "a=1", url)))
    assert.equal("PUT / [text/plain] x", (get("-XPUT", "-H", "content-TYPE: text/plain", "-d", "x", url)))
    programs.write_file(directory .. "/data", "a\0b\n")
    assert.equal("POST / [application/x-www-form-urlencoded] a\0b\n", (get("-d", "@" .. directory .. "/data", url)))
    local output, errors, status = get("-d", "@/nowhere", url)
    assert.same({ "", "http_get: /nowhere: No such file or directory\n", 1 }, { output, errors, status })
    local fields = serve(function(req) return table.concat(req.headers:all "x-a", "|") end)
    assert.equal("1|2", (get("-H", "X-A: 1", "-H", "x-a:2", fields)))
  end)

  it("follows redirects with -L alone", function()
    local url = serve(function(req, res)
      if req.path == "/there" then return "arrived" end
      return res:redirect "/there"
    end)
    local output, _, status = get("-i", url)
    assert.matches("^HTTP/1.1 302 .*location: /there\n", output)
    assert.equal(0, status)
    assert.equal("arrived", (get("-L", url)))
  end)

  it("tells answers that are errors from failures", function()
    local url = serve(function() return 404, "not here" end)
    assert.same({ "not here", "", 22 }, { get(url) })
    local output, errors, status = get("-f", url)
    assert.same({ "", 22 }, { output, status })
    assert.equal(("http_get: %s answered 404\n"):format(url), errors)
    assert.equal(22, select(3, get("-s", "-o", directory .. "/not", url)))
    assert.is_nil(support.read_file(directory .. "/not"))
    local refusing = "127.0.0.1:" .. support.free_port()
    assert.same({ "", ("http_get: %s: Connection refused\n"):format(refusing), 1 }, { get(refusing) })
    local silent <close> = assert(net.listen("127.0.0.1", 0))
    assert.same({ "", "http_get: deadline passed\n", 1 }, { get("-m", 0.2, tostring(silent:address())) })
  end)

  it("goes on with a file where it was cut", function()
    local ranges = {}
    local url = serve(function(req, res)
      table.insert(ranges, req.headers.range or "all")
      res.headers.etag = '"1"'
      if req.headers.range then
        local first = tonumber(req.headers.range:match "^bytes=(%d+)%-$")
        res.headers["content-range"] = ("bytes %d-%d/%d"):format(first, #BIG - 1, #BIG)
        return 206, BIG:sub(first + 1)
      end
      res.headers["content-length"] = #BIG
      res:write(BIG:sub(1, 70000))
      error "cut"
    end)
    local path = directory .. "/big"
    local _, errors, status = get("-o", path, url)
    assert.matches("^http_get: ", errors)
    assert.equal(1, status)
    assert.is_nil(support.read_file(path))
    assert.same({ "", "", 0 }, { get("-o", path, url) })
    assert.is_true(support.read_file(path) == BIG)
    assert.same({ "all", "bytes=70000-" }, ranges)
  end)

  it("draws a progress bar on a terminal, and nothing elsewhere", function()
    if not programs.installed "script" then pending "script is not installed" end
    local url = serve(function() return BIG end)
    local line = programs.command_line("http_get.lua", "-o", directory .. "/copy", url)
    local program = programs.start(("script -qec %s /dev/null"):format(programs.quote(line)))
    assert.equal(0, program:wait())
    assert.matches("\r%[" .. ("#"):rep(30) .. "%] 1%.526 MiB", program:output())
    assert.same({ "", "", 0 }, { get("-o", directory .. "/copy", url) })
  end)

  it("verifies certificates, unless -k forbids it", function()
    local url = serve(function() return "over TLS" end, net.tls(credentials.shows "good"))
    local output, errors, status = get(url)
    assert.same({ "", 1 }, { output, status })
    assert.matches("^http_get: .*certificate", errors)
    assert.same({ "over TLS", "", 0 }, { get("-k", url) })
  end)

  it("ends when nothing takes its output", function()
    local url = serve(function(_, res)
      while res:write(BIG) do end
    end)
    local program = programs.start("sh -c " .. programs.quote(programs.command_line("http_get.lua", url)
      .. "; echo $? >&2") .. " | head -c 10")
    local errors = programs.eventually("its exit status", function() return program:errors():match "^.*%d+\n$" end)
    -- By the signal; where that is ignored, by the failed write.
    assert(errors == "141\n" or errors == "http_get: Broken pipe\n1\n", errors)
  end)

  it("says what is wrong with its arguments", function()
    programs.refuse_words("http_get.lua", { {}, { "-x", "a" }, { "-o" }, { "-o", "x", "a", "b" }, { "-H", "none", "a" },
      { "-m", "soon", "a" } })
    local output, _, status = programs.run_script("http_get.lua", "--help")
    assert.matches("^usage: moonlet http_get.lua ", output)
    assert.equal(0, status)
  end)
end)
