-- moonlet.http's client against servers that others wrote, over loopback, and over TLS.

local support = dofile("tests/spec/support.lua")
local clients = dofile("tests/spec/http/clients.lua")
local credentials = dofile("tests/spec/tls_support.lua")
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

--- Starts a program that prints its port, calls fn(port), ends the program.
local function with_program(command, fn)
  local pipe = assert(io.popen("exec " .. command, "r"))
  local pid, port = pipe:read("l"):match "^(%d+) (%d+)$"
  local ok, message = pcall(fn, tonumber(port))
  os.execute("kill " .. pid)
  pipe:close()
  if not ok then error(message, 0) end
end

local PYTHON = [[python3 -u -c '
import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        text = (self.command + " " + self.path + " ").encode() + body
        self.send_response(200); self.send_header("content-length", str(len(text))); self.end_headers()
        if self.command != "HEAD": self.wfile.write(text)
    do_GET = do_POST = do_HEAD = do_PUT = answer
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
print(os.getpid(), s.server_port); s.serve_forever()']]

local NODE = [[node -e '
const s = require("http").createServer((q, r) => {
  let b = []; q.on("data", d => b.push(d)); q.on("end", () => {
    if (q.method != "HEAD") r.setHeader("Trailer", "x-t");
    r.write(q.method + " " + q.url + " "); r.write(Buffer.concat(b));
    if (q.method != "HEAD") r.addTrailers({"x-t": "end"}); r.end() }) });
s.listen(0, "127.0.0.1", () => console.log(process.pid + " " + s.address().port))']]

for name, command in pairs { python3 = PYTHON, node = NODE } do
  describe("the client and " .. name, function()
    it("understand each other", function()
      with_program(command, function(port)
        local c <close> = http.client { base = ("http://127.0.0.1:%d/"):format(port) }
        for i = 1, 5 do
          local r = assert(c:get "a?b")
          assert.equal("GET /a?b ", r.body)
          assert.equal(i > 1, r.reused)
        end
        local large = ("0123456789"):rep(100000)
        assert.is_true(assert(c:post("b", { body = large })).body == "POST /b " .. large)
        assert.equal("", assert(c:head "c").body)
        local r <close> = assert(c:stream("d", { method = "PUT", body = "x" }))
        assert.equal("PUT /d x", r:read_all())
        if name == "node" then assert.equal("end", r:trailers()["x-t"]) end
        assert.equal(1, c:stats().made)
      end)
    end)
  end)
end

describe("https", function()
  setup(function() credentials.make() end)
  teardown(function() credentials.remove() end)

  it("goes through TLS, also by way of a proxy, and verifies the server", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = credentials.shows "good" }))
    local proxied
    local proxy <close> = assert(net.listen("127.0.0.1", 0))
    local port = listener:address().port
    local function serve(conn)
      while true do
        local line = conn:read_line()
        if not line then return end
        repeat until conn:read_line() == ""
        conn:write "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
      end
    end
    local function relay(conn) clients.relay(conn, port, function(line) proxied = line end) end
    task.spawn({ daemon = true, quiet = true }, function() listener:serve({ on_error = function() end }, serve) end)
    task.spawn({ daemon = true, quiet = true }, function() proxy:serve({ on_error = function() end }, relay) end)
    local tls = credentials.trusts()
    local where = ("https://127.0.0.1:%d/"):format(port)
    local c <close> = http.client { tls = tls }
    assert.equal("ok", assert(c:get(where)).body)
    assert.is_true(assert(c:get(where)).reused)
    local by = ("http://127.0.0.1:%d"):format(proxy:address().port)
    assert.equal("ok", assert(c:get(where, { proxy = by })).body)
    assert.equal(("CONNECT 127.0.0.1:%d HTTP/1.1"):format(port), proxied)
    local d <close> = http.client()
    local r, _, code = d:get(where)
    assert.is_nil(r)
    assert.equal("ETLS", code)
    assert.equal(0, d:stats().open)
  end)
end)
