--- HTTP: clients and servers.
-- @module moonlet.http

local pairs = pairs

local http = {}
for name, value in pairs(require "moonlet.http.client") do http[name] = value end

return http
