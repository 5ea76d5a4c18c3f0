-- libcurl as Debian builds it, through tests/modules/easy_curl.c: lua-curl has no build for Lua 5.4. Against nginx, and
-- against a server that takes its time.

local support = dofile "tests/spec/support.lua"
local libraries = dofile "tests/spec/interpose/c_libraries.lua"
local programs = dofile "tests/spec/programs.lua"
local net = require "moonlet.net"
local system = libraries.need("system", "lua-system")
local task = require "moonlet.task"
local it = support.limited(it)

local MODULES = assert(os.getenv "MOONLET_TESTS", "the environment variable MOONLET_TESTS names a directory") .. "/?.so"
package.cpath = MODULES .. ";" .. package.cpath
local fetch = libraries.need("easy_curl", "curl")

local OK, TIMED_OUT = 0, 28 -- codes of libcurl
local PIECES, BIG = 4, 2 * 1024 * 1024

local function url(port, path, host)
  return ("http://%s:%d/%s"):format(host or "127.0.0.1", port, path or "")
end

-- The whole of what is fetched. between(): called in libcurl's callback, for each piece.
local function fetch_all(address, between)
  local pieces = {}
  local code, message = fetch(address, function(piece)
    pieces[#pieces + 1] = piece
    if between then between() end
  end)
  assert.equal(OK, code, message)
  return table.concat(pieces)
end

-- Four pieces, which take 0.2 s together.
local function slow_server()
  return libraries.server(function(conn)
    local path = assert(conn:read_line()):match "^GET /(%S*) "
    while conn:read_line() ~= "" do end -- luacheck: ignore 542
    conn:write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ", PIECES * #path, "\r\n\r\n")
    for _ = 1, PIECES do
      task.sleep(libraries.SPAN / PIECES)
      conn:write(path)
    end
    conn:finish(5)
  end)
end

describe("libcurl", function()
  local nginx, nginx_port

  setup(function()
    libraries.need_program("nginx", "nginx-light")
    programs.open_directory()
    nginx_port, nginx = programs.start_nginx({ big = ("0123456789abcdef"):rep(BIG // 16) },
      'location /numbered/ { return 200 "$uri"; }')
  end)

  teardown(function()
    if nginx then nginx:kill "TERM" end
    programs.stop_all()
    programs.remove_directory()
  end)

  it("fetches in twenty tasks at once from a slow server, by address and by name", function()
    local server <close> = slow_server()
    for _, host in ipairs { "127.0.0.1", "localhost" } do
      libraries.overlap(function(i)
        local path = "page" .. i
        assert.equal(path:rep(PIECES), fetch_all(url(server.port, path, host)))
      end)
    end
  end)

  it("is called back in twenty tasks at once, by callbacks that wait in moonlet and in C", function()
    libraries.overlap(function(i)
      local path = "numbered/" .. i
      local page = fetch_all(url(nginx_port, path), function()
        task.sleep(libraries.SPAN / 2)
        system.sleep(libraries.SPAN / 2)
      end)
      assert.equal("/" .. path, page)
    end)
  end)

  it("fetches pages of 2 MB from nginx in ten tasks, whose callbacks let others run", function()
    local others = 0
    task.group(function(g)
      for _ = 1, 10 do
        g:spawn(function()
          local before, page = others, fetch_all(url(nginx_port, "big"), function()
            others = others + 1
            task.yield()
          end)
          assert.equal(BIG, #page)
          assert.is_true(page == ("0123456789abcdef"):rep(BIG // 16))
          assert.is_true(others - before > BIG // 16384) -- libcurl's buffer: more than its own pieces
        end)
      end
    end)
  end)

  it("raises what its callback raises after it has waited", function()
    assert.equal("enough", support.message_of(fetch, url(nginx_port, "big"), function()
      task.sleep(0.001)
      error("enough", 0)
    end))
  end)

  it("keeps its own time limit, while others go on", function()
    local silent <close> = libraries.silent_server()
    local ticker <close> = libraries.ticker()
    assert.equal(TIMED_OUT, (fetch(url(silent.port), print, 200)))
    assert.is_true(ticker.count >= 3)
  end)

  it("raises a cancellation while it waits for the server, and in its callback; nothing is left open", function()
    local silent <close> = libraries.silent_server()
    libraries.cancels(function() fetch(url(silent.port), print) end, function() end)
    libraries.cancels(function()
      fetch(url(nginx_port, "numbered/1"), function() system.sleep(support.patience) end)
    end, function() end)
    assert.equal("/numbered/2", fetch_all(url(nginx_port, "numbered/2")))
  end)

  it("fetches one after the other with --no-interpose", function()
    local output = libraries.without(([[
      package.cpath = %q .. ";" .. package.cpath
      local fetch, system = require "easy_curl", require "system"
      local seconds, ticks = overlapping(function(i)
        local page
        assert(fetch(("http://127.0.0.1:%%d/numbered/%%d"):format(port, i), function(piece)
          page = piece
          system.sleep(0.05)
        end) == 0)
        assert(page == "/numbered/" .. i, page)
      end)
      assert(seconds >= 0.2, seconds)
      assert(ticks <= 5, ticks)
      print "right"
    ]]):format(MODULES), nginx_port)
    assert.equal("right\n", output)
  end)
end)
