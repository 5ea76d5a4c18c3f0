--- HTTP: servers and clients.
-- @module moonlet.http

local ipairs, pairs, require = ipairs, pairs, require

-- Each part is a module that gives some of the functions.
local parts = {
  "moonlet.http.client", "moonlet.http.server", "moonlet.http.files", "moonlet.http.router",
}

local http = {}
for _, part in ipairs(parts) do
  for name, value in pairs(require(part)) do http[name] = value end
end
http.limited = nil -- for the router alone

return http
