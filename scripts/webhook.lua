-- Receives webhooks that are signed as GitHub signs them.
--
--     WEBHOOK_SECRET=... moonlet scripts/webhook.lua [-l HOST] [-p PORT]
--
-- Listens on HOST and PORT (127.0.0.1, 8080) for POST /hook. X-Hub-Signature-256 must be the HMAC
-- of the body by the secret (compared in constant time), else the answer is 401, and the body is
-- not looked at. What came before is refused (409): the last 10,000 signatures are remembered, not
-- the X-GitHub-Delivery, which is not signed. Prints a line for each event and each refusal.
local crypto = require "moonlet.crypto"
local http = require "moonlet.http"
local json = require "moonlet.json"
local net = require "moonlet.net"

local USAGE = "usage: moonlet webhook.lua [-l HOST] [-p PORT]     (the secret: WEBHOOK_SECRET)\n"
local LARGEST = 25 * 1024 * 1024 -- bytes of a body; GitHub sends no larger ones
local REMEMBERED = 10000 -- signatures

local function fail(message)
  io.stderr:write(message)
  os.exit(1)
end

local function read_arguments()
  local host, port, i = "127.0.0.1", 8080, 1
  while arg[i] do
    local word, value = arg[i], arg[i + 1]
    if word == "-h" or word == "--help" then
      io.write(USAGE)
      os.exit(0)
    elseif word == "-l" and value then
      host = value
    elseif word == "-p" and math.tointeger(tonumber(value)) then
      port = math.tointeger(tonumber(value))
    else
      fail(USAGE)
    end
    i = i + 2
  end
  if port < 0 or port > 65535 then fail(USAGE) end
  return host, port
end

-- A peer's words in a line of ours: without control characters, and not too long.
local function clean(text)
  if type(text) ~= "string" then return "-" end
  return (text:sub(1, 80):gsub("[%c\x7f-\xff]", "?"))
end

local function tell(req, ...)
  print(req.client and req.client.host or "-", ...)
end

-- ---- signatures ----

-- The bytes of the signature that the request claims; nil: none.
local function signature_of(req)
  local digits = (req.headers["x-hub-signature-256"] or ""):match "^sha256=(%x+)$"
  return digits and crypto.unhex(digits) or nil
end

local seen, ring, place = {}, {}, 0

-- Whether the signature is new; it is remembered then, in place of the oldest one.
local function is_new(signature)
  if seen[signature] then return false end
  place = place % REMEMBERED + 1
  if ring[place] then seen[ring[place]] = nil end
  ring[place], seen[signature] = signature, true
  return true
end

-- ---- the hook ----

-- What is to be done for an event. Here: a line about it.
local function act(req, event)
  local repository = type(event.repository) == "table" and event.repository.full_name
  tell(req, clean(req.headers["x-github-event"]), clean(repository), clean(event.action))
end

local function make_hook(secret)
  return function(req)
    local claimed = signature_of(req)
    local body, message, code = req:body()
    if not body then return nil, message, code end
    if not claimed or not crypto.equal(claimed, crypto.hmac("sha256", secret, body)) then
      tell(req, "refused", "no valid signature")
      return 401, "the signature is not valid\n"
    end
    local event = json.decode(body)
    if type(event) ~= "table" then return 400, "the body is no JSON object\n" end
    if not is_new(claimed) then
      tell(req, "refused", "came before")
      return 409, "this came before\n"
    end
    act(req, event)
    return 202, "accepted\n"
  end
end

local host, port = read_arguments()
local secret = os.getenv "WEBHOOK_SECRET" or ""
if #secret < 16 then fail "webhook: WEBHOOK_SECRET must be set, to 16 bytes or more\n" end

local router = http.router()
router:post("/hook", { max_body = LARGEST }, make_hook(secret))
local listener, message = net.listen(host, port)
if not listener then fail(("webhook: cannot listen on %s\n"):format(message)) end
io.stdout:setvbuf "line"
print(("listening on %s for http://%s/hook"):format(listener:address(), listener:address()))
http.serve({ listener = listener, grace = 5, max_requests = 20 }, router)
