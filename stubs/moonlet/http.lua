---@meta moonlet.http

---A client: its own pool, headers and cookies. The functions of moonlet.http are its methods, too.
---@class moonlet.http.Client
local Client = {}

---Closes the idle connections; those in use when their responses have been read.
function Client:close() end

---Sends a DELETE request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function Client:delete(where, opts) end

---Fetches a URL into a file, which appears when it is whole. May wait.
---@param where string URL
---@param path string
---@param opts? table those of request(), and resume, progress(bytes, total)
---@return moonlet.http.Reply|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Client:download(where, path, opts) end

---Sends a GET request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function Client:get(where, opts) end

---Sends a HEAD request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function Client:head(where, opts) end

---Sends a PATCH request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function Client:patch(where, opts) end

---Sends a POST request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function Client:post(where, opts) end

---Sends a PUT request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function Client:put(where, opts) end

---Sends a request and reads the whole response. May wait.
---@param where string|table URL, or the options with a field `url`
---@param opts? table method, headers, query, body, length, json, form, multipart, redirects, retries, auth, tls, proxy, max_body, timeout, check, decode, connect, allow, downgrade
---@return moonlet.http.Reply|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Client:request(where, opts) end

---Figures of the pool.
---@return table # open, idle: connections now; made, reused: how often so far
function Client:stats() end

---Sends a request and reads the head of the response; the body is the caller's to read. May
---wait.
---@param where string|table URL, or the options with a field `url`
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Client:stream(where, opts) end

---A stream of events for a browser's EventSource; of res:events().
---@class moonlet.http.Events
local Events = {}

---Ends the events; the handler may go on. Idempotent, never waits.
function Events:close() end

---@class moonlet.http.Events.send.options
---@field data? any text of any number of lines; a table is sent as JSON
---@field event? string its type; "message" by default
---@field id? string which the browser tells as last-event-id when it connects again
---@field retry? number seconds that the browser waits before it does

---Sends an event. Any number of tasks may. May wait.
---@param event any a string: the data; or a table of the fields below
---@return boolean|nil # true; or nil, message, code: the peer has left
---@return string|nil # message
---@return string|nil # code
function Events:send(event) end

---A part of a multipart body.
---@class moonlet.http.Part
---@field name string of the form's field
---@field filename string|nil without directories, never "." or ".."; "": none was chosen, or it was such a one; nil: it is no file
---@field type string
---@field headers Headers
local Part = {}

---The rest of the part as one string. May wait.
---@param max? integer bytes at most
---@return string|nil # or nil, message, code: "EMSGSIZE" (answered 413 if the handler returns it)
---@return string|nil # message
---@return string|nil # code
function Part:body(max) end

---The part's bytes, piece by piece; raises a failure. May wait.
---@param max? integer bytes of a piece at most
---@return fun(): string # an iterator
function Part:chunks(max) end

---Iterates over the lines of the part; raises a failure. May wait.
---@param ... any formats of read()
---@return fun(): string # an iterator
function Part:lines(...) end

---Reads of the part as io's files read. May wait.
---@param ... any a count of bytes, "n", "l", "L", "a"
---@return any ... # as Request:read
function Part:read(...) end

---The next bytes of the part, whatever is there. May wait.
---@param max? integer bytes at most
---@return string|nil # or nil at the end; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Part:read_some(max) end

---Saves the rest of the part to a file, which appears when it is whole. May wait.
---@param path string
---@param max? integer bytes at most
---@return integer|nil # its size; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Part:save(path, max) end

---What a server answered.
---@class moonlet.http.Reply
---@field status integer
---@field reason string may be empty
---@field headers table
---@field version string "1.0", "1.1" or "2"
---@field url string after redirects
---@field reused boolean whether the connection had carried another request
---@field body string|nil nil of a stream
local Reply = {}

---Iterates over the body as it comes. Raises if it ends short.
---@return function
function Reply:chunks() end

---Ends it: the connection goes back to the pool if the body has been read, else it is closed.
function Reply:close() end

---Iterates over server-sent events: tables of data, event, id, retry.
---@return function
function Reply:events() end

---Decodes the body as JSON.
---@return any ... # the value; or nil, message, code
function Reply:json() end

