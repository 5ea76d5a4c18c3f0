--- Who gets to see the inspector, and who may change the program.

local support = dofile "tests/spec/support.lua"
local inspected = dofile "tests/spec/inspect_support.lua"
local it = support.limited(it)
local fs = require "moonlet.fs"
local http = require "moonlet.http"
local net = require "moonlet.net"
local process = require "moonlet.process"
local task = require "moonlet.task"

local WAITS = "require('moonlet.task').sleep(1000)"

-- Starts a program at a TCP port. Returns it, its port, the token of its URL.
local function start_tcp(options)
  local program = inspected.start(WAITS, { address = "127.0.0.1:0", options = options })
  local port, token = program.place:match "^http://127%.0%.0%.1:(%d+)/%?token=(%x+)$"
  return program, port, assert(token, program.place)
end

-- Sends a request as it is written; "\n" ends lines. Returns the status and the whole answer.
local function send(port, text)
  local conn <close> = assert(net.connect("127.0.0.1", tonumber(port)))
  conn:set_timeout(support.patience)
  assert(conn:write((text:gsub("\r?\n", "\r\n"))))
  local answer = conn:read_all() or ""
  return tonumber(answer:match "^HTTP/1.1 (%d+)"), answer
end

-- A GET with a Host field, further fields, and nothing behind it.
local function get(port, path, host, fields)
  return send(port, ("GET %s HTTP/1.1\nHost: %s\n%sConnection: close\n\n")
    :format(path, host or "127.0.0.1:" .. port, fields or ""))
end

-- Spends the token. Returns the field that sends the cookie.
local function visit(port, token)
  local status, answer = get(port, "/?token=" .. token)
  assert.are.equal(303, status)
  return "Cookie: " .. answer:match "[Ss]et%-[Cc]ookie: ([^;]+)" .. "\n", answer
end

describe("a Unix socket of the inspector", function()
  it("is a file for its user alone, in a directory for its user alone", function()
    local base <close> = assert(fs.temp_dir())
    local env = { XDG_RUNTIME_DIR = base.path, PATH = os.getenv "PATH" }
    local child <close> = assert(process.spawn {
      os.getenv "MOONLET", "--inspect", "-e", WAITS, stderr = "pipe", env = env,
    })
    local path = child.stderr:read_line():match "^inspector: unix:(.+)$"
    assert.are.equal(("%s/moonlet/%d.sock"):format(base.path, child.pid), path)
    assert.are.equal(tonumber("600", 8), fs.stat(path).mode & 511)
    assert.are.equal(tonumber("700", 8), fs.stat(base.path .. "/moonlet").mode & 511)
    child:kill "TERM"
    child:wait(support.patience)
    assert.is_nil(fs.stat(path))
  end)

  it("is refused in a directory that others may write to", function()
    local base <close> = assert(fs.temp_dir())
    assert(fs.mkdir(base.path .. "/moonlet"))
    assert(fs.chmod(base.path .. "/moonlet", "777"))
    local output, status = support.shell(("XDG_RUNTIME_DIR=%s %s --inspect -e 'print(1)'")
      :format(base.path, os.getenv "MOONLET"))
    assert.are.equal(1, status)
    assert.matches("is not a directory for this user alone", output)
    fs.remove(base.path .. "/moonlet")
    assert(fs.symlink("/tmp", base.path .. "/moonlet"))
    output = support.shell(("XDG_RUNTIME_DIR=%s %s --inspect -e 'print(1)'")
      :format(base.path, os.getenv "MOONLET"))
    assert.matches("is not a directory for this user alone", output)
  end)

  it("replaces those of programs that were killed, and no others", function()
    local base <close> = assert(fs.temp_dir())
    local env = { XDG_RUNTIME_DIR = base.path, PATH = os.getenv "PATH" }
    local function run(source)
      local words = { os.getenv "MOONLET", "--inspect", "-e", source, stderr = "pipe", env = env }
      local child = assert(process.spawn(words))
      return child, child.stderr:read_line():match "^inspector: unix:(.+)$"
    end
    local killed, stale = run(WAITS)
    killed:kill "KILL"
    killed:wait(support.patience)
    assert.is_truthy(fs.stat(stale))
    local lives, path = run(WAITS)
    local another = run(WAITS)
    assert.is_nil(fs.stat(stale))
    assert.is_truthy(fs.stat(path))
    for _, child in ipairs { lives, another } do
      child:kill "KILL"
      child:wait(support.patience)
    end
  end)

  it("lets its visitors do everything", function()
    local program <close> = inspected.start(WAITS)
    assert.are.equal("inspector", program:results "program.ping")
  end)
end)

