---@meta moonlet.http.multipart

---Forms of several parts (multipart/form-data, RFC 7578), written as a stream. For moonlet's own
---modules: `http.post(url, {multipart={...}})`.
---@class moonlet.http.multipart
local multipart = {}

---The content type, the length (nil if a part's is not known), and a function that makes a reader
---of the whole body, as often as it is called.
---@param fields table name -> string, number, list, or {data=|path=|body=, filename=, type=}
function multipart.encode(fields) end

return multipart