---Iterates over the lines of the body.
---@return function
function Reply:lines() end

---Reads some of the body: a count of bytes (fewer only at the end), "l", "L" or "a".
---@param format? any
---@return string|nil # or nil at the end; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Reply:read(format) end

---Reads the whole body.
---@param max? integer bytes
---@return string|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Reply:read_all(max) end

---Saves the body to a file, which appears when it is whole.
---@param path string
---@return integer|nil # bytes; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Reply:save(path) end

---The fields behind the body, once it has been read.
---@return table|nil # nil: there are none
function Reply:trailers() end

---A request, in its handler; after that it is closed. The fields are made when they are asked for.
---@class moonlet.http.Request
---@field method string
---@field target string as it was sent
---@field path string never decoded
---@field query Headers the decoded fields of the query; names keep their case
---@field version string "1.0", "1.1" or "2"
---@field scheme string "http" or "https"
---@field host string
---@field peer moonlet.net.Address|nil who connected; nil in memory
---@field client moonlet.net.Address|nil who that is by trusted proxies
---@field route string|nil the pattern of the route; nil without a router
---@field tls table|nil as stream:tls_info(); nil without TLS
---@field params table of the route, decoded
---@field headers Headers
---@field locals table for the handler and what runs around it
local Request = {}

---The whole body, which stays: it may be asked for again, as json() or form(). May wait.
---@param max? integer bytes at most, in place of the route's limit
---@return string|nil # "" without one; or nil, message, code: "EMSGSIZE" (answered 413 if the handler returns it), "EPROTO" (400), "ETIMEDOUT" (408), "EEOF" (400)
---@return string|nil # message
---@return string|nil # code
function Request:body(max) end

---An iterator over the pieces of the body, as they come. Ends at its end, raises a failure
---`{message=, code=}`. May wait.
---@param max? integer bytes of a piece at most
---@return fun(): string # an iterator
function Request:chunks(max) end

---The cookies that the peer has sent. Values are as they were sent, without quotes around them; of
---several cookies of one name, the first counts. Never waits.
---@return table # name -> value
function Request:cookies() end

---The body as a form, of the type application/x-www-form-urlencoded or multipart/form-data; it
---stays, as that of body(). May wait.
---@param max? integer bytes at most
---@return Headers|nil # the fields, names keep their case; or nil, message, code: as body(), and "EPROTO": the body is no form: a handler that returns that answers 400
---@return {table}|string|nil # the files of a multipart form: `name filename type data`
---@return string|nil # code
function Request:form(max) end

---Whether the peer has left: it has closed the connection, or its direction of it. Never waits;
---{req, "gone"} in channel.select does.
---@return boolean
function Request:gone() end

---The body as JSON; it stays, as that of body(). May wait.
---@param max? integer bytes at most
---@return any ... # the value, json.null for null; or nil, message, code: as body(), and "EJSON": a handler that returns that answers 400
function Request:json(max) end

---Iterates over the lines of the body, without their ends; raises a failure `{message=, code=}`.
---May wait.
---@param ... any formats of read()
---@return fun(): string # an iterator
function Request:lines(...) end

---The parts of a multipart/form-data body in turn, each read as it comes; the rest of a part is
---skipped when the next is asked for. The iterator raises a failure `{message=, code=}`, which
---answers 400 (or 408, 413) if the handler lets it through. May wait.
---@return fun(): moonlet.http.Part|nil # an iterator; or nil, message, code: "EPROTO": the body is no such form
---@return string|nil # message
---@return string|nil # code
function Request:parts() end

---Reads of the body as io's files read. May wait.
---@param ... any a count of bytes (fewer only at the end), "n" (a number), "l" (a line without its "\n"), "L" (with it), "a" (all)
---@return any ... # for each format a string or number, or nil at the end, or for what is no number, and none after it; or nil, message, code, and then what was read before is there for the next read
function Request:read(...) end

---The next bytes of the body, whatever is there. May wait.
---@param max? integer bytes at most
---@return string|nil # or nil at the end; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Request:read_some(max) end

