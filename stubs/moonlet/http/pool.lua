---@meta moonlet.http.pool

---The pool of an HTTP client: idle connections by what they may serve. For moonlet's own modules.
---@class moonlet.http.pool
local pool = {}

return pool
