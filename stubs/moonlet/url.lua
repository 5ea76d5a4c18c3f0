---@meta moonlet.url

---A URL, or a relative reference. It cannot be changed, prints as its text, and equals another one of
---the same text. A part that is not there is nil, one that is there and empty is "". Parts are not
---decoded: `url.decode` does that. Scheme and host are in lower case; nothing else is changed.
---@class moonlet.url.Url
---@field scheme string|nil "https"; nil in a relative reference
---@field user string|nil the text before the first ":" of "name:password@"
---@field password string|nil the text after it
---@field host string|nil a name, or an address, that of IPv6 without its brackets; nil without "//"
---@field port integer|nil nil if the text has none
---@field path string "" if there is none
---@field query string|nil without its "?"
---@field fragment string|nil without its "#"
local Url = {}

---URLs: their parts, references, percent-encoding, queries. By RFC 3986.
---@class moonlet.url
local url = {}

---The reverse: %XX becomes a byte, all else stays (also "+", which is a space only in forms).
---@param text string
---@return string|nil # any bytes; or nil, message, code: "EURL", a "%" has no two hexadecimal digits
---@return string|nil # message
---@return string|nil # code
function url.decode(text) end

---Encodes a text so that it can be a part of a URL: of all bytes only letters, digits and "-._~" stay
---as they are.
---@param text string any bytes
---@return string
function url.encode(text) end

---Returns the target of a reference in a document (RFC 3986, section 5).
---@param base string|moonlet.url.Url URL of the document; a relative one gives a relative result
---@param reference string|moonlet.url.Url
---@return string|nil # the URL; or nil, message, code: "EURL", the message says which of the two is wrong
---@return string|nil # message
---@return string|nil # code
function url.join(base, reference) end

---Takes a URL apart. Refuses what RFC 3986 does not allow: spaces, control characters, letters beyond
---ASCII (a host name in another script has to come in its "xn--" form), a "%" without two hexadecimal
---digits; `url.encode` makes a part of any text. The one exception: brackets are allowed in a query
---and a fragment. URLs of http, https, ws and wss must name a host after their "//".
---@param text string|moonlet.url.Url also a relative reference, such as "/path?x=1"
---@return moonlet.url.Url|nil # or nil, message, code: "EURL", the message says what is wrong, and with which byte
---@return string|nil # message
---@return string|nil # code
function url.parse(text) end

---Reads the text of a query, or of a form: the reverse of `url.query`.
---@param text string without the "?"
---@return table|nil # names and their values, strings; a name that comes more than once has the list of its values; a peer may send either. "" is the value of a name without "=". Or nil, message, code: "EURL", a "%" has no two hexadecimal digits
---@return string|nil # message
---@return string|nil # code
function url.parse_query(text) end

---The text of a query, or of a form (`application/x-www-form-urlencoded`): "a=1&b=x+y". A space
---becomes "+", all else is encoded as `url.encode` does it.
---@param t table names and their values: strings, numbers, booleans, or lists of those, which repeat the name. They come in the order of the names. Or a list of pairs {name, value}, which keep their order
---@return string
function url.query(t) end

return url