---Saves the rest of the body to a file, which appears when it is whole: a file that is there is
---replaced then, and keeps its permissions. May wait.
---@param path string
---@param max? integer bytes at most, in place of the route's limit
---@return integer|nil # its size; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Request:save(path, max) end

---The fields after the body, once that was read to its end. Never waits.
---@return Headers|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Request:trailers() end

---The answer to a request, in its handler; after that it is closed.
---@class moonlet.http.Response
---@field status integer|nil nil: not set yet; then 200, or 204 without a body
---@field headers Headers
local Response = {}

---@class moonlet.http.Response.cookie.options
---@field path? string
---@field domain? string
---@field max_age? number seconds; neither this nor `expires`: until the browser ends
---@field expires? number seconds since 1970
---@field secure? boolean sent over TLS only; true by default where this request came so
---@field http_only? boolean scripts of pages do not see it
---@field same_site? any "Strict", "Lax", "None"; false: the browser's default
---@field partitioned? boolean

---Sets a cookie at the peer. Raises for what browsers would refuse, or read as something else.
---Never waits.
---@param name string
---@param value string|nil nil: the peer forgets the cookie
---@param opts? moonlet.http.Response.cookie.options
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Response:cookie(name, value, opts) end

---@class moonlet.http.Response.events.options
---@field heartbeat? any seconds between comments; false: none

---Begins an answer that is a stream of server-sent events, and sends its head. It ends with the
---handler, or when the peer leaves, which cancels the handler. Comments keep the connection alive
---while there are no events. May wait.
---
---local events = res:events()
---for price in prices:values() do events:send { event = "price", data = price } end
---@param opts? moonlet.http.Response.events.options
---@return moonlet.http.Events|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Response:events(opts) end

---@class moonlet.http.Response.file.options
---@field root? string a directory: the path leads to nothing outside of it
---@field type? string in place of the one by the name
---@field download? any true, or a name: browsers save it
---@field max_age? integer seconds that caches may keep it
---@field precompressed? boolean a file beside it whose name has .br or .gz at its end is sent to those that take it

---Makes a file the answer: all of it, the parts that a Range field asks for, or 304, 412, 416 as
---the request's conditions say. Sets content-type (by the name), etag, last-modified and the like,
---unless the headers have them. Sends nothing yet: the file is sent when the handler has returned.
---Never waits.
---@param path string
---@param opts? moonlet.http.Response.file.options
---@return boolean|nil # true; or nil, message, code: "ENOENT", "EISDIR", "EACCES" (also for what is no file), "EXDEV" (outside of the root)
---@return string|nil # message
---@return string|nil # code
function Response:file(path, opts) end

---Sends the head, and all that was written, at once. May wait.
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Response:flush() end

---Takes the connection: the stream is the handler's, which has read the request's head and nothing
---behind it, until the handler returns; then it is closed. Raises once the head is out. May wait.
---@return moonlet.net.stream|nil # or nil, message, code ("EOPNOTSUPP": HTTP/2)
---@return string|nil # message
---@return string|nil # code
function Response:hijack() end

---Sends an interim answer, such as 103 with `link` fields; a peer of HTTP/1.0 gets none. May wait.
---@param status integer 102 to 199
---@param headers? table
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Response:inform(status, headers) end

---Makes a value, as JSON, the body of the answer, which is sent when the handler has returned. Raises
---for what JSON cannot say. Never waits.
---@param value any
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Response:json(value) end

---Makes the answer send the peer elsewhere, when the handler has returned. Never waits.
---@param url string absolute or relative; bytes that no address has are encoded
---@param status? integer 301, 302, 303, 307 or 308
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Response:redirect(url, status) end

---Makes a string the body of the answer, which is sent when the handler has returned. Never waits.
---@param body string
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Response:send(body) end

---Whether the head is out. Never waits.
---@return boolean
function Response:sent() end

---Limits each wait for the peer to read, in place of the route's limit. Never waits.
---@param s number|nil seconds; nil: no limit
function Response:set_timeout(s) end

---Adds a field that is sent behind the body. HTTP/1.0 knows none, and no answer whose head has named
---its length has one. Never waits.
---@param name string
---@param value any string, number or a list of them
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Response:trailer(name, value) end

