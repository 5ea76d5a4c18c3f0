-- scripts/load_test.lua, with servers that count, stall and fail, and with nginx.

local http = require "moonlet.http"
local net = require "moonlet.net"
local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local it = support.limited(it)

describe("scripts/load_test.lua", function()
  setup(function() programs.open_directory() end)
  after_each(programs.stop_all)
  teardown(programs.remove_directory)

  -- A server that lives as long as the test: its URL, and it.
  local function serve(handler)
    local listener, server = assert(net.listen("127.0.0.1", 0)), http.server(handler)
    task.spawn({ daemon = true }, server.serve, server, listener)
    return ("http://%s/"):format(listener:address()), server
  end

  -- Runs it beside the server: output, exit status.
  local function measure(...)
    local program = programs.start(programs.command_line("load_test.lua", ...))
    local status = program:wait()
    assert.equal("", program:errors())
    return program:output(), status
  end

  it("counts answers and bytes over so many connections, and sorts the latencies", function()
    local asked = 0
    local url, server = serve(function()
      asked = asked + 1
      return ("x"):rep(1000)
    end)
    local output, status = measure("-c", 7, "-d", 1, url)
    assert.equal(0, status)
    local answers, rate, speed = output:match "\nanswers +(%d+), ([%d.]+)/s, ([%d.]+) MB/s\n"
    answers = tonumber(answers)
    assert(answers <= asked and answers >= asked - 7, answers .. " of " .. asked)
    assert(math.abs(rate * 1000 / 1e6 - speed) < 0.01, rate .. " " .. speed)
    assert.equal(7, server:stats().connections)
    local sum, last = 0, 0
    for below, count in output:gmatch "\n  < +([%d.]+) ms +(%d+)" do
      assert(tonumber(below) > last)
      sum, last = sum + count, tonumber(below)
    end
    assert.equal(answers, sum)
    local half, nine, most = output:match "\nlatency, ms +50 %% (%S+) +90 %% (%S+) .* 100 %% (%S+)\n"
    assert(tonumber(half) <= tonumber(nine) and tonumber(nine) <= tonumber(most), output)
    assert.matches("\nerrors +none\n$", output)
  end)

  it("keeps to a rate, and counts as latency also how long a request was overdue", function()
    local asked = 0
    local url = serve(function()
      asked = asked + 1
      if asked == 1 then task.sleep(0.5) end
      return "ok"
    end)
    local output, status = measure("-c", 1, "-r", 100, "-d", 1, url)
    assert.equal(0, status)
    assert(asked <= 101, asked)
    -- About half of them were due while the first kept the connection.
    assert(tonumber(output:match "90 %% (%S+)") > 100, output)
  end)

  it("tells errors by their kind", function()
    local n = 0
    local url = serve(function()
      n = n + 1
      return n % 2 == 0 and 503 or 404
    end)
    local output, status = measure("-c", 1, "-d", 1, url)
    assert.equal(1, status)
    assert.matches("\nerrors +status 404 %d+, status 503 %d+\n$", output)
    output, status = measure("-c", 2, "-d", 1, "127.0.0.1:" .. support.free_port())
    assert.equal(1, status)
    assert.matches("\nanswers +0, 0.0/s, 0.000 MB/s\nerrors +ECONNREFUSED %d+\n$", output)
    local silent <close> = assert(net.listen("127.0.0.1", 0))
    output = measure("-c", 1, "-d", 2, "-t", 0.2, tostring(silent:address()))
    assert.matches("\nerrors +EDEADLINE %d+\n$", output)
  end)

  -- Runs it until condition() is true, and interrupts it then: output, exit status.
  local function measure_until(condition, ...)
    local program = programs.start(programs.command_line("load_test.lua", "-d", 100, ...))
    support.eventually(condition)
    program:kill "INT"
    local status = program:wait()
    assert.equal("", program:errors())
    return program:output(), status
  end

  it("sends the method, body and fields it is told to", function()
    local got
    local url = serve(function(req) got = { req.method, req:body(), req.headers["x-a"] } end)
    measure_until(function() return got end, "-X", "PUT", "-b", "text", "-H", "X-A: 1", url)
    assert.same({ "PUT", "text", "1" }, got)
    got = nil
    measure_until(function() return got end, "-b", "text", url)
    assert.equal("POST", got[1])
  end)

  it("shows at Ctrl-C what it has measured", function()
    local asked = 0
    local url = serve(function() asked = asked + 1 end)
    local output, status = measure_until(function() return asked > 100 end, url)
    assert.equal(130, status)
    assert.matches("\nanswers +%d+, .*\nerrors +none\n$", output)
  end)

  it("measures nginx", function()
    if not programs.installed "nginx" then pending "nginx is not installed" end
    local port = programs.start_nginx({ page = ("x"):rep(10000) }, "")
    local output, status = measure("-d", 1, ("127.0.0.1:%d/page"):format(port))
    assert.equal(0, status)
    assert.matches("\nerrors +none\n$", output)
  end)

  it("says what is wrong with its arguments", function()
    programs.refuse_words("load_test.lua", { {}, { "-c", "0", "a" }, { "-c", "1.5", "a" }, { "-d", "x", "a" },
      { "-z", "1", "a" }, { "-H", "none", "a" }, { "a", "b" }, { "-r", "0", "a" } })
    local output, errors, status = programs.run_script("load_test.lua", "http://[x/")
    assert.same({ "", 1 }, { output, status })
    assert.matches("^load_test: not a URL", errors)
  end)
end)
