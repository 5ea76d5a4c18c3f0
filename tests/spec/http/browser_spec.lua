-- Chromium with a page of ours: over HTTP/1.1, and over TLS, where it speaks HTTP/2. It uploads a file of a form and a
-- large body, reads events, talks over a WebSocket, and sends the cookie that it got.

local browser = dofile "tests/spec/browser.lua"
local credentials = dofile "tests/spec/tls_support.lua"
local crypto = require "moonlet.crypto"
local fs = require "moonlet.fs"
local http = require "moonlet.http"
local json = require "moonlet.json"
local net = require "moonlet.net"
local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local websocket = require "moonlet.websocket"
local it = support.limited(it)

local PAGE = [[
<!doctype html><meta charset="utf-8"><title>page</title><body>
<script>
const say = text => document.body.appendChild(document.createElement("p")).textContent = text
const bytes = size => Uint8Array.from({ length: size }, (_, i) => i * 7 & 255)
async function run() {
  const form = new FormData()
  form.append("title", "June & \u00e4")
  form.append("file", new File([bytes(300000)], "j\u00fcne.bin", { type: "x/y" }))
  const upload = await fetch("/upload", { method: "POST", body: form })
  say("upload " + upload.status + " " + JSON.stringify(await upload.json()))
  const big = await fetch("/big", { method: "PUT", body: bytes(2000000) })
  say("big " + await big.text())
  const events = new EventSource("/events")
  const seen = []
  await new Promise(resolve => events.addEventListener("tick", event => {
    seen.push(event.lastEventId + event.data)
    if (seen.length == 3) resolve()
  }))
  events.close()
  say("events " + seen)
  const ws = new WebSocket(location.origin.replace("http", "ws") + "/ws")
  const got = []
  await new Promise((resolve, reject) => {
    ws.onerror = reject
    ws.onopen = () => { ws.send("text \u00e4"); ws.send(bytes(70000)); }
    ws.onmessage = async event => {
      got.push(typeof event.data == "string" ? event.data : event.data.size)
      if (got.length == 2) ws.close(4000, "enough")
    }
    ws.onclose = event => { say("socket " + got + " " + event.code + " " + event.wasClean); resolve() }
  })
  say("cookie " + await (await fetch("/cookie")).text())
  say("over")
}
run().catch(error => say("failed: " + error))
</script>
]]

local function service(directory, log)
  local app = http.router()
  app:get("/", function(_, res)
    res:cookie("session", "secret")
    res.headers["content-type"] = "text/html; charset=utf-8"
    return PAGE
  end)
  app:post("/upload", function(req)
    local answer = {}
    for part in assert(req:parts()) do
      if part.filename then
        local size = assert(part:save(directory .. "/uploaded"))
        answer.file = { name = part.filename, type = part.type, size = size }
      else
        answer[part.name] = part:body()
      end
    end
    return 201, answer
  end)
  app:put("/big", { max_body = 4 << 20 }, function(req)
    local size = 0
    for chunk in req:chunks() do size = size + #chunk end
    log.version = req.version
    return tostring(size)
  end)
  app:get("/events", function(_, res)
    local events = res:events()
    for i = 1, math.huge do
      events:send { event = "tick", id = i, data = "n" .. i }
      task.sleep(0.01)
    end
  end)
  app:get("/ws", function(req, res)
    local ws <close> = assert(websocket.upgrade(req, res))
    for data, kind in ws:messages() do ws:send(data, kind) end
    log.closed = table.concat({ ws:closed() }, " ")
  end)
  app:get("/cookie", function(req) return req:cookies().session end)
  return app
end

describe("Chromium", function()
  local directory

  setup(function()
    directory = programs.open_directory()
    credentials.make(directory)
  end)
  after_each(programs.stop_all)
  teardown(programs.remove_directory)

  for scheme, version in pairs { http = "1.1", https = "2" } do
    it("uploads, reads events, has a WebSocket and keeps cookies: " .. scheme, function()
      local tls = scheme == "https" and credentials.shows("good", { alpn = { "h2", "http/1.1" } }) or nil
      local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = tls }))
      local log = {}
      local server = http.server(service(directory, log))
      local serving = task.spawn({ daemon = true }, server.serve, server, listener)
      local url = ("%s://127.0.0.1:%d/"):format(scheme, listener:address().port)
      local page <close> = browser.open(programs, directory, url)
      if not page then
        server:stop(0)
        pending "chromium is not installed"
      end
      page:shows "over"
      local status, answer = page:shows("upload ([^\n]*)"):match "^(%d+) (.*)$"
      assert.equal("201", status)
      assert.same({ file = { name = "jüne.bin", size = 300000, type = "x/y" }, title = "June & ä" },
        json.decode(answer))
      assert.equal("2000000", page:shows "big ([^\n]*)")
      assert.equal("1n1,2n2,3n3", page:shows "events ([^\n]*)")
      assert.equal("text ä,70000 4000 true", page:shows "socket ([^\n]*)")
      assert.equal("secret", page:shows "cookie ([^\n]*)")
      assert.same({ version, "4000 enough" }, { log.version, log.closed })
      local bytes = {}
      for i = 0, 255 do bytes[i + 1] = string.char(i * 7 & 255) end
      local expected = table.concat(bytes):rep(1172):sub(1, 300000)
      assert.equal(crypto.digest("sha256", expected), crypto.digest("sha256", (fs.read(directory .. "/uploaded"))))
      server:stop(0)
      serving:join()
    end)
  end
end)