---Sends values as the next part of the body, the head before the first. May wait.
---@param ... any strings, numbers, lists of them
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Response:write(...) end

---A handler that calls other ones, by method and path.
---@class moonlet.http.Router
local Router = {}

---Adds a route for every method that has none of its own, likewise.
---@param pattern string
---@param opts? table
---@param handler fun(request: moonlet.http.Request, response: moonlet.http.Response)
---@return moonlet.http.Router # itself
---@overload fun(self: moonlet.http.Router, pattern: string, handler: fun(request: moonlet.http.Request, response: moonlet.http.Response)): moonlet.http.Router
function Router:any(pattern, opts, handler) end

---Adds a route for DELETE, likewise.
---@param pattern string
---@param opts? table
---@param handler fun(request: moonlet.http.Request, response: moonlet.http.Response)
---@return moonlet.http.Router # itself
---@overload fun(self: moonlet.http.Router, pattern: string, handler: fun(request: moonlet.http.Request, response: moonlet.http.Response)): moonlet.http.Router
function Router:delete(pattern, opts, handler) end

---@class moonlet.http.Router.get.options
---@field max_body? integer bytes of a request's body
---@field timeout? number seconds for the handler: then 503
---@field read_timeout? number seconds that one wait for the body may take
---@field write_timeout? number seconds that one wait for the peer to read may take
---@field on_gone? string "cancel" or "ignore"
---@field compress? boolean as serve() has it

---Adds a route for GET. Of several patterns that match, the most specific one wins, segment by
---segment: text, then `{name}`, which is one segment that is not empty, then `{name...}`, which is
---all the rest. Parts of the path are compared and handed over decoded. A route for GET answers
---HEAD; OPTIONS is answered with the methods that there are, and so is, with 405, a method that
---there is not.
---@param pattern string "/users/{id}", "/files/{path...}"
---@param opts? moonlet.http.Router.get.options
---@param handler fun(request: moonlet.http.Request, response: moonlet.http.Response)
---@return moonlet.http.Router # itself
---@overload fun(self: moonlet.http.Router, pattern: string, handler: fun(request: moonlet.http.Request, response: moonlet.http.Response)): moonlet.http.Router
function Router:get(pattern, opts, handler) end

---Adds a route for HEAD, in place of the one for GET, likewise.
---@param pattern string
---@param opts? table
---@param handler fun(request: moonlet.http.Request, response: moonlet.http.Response)
---@return moonlet.http.Router # itself
---@overload fun(self: moonlet.http.Router, pattern: string, handler: fun(request: moonlet.http.Request, response: moonlet.http.Response)): moonlet.http.Router
function Router:head(pattern, opts, handler) end

---Hands all paths below the prefix, for which there is no route, to another handler, which sees
---them without it.
---@param prefix string "/api"
---@param handler fun(request: moonlet.http.Request, response: moonlet.http.Response) such as another router
---@return moonlet.http.Router # itself
function Router:mount(prefix, handler) end

---Adds a route for OPTIONS, likewise.
---@param pattern string
---@param opts? table
---@param handler fun(request: moonlet.http.Request, response: moonlet.http.Response)
---@return moonlet.http.Router # itself
---@overload fun(self: moonlet.http.Router, pattern: string, handler: fun(request: moonlet.http.Request, response: moonlet.http.Response)): moonlet.http.Router
function Router:options(pattern, opts, handler) end

---Adds a route for PATCH, likewise.
---@param pattern string
---@param opts? table
---@param handler fun(request: moonlet.http.Request, response: moonlet.http.Response)
---@return moonlet.http.Router # itself
---@overload fun(self: moonlet.http.Router, pattern: string, handler: fun(request: moonlet.http.Request, response: moonlet.http.Response)): moonlet.http.Router
function Router:patch(pattern, opts, handler) end

---Adds a route for POST, likewise.
---@param pattern string
---@param opts? table
---@param handler fun(request: moonlet.http.Request, response: moonlet.http.Response)
---@return moonlet.http.Router # itself
---@overload fun(self: moonlet.http.Router, pattern: string, handler: fun(request: moonlet.http.Request, response: moonlet.http.Response)): moonlet.http.Router
function Router:post(pattern, opts, handler) end

