-- scripts/http_server.lua, with curl as its peer.

local http = require "moonlet.http"
local net = require "moonlet.net"
local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local BIG = 4 * 1024 * 1024

describe("scripts/http_server.lua", function()
  local site

  -- Starts it with these arguments before the directory. Returns its URL, its port and the program.
  local function start(...)
    local words = table.pack(...)
    words[words.n + 1] = site
    local port, server = programs.start_server("http_server.lua", "-p", 0, table.unpack(words))
    return "http://127.0.0.1:" .. port, port, server
  end

  local function curl(words, ...)
    if not programs.installed "curl" then pending "curl is not installed" end
    return programs.run("curl -sS --noproxy '*' " .. words:format(...))
  end

  setup(function()
    site = programs.open_directory() .. "/site"
    os.execute("mkdir -p " .. programs.quote(site .. "/pictures"))
    programs.write_file(site .. "/hello.txt", "hello, world\n")
    programs.write_file(site .. "/pictures/a & b.png", "png")
    programs.write_file(site .. "/big", ("0123456789abcdef"):rep(BIG // 16))
  end)
  after_each(programs.stop_all)
  teardown(programs.remove_directory)

  it("serves files, whole, in ranges, and not at all where they have not changed", function()
    local url, _, server = start()
    assert.equal("hello, world\n", (curl("%s/hello.txt", url)))
    assert.equal("world", (curl("-r 7-11 %s/hello.txt", url)))
    assert.matches("^HTTP/1.1 206", (curl("-I -X GET -r 7-11 %s/hello.txt", url)))
    local etag = curl("-I %s/hello.txt", url):match '[Ee][Tt]ag: ("[^"]*")'
    assert.matches("^HTTP/1.1 304", (curl("-i -H 'If-None-Match: %s' %s/hello.txt", etag, url)))
    assert.matches("^HTTP/1.1 416", (curl("-i -r 100- %s/hello.txt", url)))
    assert.equal(BIG, #curl("%s/big", url))
    server:printed '127.0.0.1 %[[^%]]+%] "GET /hello.txt HTTP/1.1" 206 5 '
  end)

  it("lists a directory, and gives nothing outside of it", function()
    local url, _, server = start()
    local page = curl("%s/pictures/", url)
    assert.truthy(page:find('<a href="./a%20%26%20b.png">a &amp; b.png</a>', 1, true))
    assert.equal("png", (curl("%s/pictures/a%%20%%26%%20b.png", url)))
    for _, path in ipairs { "/../http_server.lua", "/%2e%2e/passwd", "/nothing" } do
      assert.equal("404", (curl("-o /dev/null -w '%%{http_code}' --path-as-is %s%s", url, path)))
    end
    assert.equal("405", (curl("-o /dev/null -w '%%{http_code}' -X DELETE %s/hello.txt", url)))
    assert.equal("", server:errors())
  end)

  it("has an API that tells the time and sends back JSON", function()
    local url = start "-q"
    local client <close> = http.client { base = url }
    local now = assert(client:get "/api/time"):json()
    assert(math.abs(now.unix - os.time()) < programs.patience)
    assert.matches("^%d+%-%d+%-%d+T%d+:%d+:%d+Z$", now.utc)
    local sent = { numbers = { 1, 2.5 }, text = "\0\n" }
    assert.same({ you_sent = sent, you_are = "127.0.0.1" }, assert(client:post("/api/echo", { json = sent })):json())
    assert.equal(400, assert(client:post("/api/echo", { body = "{" })).status)
    assert.equal(413, assert(client:post("/api/echo", { json = ("x"):rep(70000) })).status)
    assert.equal(405, assert(client:get "/api/echo").status)
    assert.equal(404, assert(client:get "/api/other").status)
  end)

  it("finishes at Ctrl-C the answer that is under way, and takes no further ones", function()
    local _, port, server = start()
    local conn <close> = assert(net.connect("127.0.0.1", port))
    conn:set_timeout(support.patience)
    conn:write "POST /api/echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    assert.equal("HTTP/1.1 100 Continue", conn:read_line()) -- its handler reads
    assert.equal("", conn:read_line())
    server:kill "INT"
    support.eventually(function()
      local other <close> = net.connect("127.0.0.1", port)
      return other == nil
    end)
    conn:write "true"
    assert.matches('^HTTP/1.1 200 .*{"you_.*true.*}$', conn:read_all())
    assert.equal(130, server:wait())
    assert.equal("", server:errors())
  end)

  it("says what is wrong with its arguments", function()
    programs.refuse_words("http_server.lua", { { "-x" }, { "-p" }, { "-p", "x" }, { "-p", "65536" }, { "-l" },
      { "a", "b" } })
    local output, errors, status = programs.run_script("http_server.lua", "--help")
    assert.matches("^usage: moonlet http_server.lua ", output)
    assert.same({ "", 0 }, { errors, status })
    assert.same({ "", "http_server: cannot serve /nowhere: No such file or directory\n", 1 },
      { programs.run_script("http_server.lua", "/nowhere") })
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    output, errors, status = programs.run_script("http_server.lua", "-p", listener:address().port)
    assert.equal(("http_server: cannot listen on %s: Address already in use\n"):format(listener:address()), errors)
    assert.same({ "", 1 }, { output, status })
  end)
end)
