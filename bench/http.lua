-- The web server as a user of moonlet would write it. Prints "listening PORT".
-- Usage: moonlet http.lua [DIRECTORY [CERTIFICATE KEY]]
--     (DIRECTORY: files that it serves; with a certificate: over TLS)
local http = require "moonlet.http"
local net = require "moonlet.net"

local BACKLOG = 4096 -- as the servers it is compared with
local FIELDS, ROUTES = 24, 1000

-- About 1 KB of JSON.
local record = {}
for i = 1, FIELDS do record["field_" .. i] = ("value %d of a record"):format(i) end

local router = http.router()
router:get("/", function() return "hello" end)
router:get("/json", function() return record end)
router:post("/upload", function(req)
  local body, message, code = req:body()
  if not body then return nil, message, code end
  return tostring(#body)
end)
if arg[1] then router:static("/", arg[1]) end
for i = 1, ROUTES do
  router:get(("/things/%d/parts/{part}"):format(i), function() return "hello" end)
end

-- The shortest request goes to a plain function, the others through the router.
local function handler(req, res)
  if req.path == "/" then return "hello" end
  return router(req, res)
end

local tls = arg[2] and { cert_file = arg[2], key_file = arg[3] }
local listener <close> = assert(net.listen("127.0.0.1", 0, { backlog = BACKLOG, tls = tls }))
print("listening " .. listener:address().port)
io.stdout:flush()
assert(http.server(handler):serve(listener))
