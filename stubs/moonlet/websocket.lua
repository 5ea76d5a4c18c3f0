---@meta moonlet.websocket

---A WebSocket, of a client or a server. It prints as its address and state; `<close>` closes it.
---@class moonlet.websocket.Websocket
local Websocket = {}

---Closes: tells the peer, and leaves the wait for its answer, at most ten seconds, to a task of its
---own. Idempotent; never waits.
---@param code? integer
---@param reason? string at most 123 bytes
function Websocket:close(code, reason) end

---Returns how it was closed, by the end that was first. Never waits.
---@return integer # the code: 1005: none was given; 1006: the connection was lost; nil while it is open
---@return string # the reason
function Websocket:closed() end

---Closes, if this end has not, and waits until the connection has ended.
---@param s? number seconds, after which the connection is cut
---@return boolean|nil # true: the peer has closed, too; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Websocket:finish(s) end

---Iterates over messages. The loop ends when either end has closed cleanly; other failures raise. May
---wait.
---@return function # that returns data and kind
function Websocket:messages() end

---Sends a ping. Never waits. The peer's answer does not come as a message; `ping_interval` checks for
---it.
---@param data? string at most 125 bytes
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Websocket:ping(data) end

---The next message. While a task is in this call, it also answers pings.
---@param timeout? number seconds; 0: never waits
---@return string|nil # its bytes; nil: the peer has closed; or nil, message, code: "CLOSED": this end has closed; "EPROTO": the peer broke the rules; "EILSEQ": its text is not UTF-8; "EMSGSIZE": its message is too long; "EEOF", "ECONNABORTED": the connection is lost; "EBUSY": another task receives; "ETIMEDOUT"
---@return string|string|nil # "text" or "binary"
---@return string|nil # code
function Websocket:receive(timeout) end

---Sends a message. Waits only while `max_queue` bytes are queued. After a timeout or a cancellation
---nothing of it was sent. Any number of tasks may send.
---@param data string
---@param kind? string "text", which must be UTF-8, or "binary"
---@param timeout? number seconds
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function Websocket:send(data, kind, timeout) end

---WebSockets (RFC 6455), both sides.
---@class moonlet.websocket
local websocket = {}

---@class moonlet.websocket.connect.options
---@field max_message? integer bytes of a message
---@field max_queue? integer bytes that may wait to be sent before `send` waits
---@field ping_interval? number|boolean seconds; false: no pings
---@field compression? boolean|table offers permessage-deflate; a table has level (1 to 9, 6), window_bits (9 to 15, 12), min_size (128: shorter messages are sent as they are), context_takeover (true: messages refer to those before)
---@field subprotocols? {string} asked for, the best first
---@field origin? string
---@field headers? table more fields
---@field timeout? number seconds for connecting and the handshake
---@field tls? table|context as of net.connect, for wss
---@field connect? function function(host, port) -> stream
---@field client? http.Client whose connections carry it, by its options tls, connect, allow and proxy, and whose headers, auth and cookies the request has: over HTTP/2 if the server takes WebSockets so (RFC 8441). Without the option a connection of HTTP/2 that the plain calls of moonlet.http have to that server is used, if there is one

---Connects to a WebSocket server. May wait.
---@param url string ws://host[:port]/path, or wss://
---@param opts? moonlet.websocket.connect.options
---@return moonlet.websocket.Websocket|nil # or nil, message, code: "EURL"; "ESTATUS": the server refused; "EPROTO": no WebSocket's answer; and those of net.connect
---@return string|string|nil # the subprotocol that the server chose, or nil
---@return string|nil # code
function websocket.connect(url, opts) end

---@class moonlet.websocket.upgrade.options
---@field subprotocols? {string} ours, the best first
---@field origins? {string} whose pages may connect, "*": all; by default this host's

---Makes a WebSocket of a request to an HTTP server, in its handler. May wait. The connection is
---closed after the handler: `ws:finish()` at its end waits for the peer's goodbye.
---@param req moonlet.http.Request
---@param res moonlet.http.Response
---@param opts? moonlet.websocket.upgrade.options as of connect: max_message, max_queue, ping_interval, compression; and
---@return moonlet.websocket.Websocket|nil # or nil, message, code: the request was answered with 400, 403 or 426
---@return string|string|nil # the subprotocol, or nil
---@return string|nil # code
function websocket.upgrade(req, res, opts) end

return websocket
