---@meta moonlet.http

---HTTP: clients and servers.
---@class moonlet.http
local http = {}

return http