---Adds a route for PUT, likewise.
---@param pattern string
---@param opts? table
---@param handler fun(request: moonlet.http.Request, response: moonlet.http.Response)
---@return moonlet.http.Router # itself
---@overload fun(self: moonlet.http.Router, pattern: string, handler: fun(request: moonlet.http.Request, response: moonlet.http.Response)): moonlet.http.Router
function Router:put(pattern, opts, handler) end

---Serves the files below a directory under all paths below the prefix, for which there is no
---route: mount(prefix, http.files(directory, opts)).
---@param prefix string "/assets"
---@param directory string
---@param opts? table as http.files has them
---@return moonlet.http.Router # itself
function Router:static(prefix, directory, opts) end

---Adds middleware, which runs around all that the router does, in the order of adding: it calls
---next() to run the rest, whose results are then in res, and may return results of its own.
---@param fn fun(request: moonlet.http.Request, response: moonlet.http.Response, next)
---@return moonlet.http.Router # itself
function Router:use(fn) end

---A server: it serves any number of listeners and streams.
---@class moonlet.http.Server
local Server = {}

---Serves the connections of a listener until it is stopped, or one stream until its end. May wait.
---@param target moonlet.net.listener|moonlet.net.stream
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Server:serve(target) end

---Tells what the server has done so far. Never waits.
---@return table # connections, requests, errors (heads that were none), refused (503 because of max_requests): so far; open (connections), in_flight (requests): now
function Server:stats() end

---Stops: closes the listeners and the connections of silent peers, tells HTTP/2 peers and
---WebSockets (1001), finishes what is being answered, cuts what lasts longer than the grace. Called
---by a handler it does not wait: the grace passes while that one goes on. May wait.
---@param grace? number seconds; 0: at once; without it waits as long as it takes
---@return integer # how many connections were cut
function Server:stop(grace) end

---Header fields, as `req.headers`, `res.headers` and `r.headers` are, and the fields of a query, as
---`req.query` is.
---
---h["content-type"]          -- any case; several lines joined by ", " (set-cookie: the first)
---h["x-limit"] = 10          -- a string, a number, a list of lines, or nil to remove it
---for name, value in pairs(h) do print(name, value) end -- line by line, in lower case
---
---If a field has the name of a method, `get` reads it. In a query names keep their case.
---@class moonlet.http.headers
local headers = {}

---Adds a line, and keeps the field's other lines.
---@param name string
---@param value string|number|table a list adds a line for each of its elements
function headers:add(name, value) end

---The lines of a field, as a list.
---@param name string
---@return {string} # empty if there is none
function headers:all(name) end

---All lines of a field, joined by ", " (of set-cookie, the first). The same as `h[name]`, but it also
---reads fields that have the name of a method.
---@param name string
---@return string|nil # nil if there is none
function headers:get(name) end

---HTTP: servers and clients.
---@class moonlet.http
local http = {}

---Makes a client.
---@param opts? table base, headers, cookies (true, or a jar), pool {max= (idle connections in all), idle_per_host= (of an origin), per_host= (in use, of an origin), idle= (seconds)}, version ("1.1", or "2", also without TLS), and what a request takes
---@return moonlet.http.Client
function http.client(opts) end

---Sends a DELETE request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function http.delete(where, opts) end

---Fetches a URL into a file, which appears when it is whole. May wait.
---@param where string URL
---@param path string
---@param opts? table those of request(), and resume, progress(bytes, total)
---@return moonlet.http.Reply|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function http.download(where, path, opts) end

---Makes an error that is an answer: `error(http.error(404))` in a handler answers 404, and so does
---`return http.error(404)`. From 500 up it is reported, too.
---@param status integer 400 to 599
---@param message? string the body's text
---@param headers? table
---@return table # with status, message, headers, to be raised
function http.error(status, message, headers) end

---@class moonlet.http.files.options
---@field index? any the file that stands for a directory; false: none
---@field listing? boolean directories without one show what is in them
---@field hidden? boolean names that begin with a dot are served, too
---@field precompressed? boolean a file beside the other whose name has .br or .gz at its end, and which is not older, is sent to those that take it
---@field max_age? integer seconds that caches may keep a file
---@field types? table extension -> content type, beside those that are known

