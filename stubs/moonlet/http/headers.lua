---@meta moonlet.http.headers

---Header fields, as `req.headers`, `res.headers` and `r.headers` are, and the fields of a query, as
---`req.query` is.
---
---h["content-type"]          -- any case; several lines joined by ", " (set-cookie: the first)
---h["x-limit"] = 10          -- a string, a number, a list of lines, or nil to remove it
---for name, value in pairs(h) do print(name, value) end -- line by line, in lower case
---
---A field whose name a method has is read by `get`. In a query names keep their case.
---@class moonlet.http.headers
local headers = {}

---Adds a line, and leaves those that the field has.
---@param name string
---@param value string|number|table a list adds a line for each of its elements
function headers.add(name, value) end

---The lines of a field, each for itself.
---@param name string
---@return {string} # empty if there is none
function headers.all(name) end

---All lines of a field, joined by ", " (of set-cookie, the first). The same as `h[name]`, and also for
---a field that a method has the name of.
---@param name string
---@return string|nil # nil if there is none
function headers.get(name) end

---Makes headers of a table or of other headers; fields of a connection and of framing are left out.
---@param fields? table
---@return headers
function headers.new(fields) end

return headers