describe("a port of the inspector", function()
  it("is for those who know the token, once, and have the cookie afterwards", function()
    local program <close>, port, token = start_tcp()
    assert.are.equal(403, (get(port, "/")))
    assert.are.equal(403, (get(port, "/state")))
    assert.are.equal(403, (get(port, "/?token=")))
    assert.are.equal(403, (get(port, "/?token=" .. ("0"):rep(32))))
    assert.are.equal(403, (get(port, "/state?token=" .. token)))
    local cookie, answer = visit(port, token)
    assert.matches("HttpOnly", answer)
    assert.matches("SameSite=Strict", answer)
    assert.matches("[Ll]ocation: /\r\n", answer)
    assert.are.equal(200, (get(port, "/state", nil, cookie)))
    assert.are.equal(403, (get(port, "/?token=" .. token))) -- it was used
    assert.are.equal(303, (get(port, "/?token=" .. token, nil, cookie))) -- a page that is loaded again
    assert.are.equal(403, (get(port, "/state", nil, cookie:gsub("%x\n", "\n"))))
    assert.are.equal(403, (get(port, "/state", nil, cookie:gsub("=.*", "=\n"))))
  end)

  it("does not spend the token on a wrong one, nor on HEAD", function()
    local program <close> = inspected.start(WAITS, { address = ":0" })
    local port, token = program.place:match ":(%d+)/%?token=(%x+)$"
    get(port, "/?token=f")
    send(port, ("HEAD /?token=%s HTTP/1.1\nHost: 127.0.0.1:%s\nConnection: close\n\n"):format(token, port))
    visit(port, token)
  end)

  it("refuses requests that a page from elsewhere makes", function()
    local program <close>, port, token = start_tcp()
    local cookie = visit(port, token)
    local own = "127.0.0.1:" .. port
    for _, host in ipairs { "evil.example", "evil.example:" .. port, "127.0.0.1", "127.0.0.1:1", "localhost",
      "127.0.0.1.evil.example:" .. port, "10.0.0.1:" .. port, "[::2]:" .. port } do
      assert.are.equal(403, (get(port, "/state", host, cookie)), host)
    end
    for _, host in ipairs { own, "localhost:" .. port, "LOCALHOST:" .. port } do
      assert.are.equal(200, (get(port, "/state", host, cookie)), host)
    end
    for _, origin in ipairs { "http://evil.example", "null", "https://" .. own, "http://127.0.0.1:1", "", "*" } do
      assert.are.equal(403, (get(port, "/state", own, cookie .. "Origin: " .. origin .. "\n")), origin)
    end
    assert.are.equal(200, (get(port, "/state", own, cookie .. "Origin: http://" .. own .. "\n")))
    for _, site in ipairs { "cross-site", "same-site" } do
      assert.are.equal(403, (get(port, "/state", own, cookie .. "Sec-Fetch-Site: " .. site .. "\n")))
    end
    assert.are.equal(200, (get(port, "/state", own, cookie .. "Sec-Fetch-Site: same-origin\n")))
  end)

  it("does not spend the token on a request from elsewhere", function()
    local program <close>, port, token = start_tcp()
    assert.are.equal(403, (get(port, "/?token=" .. token, "evil.example:" .. port)))
    assert.are.equal(403, (get(port, "/?token=" .. token, nil, "Origin: http://evil.example\n")))
    visit(port, token)
  end)

  it("sends no permission for other sites, and headers that confine what it sends", function()
    local program <close>, port, token = start_tcp()
    local cookie = visit(port, token)
    for _, path in ipairs { "/state", "/nothing", "/" } do
      local _, answer = get(port, path, nil, cookie .. "Origin: http://127.0.0.1:" .. port .. "\n")
      local head = answer:match "^(.-\r\n)\r\n":lower()
      assert.is_nil(head:find "access%-control")
      assert.matches("content%-security%-policy: default%-src 'none'", head)
      assert.matches("x%-content%-type%-options: nosniff", head)
      assert.matches("referrer%-policy: no%-referrer", head)
      assert.matches("cache%-control: no%-store", head)
      assert.matches("x%-frame%-options: deny", head)
    end
    assert.are.equal(403, (send(port, ("OPTIONS /request HTTP/1.1\nHost: 127.0.0.1:%s\n"
      .. "Origin: http://evil.example\nAccess-Control-Request-Method: POST\nConnection: close\n\n"):format(port))))
  end)

  it("lets visitors only look, unless the program is started otherwise", function()
    local bodies = { request = '{"call": "program.ping"}', evaluate = '{"code": "1"}', cancel = '{"task": 1000000}' }
    local function post(what, port, cookie)
      local body = bodies[what]
      return send(port, ("POST /%s HTTP/1.1\nHost: 127.0.0.1:%s\n%sContent-Length: %d\nConnection: close\n\n%s")
        :format(what, port, cookie, #body, body))
    end
    local function debug(port, cookie)
      return send(port, ("GET /dap HTTP/1.1\nHost: 127.0.0.1:%s\n%sConnection: close\n\n"):format(port, cookie))
    end
    local program <close>, port, token = start_tcp()
    local cookie = visit(port, token)
    for what in pairs(bodies) do
      local status, answer = post(what, port, cookie)
      assert.are.equal(403, status, what)
      assert.matches("%-%-inspect%-write", answer)
    end
    assert.are.equal(403, (debug(port, cookie)))
    local writable <close>, its_port, its_token = start_tcp { "--inspect-write" }
    cookie = visit(its_port, its_token)
    local allowed = { request = 200, evaluate = 200, cancel = 404 } -- there is no such task
    for what, expected in pairs(allowed) do
      support.eventually(function() return post(what, its_port, cookie) == expected end)
    end
    assert.are.equal(426, (debug(its_port, cookie))) -- an upgrade is missing
    for what in pairs(bodies) do assert.are.equal(403, (post(what, its_port, ""))) end
  end)

  it("is of this machine alone, unless that is asked for", function()
    for _, address in ipairs { "0.0.0.0:0", "[::]:0", "example.org:1" } do
      local output, status = support.run("print 'runs'", "--inspect=" .. address)
      assert.are.equal(1, status)
      assert.matches("%-%-inspect%-remote", output)
      assert.is_nil(output:find "runs")
    end
    local output = support.run("print 'runs'", "--inspect-remote --inspect=0.0.0.0:0")
    assert.matches("inspector: http://0%.0%.0%.0:%d+/%?token=%x+\nruns\n", output)
  end)

  it("has addresses that are none told", function()
    for _, address in ipairs { "nothing", "1:2:3", "127.0.0.1:99999", "127.0.0.1:", "unix:", ":x" } do
      local output, status = support.run("print 'runs'", "--inspect=" .. address)
      assert.are.equal(1, status, address)
      assert.matches("cannot be inspected: [^\n]*\n$", output) -- and no traceback of moonlet's own calls
    end
    local taken <close> = assert(net.listen("127.0.0.1", 0))
    local output = support.run("print 'runs'", "--inspect=:" .. taken:address().port)
    assert.matches("cannot be inspected.-in use", output)
  end)

  it("answers malformed requests as any server does, and lives on", function()
    local program <close>, port, token = start_tcp { "--inspect-write" }
    local cookie = visit(port, token)
    local own = "127.0.0.1:" .. port
    assert.are.equal(400, (send(port, "GET\n\n")))
    assert.are.equal(400, (send(port, "GET / HTTP/1.1\n\n")))
    assert.are.equal(431, (send(port, "GET / HTTP/1.1\nHost: " .. own .. "\nX: " .. ("x"):rep(70000) .. "\n\n")))
    local post = "POST /request HTTP/1.1\nHost: " .. own .. "\n" .. cookie .. "Connection: close\n"
    assert.are.equal(413, (send(port, post .. "Content-Length: 99999999\n\n")))
    for _, body in ipairs { "", "{", "[]", "1", "null", '{"call": 1}', '{"call": {}}' } do
      assert.are.equal(400, (send(port, post .. "Content-Length: " .. #body .. "\n\n" .. body)))
    end
    assert.are.equal(405, (send(port, post:gsub("/request", "/state") .. "Content-Length: 0\n\n")))
    assert.are.equal(405, (get(port, "/request", own, cookie)))
    assert.are.equal(404, (get(port, "/nothing", own, cookie)))
    assert.are.equal(200, (get(port, "/state", own, cookie)))
    local status, answer = send(port, ("HEAD /state HTTP/1.1\nHost: %s\n%sConnection: close\n\n"):format(own, cookie))
    assert.are.equal(200, status)
    assert.matches("\r\n\r\n$", answer)
  end)
end)

describe("visitors", function()
  it("may be ten at once", function()
    local program <close> = inspected.start(WAITS)
    local tasks = {}
    for i = 1, 10 do
      tasks[i] = task.spawn(function()
        local client <close> = http.client { connect = function() return net.connect("unix:" .. program.path) end }
        for _ = 1, 20 do assert(client:get("http://x/state").status == 200) end
      end)
    end
    for i = 1, 10 do support.finish(tasks[i]) end
  end)

  it("cost nothing when they are stuck, or leave in the middle", function()
    local program <close> = inspected.start(WAITS)
    local stuck = {}
    for i = 1, 20 do
      stuck[i] = assert(net.connect("unix:" .. program.path))
      stuck[i]:write(i % 2 == 0 and "GET /state HTTP/1.1\r\nHost: x\r\n\r\n" or "GET /sta")
    end
    for i = 1, 10 do stuck[i]:close() end
    for _ = 1, 20 do assert.are.equal(200, program:get("/state").status) end
    for i = 11, 20 do stuck[i]:close() end
  end)
end)
