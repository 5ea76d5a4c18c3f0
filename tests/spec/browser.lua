--- Pages in a headless Chromium, which is asked over its DevTools: also pages that never finish loading.
-- Loaded with dofile("tests/spec/browser.lua").

local http = require "moonlet.http"
local json = require "moonlet.json"
local support = dofile "tests/spec/support.lua"
local websocket = require "moonlet.websocket"

local browser = {}

local Page = {}
Page.__index = Page

--- The value of an expression in the page.
function Page:evaluate(expression)
  local params = { expression = expression }
  assert(self.ws:send(json.encode { id = 1, method = "Runtime.evaluate", params = params }))
  local answer
  repeat answer = json.decode((assert(self.ws:receive(support.patience)))) until answer.id == 1
  return answer.result.result.value
end

--- Waits until the text that the page shows has the pattern, and returns what that captures.
function Page:shows(pattern)
  local text
  local ok, result = pcall(support.eventually, function()
    text = self:evaluate "document.body ? document.body.innerText : ''"
    return text:match(pattern)
  end)
  if not ok then error(("no '%s' in the page: %s"):format(pattern, text), 2) end
  return result
end

function Page:__close()
  self.ws:close()
  self.program:kill "TERM" -- timeout passes it on
  self.program:wait()
end

-- The address of the page's WebSocket; nil: not there yet.
local function find_page(client, address, url)
  for _, target in ipairs(assert(client:get("http://" .. address .. "/json/list")):json()) do
    if target.url == url then return target.webSocketDebuggerUrl end
  end
end

--- Opens a page: `local page <close> = browser.open(...)`; nil: there is no Chromium here.
-- @param programs the spec's, which has a directory
-- @tparam string directory that one
-- @tparam string url
function browser.open(programs, directory, url)
  if not programs.installed "chromium" then return nil end
  local command = "timeout -k 5 100 chromium --headless --no-sandbox --disable-gpu --ignore-certificate-errors "
    .. "--user-data-dir=%s --remote-debugging-port=0 %s"
  local program = programs.start(command:format(programs.quote(directory .. "/profile"), programs.quote(url)))
  local address = programs.eventually("DevTools", function()
    return program:errors():match "DevTools listening on ws://([%d.:]+)/"
  end)
  local client <close> = http.client()
  local where = support.eventually(function() return find_page(client, address, url) end)
  return setmetatable({ program = program, ws = assert(websocket.connect(where)) }, Page)
end

return browser