---Makes a handler that serves the files below a directory, for GET and HEAD, as res:file() does.
---Nothing outside of it is reached, by ".." or by symbolic links, whatever changes meanwhile: the
---kernel sees to that. What is neither file nor directory is 404, and so are names that begin with
---a dot, but for "/.well-known". Raises if there is no such directory.
---
---http.serve({ port = 8080 }, http.files("public"))
---@param root string
---@param opts? moonlet.http.files.options
---@return fun(request: moonlet.http.Request, response: moonlet.http.Response) # a handler
function http.files(root, opts) end

---Sends a GET request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function http.get(where, opts) end

---Sends a HEAD request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function http.head(where, opts) end

---Sends a PATCH request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function http.patch(where, opts) end

---Sends a POST request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function http.post(where, opts) end

---Sends a PUT request and reads the whole response. May wait.
---@param where string URL
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code; with check=true and a status from 400 on nil, message, "ESTATUS", response
---@return string|nil # message
---@return string|nil # code
function http.put(where, opts) end

---Sends a request and reads the whole response. May wait.
---@param where string|table URL, or the options with a field `url`
---@param opts? table method, headers, query, body, length, json, form, multipart, redirects, retries, auth, tls, proxy, max_body, timeout, check, decode, connect, allow, downgrade
---@return moonlet.http.Reply|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function http.request(where, opts) end

---Makes a router: a handler that calls other ones.
---@return moonlet.http.Router
function http.router() end

---@class moonlet.http.serve.options
---@field host? string an address, or "unix:/path"
---@field port? integer
---@field tls? table options or a context of net.tls; HTTP/2 is offered
---@field reuseport? boolean
---@field backlog? integer
---@field listener? moonlet.net.listener in place of the five above
---@field grace? number seconds: SIGINT, SIGTERM and a cancellation stop as stop(grace)
---@field on_error? function on_error(err, req, traceback): what it returns is the answer
---@field max_body? integer bytes of a request's body: 413
---@field max_head? integer bytes of a head: 431
---@field max_target? integer bytes of a target: 414
---@field max_requests? integer at a time: 503
---@field max? integer connections at a time; further ones wait in the backlog
---@field timeout? number seconds for a handler: 503
---@field head_timeout? number seconds for a head: 408
---@field read_timeout? number seconds for one wait for a body: 408
---@field write_timeout? number seconds for one wait for the peer to read
---@field keep_alive? number seconds that a connection may be idle
---@field max_age? number seconds that a connection lives
---@field on_gone? string "cancel": a peer that leaves cancels the handler at any time, "ignore": never; without it once the head is out
---@field compress? boolean answers that are texts of 1 KiB and more, or streamed, are sent as br or gzip to those that take it. Not for secrets beside what a stranger can choose: the size tells of them (BREACH)
---@field trusted? table addresses and networks of proxies whose Forwarded and X-Forwarded-* fields count
---@field log? any true, a file, or function(line): the access log
---@field version? number 1.1: no HTTP/2

---Listens, and serves until stopped. May wait.
---
---http.serve({ port = 8080 }, function(req, res) return "hello" end)
---@param opts? moonlet.http.serve.options
---@param handler fun(request: moonlet.http.Request, response: moonlet.http.Response)
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
---@overload fun(handler: fun(request: moonlet.http.Request, response: moonlet.http.Response)): boolean|nil, string|nil, string|nil
function http.serve(opts, handler) end

---Makes a server of a handler.
---@param opts? table as serve() has them, but those of listening
---@param handler fun(request: moonlet.http.Request, response: moonlet.http.Response)
---@return moonlet.http.Server
---@overload fun(handler: fun(request: moonlet.http.Request, response: moonlet.http.Response)): moonlet.http.Server
function http.server(opts, handler) end

---Sends a request and reads the head of the response; the body is the caller's to read. May
---wait.
---@param where string|table URL, or the options with a field `url`
---@param opts? table those of request()
---@return moonlet.http.Reply|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function http.stream(where, opts) end

return http
