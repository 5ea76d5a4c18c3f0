-- The example programs, each run as its reader would, with nc, curl and nginx as peers.
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local programs = dofile "tests/spec/programs.lua"
local browser = dofile "tests/spec/browser.lua"
local http = require "moonlet.http"
local json = require "moonlet.json"
local net = require "moonlet.net"
local task = require "moonlet.task"

local PATIENCE = programs.patience
local quote, read_file, write_file = programs.quote, programs.read_file, programs.write_file
local eventually, installed = programs.eventually, programs.installed
local run, run_script, command_line = programs.run, programs.run_script, programs.command_line
local start, start_server, free_port = programs.start, programs.start_server, support.free_port

local directory -- of this run's files

local function connect(port)
  local conn = assert(net.connect("127.0.0.1", port))
  conn:set_timeout(PATIENCE)
  return conn
end

-- Reads lines up to one that matches.
local function read_to(conn, pattern)
  while true do
    local line, message = conn:read_line()
    if not line then error("no '" .. pattern .. "': " .. (message or "end"), 2) end
    if line:find(pattern) then return line end
  end
end

local BIG = 512 * 1024

local function start_nginx()
  if not installed "nginx" then return nil end
  local filling, pages = string.rep("\0\r\n\255", 1023), {}
  for i = 1, BIG // 4096 do pages[i] = string.pack("<I4", i) .. filling end
  local files = { big = table.concat(pages), medium = table.concat(pages, "", 1, 40), small = "hello\n" }
  return (programs.start_nginx(files, [[
    location /numbered/ { return 200 "$uri $args\n"; }
    location /moved { return 302 /small; }
    location /empty { return 204; }]]))
end

local function need(...)
  for _, program in ipairs {...} do
    if not installed(program) then pending(program .. " is not installed") end
  end
end

