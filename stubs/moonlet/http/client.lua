---@meta moonlet.http.client

---A client: its own pool, headers and cookies. The functions of moonlet.http are its methods, too.
---@class moonlet.http.client.Client
local Client = {}

---Closes the idle connections; those in use when their responses have been read.
function Client:close() end

---Sends a DELETE request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function Client:delete(where, opts) end

---Fetches a URL into a file, which appears when it is whole. May wait.
---@param where string URL
---@param path string
---@param opts? table those of request(), and resume, progress(bytes, total)
---@return moonlet.http.client.Response|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Client:download(where, path, opts) end

---Sends a GET request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function Client:get(where, opts) end

---Sends a HEAD request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function Client:head(where, opts) end

---Sends a PATCH request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function Client:patch(where, opts) end

---Sends a POST request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function Client:post(where, opts) end

---Sends a PUT request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function Client:put(where, opts) end

---Sends a request and reads the whole response. May wait.
---@param where string|table URL, or the options with a field `url`
---@param opts? table method, headers, query, body, json, form, multipart, redirects, retries, auth, tls, proxy, max_body, timeout, check, decode, connect, allow, downgrade
---@return moonlet.http.client.Response|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Client:request(where, opts) end

---Figures of the pool.
---@return table # open, idle: connections now; made, reused: how often so far
function Client:stats() end

---Sends a request and reads the head of the response; the body is the caller's to read. May wait.
---@param where string|table URL, or the options with a field `url`
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Client:stream(where, opts) end

---What a server answered.
---@class moonlet.http.client.Response
---@field status integer
---@field reason string may be empty
---@field headers table
---@field version string "1.0" or "1.1"
---@field url string after redirects
---@field reused boolean whether the connection had carried another request
---@field body string|nil nil of a stream
local Response = {}

---Iterates over the body as it comes. Raises if it ends short.
---@return function
function Response:chunks() end

---Ends it: the connection goes back to the pool if the body has been read, else it is closed.
function Response:close() end

---Iterates over server-sent events: tables of data, event, id, retry.
---@return function
function Response:events() end

---Decodes the body as JSON.
---@return any ... # the value; or nil, message, code
function Response:json() end

---Iterates over the lines of the body.
---@return function
function Response:lines() end

---Reads some of the body: a count of bytes (fewer only at the end), "l", "L" or "a".
---@param format? any
---@return string|nil # or nil at the end; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Response:read(format) end

---Reads the whole body.
---@param max? integer bytes
---@return string|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Response:read_all(max) end

---Saves the body to a file, which appears when it is whole.
---@param path string
---@return integer|nil # bytes; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Response:save(path) end

---The fields behind the body, once it has been read.
---@return table|nil # nil: there are none
function Response:trailers() end

---The client's half of moonlet.http: requests, their responses, and the pool of connections.
---@class moonlet.http.client
local client = {}

---Makes a client.
---@param opts? table base, headers, cookies (true, or a jar), pool {max=, per_host=, idle=}, and what a request takes
---@return moonlet.http.client.Client
function client.client(opts) end

---Sends a DELETE request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function client.delete(where, opts) end

---Fetches a URL into a file, which appears when it is whole. May wait.
---@param where string URL
---@param path string
---@param opts? table those of request(), and resume, progress(bytes, total)
---@return moonlet.http.client.Response|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function client.download(where, path, opts) end

---Sends a GET request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function client.get(where, opts) end

---Sends a HEAD request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function client.head(where, opts) end

---Sends a PATCH request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function client.patch(where, opts) end

---Sends a POST request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function client.post(where, opts) end

---Sends a PUT request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function client.put(where, opts) end

---Sends a request and reads the whole response. May wait.
---@param where string|table URL, or the options with a field `url`
---@param opts? table method, headers, query, body, json, form, multipart, redirects, retries, auth, tls, proxy, max_body, timeout, check, decode, connect, allow, downgrade
---@return moonlet.http.client.Response|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function client.request(where, opts) end

---Sends a request and reads the head of the response; the body is the caller's to read. May wait.
---@param where string|table URL, or the options with a field `url`
---@param opts? table those of request()
---@return moonlet.http.client.Response|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function client.stream(where, opts) end

return client