describe("scripts", function()
  setup(function() directory = programs.open_directory() end)

  after_each(programs.stop_all)

  teardown(programs.remove_directory)

  it("print their usage and exit 1 when the arguments are wrong", function()
    local wrong = {{"demo.lua", "x"}, {"demo.lua", "--serve", "x"}, {"demo.lua", "--serve", "65536"},
      {"echo_server.lua", "127.0.0.1", "x"},
      {"echo_server.lua", "--help"}, {"chat_server.lua", "127.0.0.1", "65536"},
      {"tcp_proxy.lua"}, {"tcp_proxy.lua", "7000", "localhost"}, {"sleepers.lua", "10"},
      {"fetch_all.lua", "-n", "0", "http://localhost/"}, {"fetch_all.lua", "-t"},
      {"socks5_proxy.lua", "-u"}, {"socks5_proxy.lua", "-u", "x"}, {"socks5_proxy.lua", "-m", "0"},
      {"socks5_proxy.lua", "-x", "1"}, {"socks5_proxy.lua", "127.0.0.1", "1080", "x"},
      {"redis_client.lua", "-s"}, {"redis_client.lua", "-x"}, {"redis_client.lua", "-s", "x", "PING"}}
    programs.refuse_words(nil, wrong)
  end)

  it("say why a server cannot listen", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local port = listener:address().port
    for _, words in ipairs {{"echo_server.lua", "127.0.0.1", port},
      {"chat_server.lua", "127.0.0.1", port}, {"tcp_proxy.lua", port, "localhost", 1},
      {"socks5_proxy.lua", "127.0.0.1", port}} do
      local _, errors, status = run_script(table.unpack(words))
      assert.equal(string.format("%s: cannot listen on 127.0.0.1:%d: Address already in use\n",
        words[1]:match "[^.]*", port), errors)
      assert.equal(1, status)
    end
  end)

  it("end with status 130, and no more words, at Ctrl-C", function()
    local port, server = start_server("chat_server.lua", "127.0.0.1", 0)
    local conn <close> = connect(port)
    conn:write "ann\n"
    read_to(conn, "ann is here")
    server:kill "INT"
    assert.equal(130, server:wait())
    assert.equal("", server:errors())
    assert.is_nil((conn:read_line()))
  end)

  describe("demo", function()
    local function check(limit, most)
      local output, errors, status = run("ulimit -n " .. limit .. "; " .. command_line "demo.lua")
      assert.equal("", errors)
      assert.equal(0, status)
      assert.equal(most, tonumber(output:match "\nconnections +1000, at most (%d+) at once\n"))
      assert.match("\n +%d+%.%d s +%d+ connected +%d+ replies\n", output)
      assert.match("\nmessages +24100 replies, 10000 heard from others\n", output)
      assert.match("\ntime +%d+%.%d+ s\nmessages/s +%d+\nmemory per task +%d+%.%d KB", output)
    end

    it("has a thousand clients connected at once", function()
      local limit = read_file "/proc/self/limits":match "Max open files%s+%d+%s+(%d+)"
      if tonumber(limit or 0) < 2100 then pending "too few open files allowed" end
      check(2100, 1000)
    end)

    it("takes turns when few files may be open", function()
      check(256, 110)
    end)

    it("shows a page while it runs, round after round until Ctrl-C, when it is told to serve", function()
      local demo = start("sh -c " .. quote("ulimit -n 256; exec " .. command_line("demo.lua", "--serve")))
      local url = demo:printed "open (%S+)\n"
      local client <close> = http.client()
      assert.match("<title>moonlet</title>", assert(client:get(url)).body)
      assert.equal(404, assert(client:get(url .. "x")).status)
      local r <close> = assert(client:stream(url .. "events"))
      local most = 0
      for event in r:events() do
        local now = json.decode(event.data)
        most = math.max(most, now.connected)
        if now.round == 2 and now.connected > 0 then break end
      end
      assert(most > 0 and most <= 110, most)
      demo:printed "\nmessages +24100 replies, 10000 heard from others\n"
      demo:kill "INT"
      assert.same({ 130, "" }, { demo:wait(), demo:errors() })
    end)

    it("moves its page in a browser", function()
      local demo = start(command_line("demo.lua", "--serve"))
      local page <close> = browser.open(programs, directory, (demo:printed "open (%S+)\n"))
      if not page then pending "chromium is not installed" end
      page:shows "%d+ connected, %d+ tasks, [1-9]%d* replies, round %d+, %d+ MB"
      support.eventually(function()
        return select(2, page:evaluate("document.getElementById('line').getAttribute('points')"):gsub(",", "")) > 2
      end)
    end)

    it("says so when too few files may be open", function()
      local _, errors, status = run("ulimit -n 40; " .. command_line "demo.lua")
      assert.match("^demo: too few open files", errors)
      assert.equal(1, status)
    end)
  end)

  describe("sleepers", function()
    it("tells time and memory", function()
      local output, errors, status = run_script("sleepers.lua", 1000, 0.1)
      assert.equal("", errors)
      assert.equal(0, status)
      local seconds, kb = output:match "^1000 tasks slept 0.1 s in ([%d.]+) s, (%S+) KB per task\n$"
      assert.is_true(tonumber(seconds) >= 0.1)
      assert.is_truthy(kb)
    end)
  end)

  describe("echo_server", function()
    it("sends back what nc sends", function()
      need "nc"
      local port, server = start_server("echo_server.lua", "127.0.0.1", 0)
      local text = string.rep("the same again\n", 100000)
      write_file(directory .. "/text", text)
      local output = run(string.format("nc -N 127.0.0.1 %d <%s/text", port, directory))
      assert.is_true(output == text)
      server:printed "1500000 bytes\tend\n"
    end)

    it("survives a reset", function()
      local port, server = start_server("echo_server.lua", "localhost", 0)
      local rude = connect(port)
      rude:write(string.rep("x", 100000))
      assert.equal("x", rude:read(1))
      rude:close() -- and what comes later is answered with a reset
      server:printed "bytes\t"
      local conn <close> = connect(port)
      conn:write "still there?\n"
      assert.equal("still there?", conn:read_line())
    end)
  end)

  describe("chat_server", function()
    it("lets people talk to each other", function()
      local port, server = start_server("chat_server.lua", "127.0.0.1", 0)
      local ann <close> = connect(port)
      local bob <close> = connect(port)
      ann:write "ann\n"
      read_to(ann, "^%* ann is here$")
      bob:write "ann\n"
      read_to(bob, "^%* taken")
      bob:write "not a name\n"
      read_to(bob, "^%* letters and digits")
      bob:write "bob\n"
      read_to(ann, "^%* bob is here$")
      ann:write "hello\27[2J, bob\n/who\n/what\n"
      read_to(bob, "^ann: hello%[2J, bob$")
      read_to(ann, "^%* here: ann, bob$")
      read_to(ann, "^%* there is /who and /quit$")
      bob:write "bye\n/quit\n"
      read_to(ann, "^bob: bye$")
      read_to(ann, "^%* bob has left$")
      read_to(bob, "^bob: bye$")
      assert.is_nil(bob:read_line())
      server:printed "bob leaves\n"
    end)

    it("serves nc", function()
      need "nc"
      local port = start_server("chat_server.lua", "127.0.0.1", 0)
      local listener <close> = connect(port)
      listener:write "listener\n"
      read_to(listener, "listener is here")
      local output = run(string.format("printf 'carl\\nhello\\n' | nc -N 127.0.0.1 %d", port))
      assert.match("%* carl is here\n", output)
      assert.match("carl: hello\n", output)
      read_to(listener, "^carl: hello$")
      read_to(listener, "^%* carl has left$")
    end)

    it("drops who does not read, and keeps nobody waiting", function()
      local port, server = start_server("chat_server.lua", "127.0.0.1", 0)
      local slow <close> = connect(port)
      local ann <close> = connect(port)
      slow:write "slow\n"
      read_to(slow, "slow is here")
      ann:write "ann\n"
      read_to(ann, "ann is here")
      local text = string.rep("x", 900)
      for _ = 1, 20000 do
        assert(ann:write(text, "\n"))
        read_to(ann, "^ann: x*$")
        if server:output():find "slow leaves" then break end
      end
      server:printed "slow leaves\n"
      ann:write "/who\n"
      read_to(ann, "^%* here: ann$")
    end)

    it("survives a reset and a line without end", function()
      local port, server = start_server("chat_server.lua", "127.0.0.1", 0)
      local rude <close> = connect(port)
      rude:write "rude\n"
      read_to(rude, "your name")
      rude:write "unanswered\n"
      server:printed "rude joins"
      rude:close()
      server:printed "rude leaves\n"
      local endless <close> = connect(port)
      endless:write("endless\n", string.rep("x", 5000))
      server:printed "endless leaves\n"
      local ann <close> = connect(port)
      ann:write "ann\n/who\n"
      read_to(ann, "^%* here: ann$")
      assert.equal("", server:errors())
    end)
  end)

  describe("tcp_proxy", function()
    it("passes on what curl and nginx say, byte by byte", function()
      need("nginx", "curl", "cmp")
      local upstream = start_nginx()
      local port = start_server("tcp_proxy.lua", 0, "localhost", upstream)
      local url = "http://127.0.0.1:" .. port
      assert.equal("hello\n", (run("curl -sS " .. url .. "/small")))
      local head = run("curl -sSI " .. url .. "/big")
      assert.match("^HTTP/1.1 200", head)
      assert.match("\nContent%-Length: " .. BIG .. "\r\n", head)
      local _, errors, status = run(string.format(
        "cd %s && curl -sS -o copy %s/big && cmp copy nginx/html/big", directory, url))
      assert.equal("", errors)
      assert.equal(0, status)
    end)

    it("serves many at once", function()
      need("nginx", "curl")
      local port = start_server("tcp_proxy.lua", 0, "127.0.0.1", (start_nginx()))
      local url = string.format("http://127.0.0.1:%d/numbered/[1-100]", port)
      local _, _, status = run(string.format(
        "curl -sS --parallel --parallel-max 50 -o '%s/page#1' '%s'", directory, url))
      assert.equal(0, status)
      for i = 1, 100 do
        assert.equal("/numbered/" .. i .. " \n", read_file(directory .. "/page" .. i))
      end
    end)

    it("passes on the end of the input while the answer is still to come", function()
      local upstream <close> = assert(net.listen("127.0.0.1", 0))
      local answering = task.spawn(function()
        local conn <close> = upstream:accept()
        local question = conn:read_all()
        conn:write(#question, " bytes")
      end)
      local port, server = start_server("tcp_proxy.lua", 0, "127.0.0.1", upstream:address().port)
      local conn <close> = connect(port)
      conn:write(string.rep("x", 300000))
      conn:shutdown()
      assert.equal("300000 bytes", conn:read_all())
      assert.is_true((answering:join()))
      server:printed "\tend\n"
    end)

    it("closes an idle connection, but none with traffic in one direction only", function()
      local IDLE, STEP, STEPS = 1, 0.1, 25
      local upstream <close> = assert(net.listen("127.0.0.1", 0))
      local answering = task.spawn(function()
        local conn <close> = upstream:accept()
        for _ = 1, STEPS do
          task.sleep(STEP)
          conn:write "x"
        end
        conn:read_all() -- the proxy hangs up
      end)
      local port, server =
        start_server("tcp_proxy.lua", 0, "127.0.0.1", upstream:address().port, IDLE)
      local conn <close> = connect(port)
      assert.equal(STEPS, #conn:read_all())
      assert.is_true((answering:join()))
      server:printed "\ttimeout\n"
    end)

    it("hangs up when nobody listens behind it", function()
      local refusing = free_port()
      local port, server = start_server("tcp_proxy.lua", 0, "127.0.0.1", refusing)
      local conn <close> = connect(port)
      assert.is_nil(conn:read_line())
      server:printed("cannot connect to 127.0.0.1:" .. refusing .. ": Connection refused\n")
    end)
  end)

  describe("fetch_all", function()
    it("fetches 200 URLs of nginx, from standard input", function()
      need "nginx"
      local base, urls = "http://localhost:" .. start_nginx(), {}
      for i = 1, 200 do urls[i] = string.format("%s/numbered/%d?page=%d#top", base, i, i) end
      write_file(directory .. "/urls", table.concat(urls, "\n") .. "\n\n")
      local output, errors, status = run(command_line("fetch_all.lua", "-n", 20) .. " <" ..
        directory .. "/urls")
      assert.equal("", errors)
      assert.equal(200, select(2, output:gsub("\n +200 +%d+ +%d+  http://%S+", "")))
      local bytes = 0
      for i = 1, 200 do bytes = bytes + #string.format("/numbered/%d page=%d\n", i, i) end
      assert.match("\n200 fetched, 0 failed, " .. bytes .. " bytes, [%d.]+ s\n$", output)
      assert.equal(0, status)
    end)

    it("tells redirects, empty answers and errors of the server apart", function()
      need "nginx"
      local base = "http://127.0.0.1:" .. start_nginx()
      local output, _, status = run_script("fetch_all.lua", "-t", 60, base .. "/big", base .. "/moved",
        base .. "/empty", base .. "/missing")
      assert.match("\n +200 +" .. BIG .. " +%d+  %S+/big\n", output)
      assert.match("\n +302 +%d+ +%d+  %S+/moved\n", output)
      assert.match("\n +204 +0 +%d+  %S+/empty\n", output)
      assert.match("\n +404 +%d+ +%d+  %S+/missing\n", output)
      assert.match("\n3 fetched, 1 failed", output)
      assert.equal(1, status)
    end)

    it("fetches by few connections what one server has", function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local connections = 0
      local serving = task.spawn(function()
        listener:serve({ on_error = function() end }, function(conn)
          connections = connections + 1
          while conn:read_line() do
            repeat until conn:read_line() == ""
            conn:write "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
          end
        end)
      end)
      local words = { "fetch_all.lua", "-n", 2 }
      for i = 1, 20 do words[i + 3] = ("http://%s/%d"):format(listener:address(), i) end
      local fetching = start(command_line(table.unpack(words)))
      assert.equal(0, fetching:wait())
      assert.match("\n20 fetched, 0 failed, 40 bytes", fetching:output())
      assert.equal(2, connections)
      listener:close()
      support.finish(serving)
    end)

    it("goes on after a refused port, an unknown host and what is no URL", function()
      local refusing = "127.0.0.1:" .. free_port()
      local output, errors, status = run_script("fetch_all.lua", "http://" .. refusing,
        "http://x.invalid/", "ftp://localhost/", "http://localhost:99999/")
      assert.equal("", errors)
      assert.match("http://" .. refusing .. ": " .. refusing .. ": Connection refused\n", output)
      assert.match("http://x.invalid/: x.invalid:80: host not found\n", output)
      assert.match("ftp://localhost/: 'ftp://localhost/' is no URL of http or https", output)
      assert.match("http://localhost:99999/: not a URL: a port is at most 65535", output)
      assert.match("\n0 fetched, 4 failed", output)
      assert.equal(1, status)
    end)

    it("waits no longer than it was told for a server that never answers", function()
      local silent <close> = assert(net.listen("127.0.0.1", 0)) -- the kernel connects
      local output, _, status = run_script("fetch_all.lua", "-t", 0.3,
        "http://" .. tostring(silent:address()) .. "/")
      local ms = tonumber(output:match " (%d+)  http://[%d.:]+/: deadline passed\n")
      assert.is_true(ms >= 300 and ms < PATIENCE * 1000 / 2)
      assert.equal(1, status)
    end)

    -- The answer of a server that sends `text` and closes.
    local function answer(text)
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local fetching = start(command_line("fetch_all.lua",
        "http://" .. tostring(listener:address()) .. "/"))
      local conn <close> = assert(listener:accept(PATIENCE))
      assert.equal("GET / HTTP/1.1", conn:read_line())
      read_to(conn, "^$")
      conn:write(text)
      conn:close()
      fetching:wait()
      return fetching:output()
    end

    it("reads up to the end where no length is told", function()
      assert.match(" 200 +7 .*\n1 fetched", answer "HTTP/1.0 200 OK\r\n\r\n1234567")
    end)

    it("takes an answer that is cut short for a failure", function()
      local short = ": the connection ended before the response was whole\n"
      assert.match(short, answer "")
      assert.match(": bad response: [^\n]*\n", answer "220 mail.example ESMTP\r\n")
      assert.match(short, answer "HTTP/1.1 200 OK\r\nServer: x\r\n")
      assert.match(short, answer "HTTP/1.1 200 OK\r\ncontent-length:10\r\n\r\n1234567")
    end)
  end)

  describe("socks5_proxy", function()
    local function curl(port, words)
      return run(string.format("curl -sS -m %d --noproxy '' %s", PATIENCE, words:gsub("PROXY", "127.0.0.1:" .. port)))
    end

    it("serves curl: names, IPv4, many at once, byte by byte", function()
      need("nginx", "curl", "cmp")
      local upstream = start_nginx()
      local port, proxy = start_server("socks5_proxy.lua", "127.0.0.1", 0)
      assert.equal("hello\n", (curl(port, "--socks5-hostname PROXY http://localhost:" .. upstream .. "/small")))
      proxy:printed("\tlocalhost " .. upstream .. "\tend\n")
      assert.equal("hello\n", (curl(port, "--socks5 PROXY http://localhost:" .. upstream .. "/small")))
      assert.equal("hello\n", (curl(port, "--socks5 PROXY http://127.0.0.1:" .. upstream .. "/small")))
      proxy:printed("\t127.0.0.1 " .. upstream .. "\tend\n")
      local url = "http://127.0.0.1:" .. upstream
      local _, errors, status = curl(port, string.format("--socks5 PROXY -o %s/copy %s/medium", directory, url))
      assert.equal("", errors)
      assert.equal(0, status)
      assert.equal(0, select(3, run(string.format("cd %s && cmp copy nginx/html/medium", directory))))
      _, _, status = curl(port, string.format(
        "--socks5 PROXY --parallel --parallel-max 50 -o '%s/page#1' '%s/numbered/[1-100]'", directory, url))
      assert.equal(0, status)
      for i = 1, 100 do
        assert.equal("/numbered/" .. i .. " \n", read_file(directory .. "/page" .. i))
      end
      assert.equal("", proxy:errors())
    end)

    it("asks for user and password", function()
      need("nginx", "curl")
      local url = "http://127.0.0.1:" .. start_nginx() .. "/small"
      local port, proxy = start_server("socks5_proxy.lua", "-u", "ann:secret:word", "127.0.0.1", 0)
      assert.equal("hello\n", (curl(port, "--proxy socks5h://ann:secret%3Aword@PROXY " .. url)))
      for _, account in ipairs {"ann:wrong@", "bob:secret%3Aword@", "ann:secret%3Aword2@"} do
        assert.equal(97, select(3, curl(port, "--proxy socks5h://" .. account .. "PROXY " .. url)))
        proxy:printed "\twrong user or password\n"
      end
      assert.equal(97, select(3, curl(port, "--proxy socks5h://PROXY " .. url)))
      proxy:printed "\toffers no method that we take\n"
    end)

    it("says why it cannot connect", function()
      need "curl"
      local port = start_server("socks5_proxy.lua", "127.0.0.1", 0)
      local _, errors = curl(port, "--socks5 PROXY http://127.0.0.1:" .. free_port())
      assert.match("%(5%)", errors)
      _, errors = curl(port, "--socks5-hostname PROXY http://name.invalid/")
      assert.match("%(4%)", errors)
    end)

    -- Sends a request after the greeting; returns the connection and the answer.
    local function ask(port, request)
      local conn = connect(port)
      conn:write("\5\2\0\2", request)
      assert.equal("\5\0", conn:read_exactly(2))
      return conn, conn:read_exactly(10)
    end

    local function request_for(address)
      local numbers = {address.host:match "(%d+)%.(%d+)%.(%d+)%.(%d+)"}
      return "\5\1\0\1" .. string.char(table.unpack(numbers)) .. string.pack(">H", address.port)
    end

    it("relays in both directions, and the end of each by itself", function()
      local upstream <close> = assert(net.listen("127.0.0.1", 0))
      local from
      local answering = task.spawn(function()
        local conn <close> = upstream:accept()
        from = conn:peer()
        conn:write("welcome")
        conn:write(#conn:read_all(), " bytes")
      end)
      local port, proxy = start_server("socks5_proxy.lua", "127.0.0.1", 0)
      local conn <close>, answer = ask(port, request_for(upstream:address()))
      assert.equal("welcome", conn:read_exactly(7))
      conn:write(string.rep("x", 50000))
      conn:shutdown()
      assert.equal("50000 bytes", conn:read_all())
      assert.is_true((answering:join()))
      assert.equal("\5\0\0\1\127\0\0\1" .. string.pack(">H", from.port), answer)
      proxy:printed "\tend\n"
    end)

    it("connects over IPv6", function()
      local upstream = net.listen("::1", 0)
      if not upstream then pending "no IPv6" end
      local _ <close> = upstream
      task.spawn(function()
        local conn <close> = upstream:accept()
        conn:write(conn:read_line(), " over IPv6\n")
      end)
      local port = start_server("socks5_proxy.lua", "127.0.0.1", 0)
      local one = ("\0"):rep(15) .. "\1"
      local conn <close>, answer = ask(port, "\5\1\0\4" .. one .. string.pack(">H", upstream:address().port))
      answer = answer .. conn:read_exactly(12)
      assert.equal("\5\0\0\4" .. one, answer:sub(1, 20))
      conn:write("hello\n")
      assert.equal("hello over IPv6", conn:read_line())
    end)

    it("refuses what it does not do, and goes on", function()
      local port, proxy = start_server("socks5_proxy.lua", "-t", 0.5, "127.0.0.1", 0)
      local function refused(code, request, reason)
        local conn <close>, answer = ask(port, request)
        assert.equal("\5" .. string.char(code) .. "\0\1\0\0\0\0\0\0", answer)
        assert.is_nil((conn:read_line()))
        proxy:printed("\t" .. reason .. "\n")
      end
      refused(7, "\5\2\0\1\127\0\0\1\0\80", "wants something else than CONNECT")
      refused(8, "\5\1\0\2\127\0\0\1\0\80", "unknown type of address")
      refused(1, "\5\1\0\3\9unix:/tmp\0\80", "bad host name")
      refused(1, "\5\1\0\3\0\0\80", "bad host name")
      local function hung_up(text, reason)
        local conn <close> = connect(port)
        conn:write(text)
        if reason ~= "deadline passed" then conn:shutdown() end
        conn:read_all() -- up to the end, or a reset
        proxy:printed("\t" .. reason .. "\n")
      end
      hung_up("GET / HTTP/1.0\r\n\r\n", "does not speak SOCKS 5")
      hung_up("", "says nothing")
      hung_up("\5\1\0\5\1\0\3\9half", "sends half a request")
      hung_up("\5\1\0\5", "deadline passed")
      assert.equal("", proxy:errors())
    end)

    it("closes an idle connection, and takes no more than it may", function()
      local upstream <close> = assert(net.listen("127.0.0.1", 0))
      local port, proxy = start_server("socks5_proxy.lua", "-i", 0.3, "-m", 1, "127.0.0.1", 0)
      local first <close> = ask(port, request_for(upstream:address()))
      local second = task.spawn(ask, port, request_for(upstream:address()))
      assert.is_nil((first:read_line()))
      proxy:printed "\ttimeout\n"
      local _, conn = second:join()
      conn:close()
      assert.equal(1, select(2, proxy:output():gsub("\ttimeout", "")))
    end)
  end)

  describe("redis_client", function()
    local function start_redis()
      need "redis-server"
      local port, socket = free_port(), directory .. "/redis.socket"
      local server = start(string.format(
        "redis-server --port %d --bind 127.0.0.1 --unixsocket %s --save '' --appendonly no --dir %s",
        port, quote(socket), quote(directory)))
      server:printed "eady to accept connections"
      return "127.0.0.1:" .. port, "unix:" .. socket, server
    end

    local function ask(server, ...)
      local output, errors, status = run_script("redis_client.lua", "-s", server, ...)
      return output .. errors, status
    end

    it("shows replies of each kind, and what is refused", function()
      local server, socket = start_redis()
      assert.same({"OK\n", 0}, {ask(server, "SET", "text", "two words\r\n")})
      assert.same({"two words\r\n\n", 0}, {ask(socket, "GET", "text")})
      assert.same({"(nil)\n", 0}, {ask(server, "GET", "nothing")})
      assert.same({"3\n", 0}, {ask(server, "RPUSH", "list", "a", "", "c")})
      assert.same({"1) a\n2) \n3) c\n", 0}, {ask(socket, "LRANGE", "list", 0, -1)})
      assert.same({"(empty list)\n", 0}, {ask(server, "LRANGE", "none", 0, -1)})
      assert.same({"1) two words\r\n\n2) (nil)\n", 0}, {ask(server, "MGET", "text", "nothing")})
      local output, status = ask(server, "INCR", "text")
      assert.match("^redis_client: ERR value is not an integer", output)
      assert.equal(1, status)
    end)

    it("shares a connection among tasks, pipelines, publishes and subscribes", function()
      local _, socket = start_redis()
      local output, status = ask(socket)
      assert.equal(0, status)
      assert.match("^100 tasks on one connection, calls +%d+/s\na pipeline, requests +%d+/s\n" ..
        "published and received, messages +%d+/s\n$", output)
      assert.same({"(empty list)\n", 0}, {ask(socket, "KEYS", "*")})
    end)

    it("says why it cannot connect, and that the server is none or has gone", function()
      local refusing = "127.0.0.1:" .. free_port()
      assert.same({"redis_client: " .. refusing .. ": Connection refused\n", 1}, {ask(refusing, "PING")})
      local _, socket, server = start_redis()
      local client = start(command_line("redis_client.lua", "-s", socket, "BLPOP", "nothing", 0))
      eventually("a client that waits", function()
        return ask(socket, "CLIENT", "LIST"):find "cmd=blpop"
      end)
      server:kill "TERM"
      assert.equal(1, client:wait())
      assert.match("^redis_client: ", client:errors())

      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local other = start(command_line("redis_client.lua", "-s", tostring(listener:address()), "PING"))
      local conn <close> = assert(listener:accept(PATIENCE))
      assert.equal("*2", conn:read_line())
      conn:write("HTTP/1.1 400 Bad Request\r\n")
      assert.equal(1, other:wait())
      assert.equal("redis_client: not a reply of Redis\n", other:errors())
    end)
  end)
end)
