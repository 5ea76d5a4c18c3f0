---@meta moonlet.crypto

---Digests, message authentication, random bytes, passwords, and bytes as text. Digests and password
---hashes are OpenSSL's, which is loaded at their first use; they raise if it is not installed.
---@class moonlet.crypto
local crypto = {}

---Base64 (RFC 4648), in one line.
---@param data string
---@param url? boolean with "-" and "_" instead of "+" and "/", and without "=" at the end
---@return string
function crypto.base64(data, url) end

---The digest of some data.
---@param name string "sha256", "sha512", "sha3-256", "blake2b512", "sha1", "md5", or another one of OpenSSL's; an unknown one raises
---@param data string
---@return string # bytes: `crypto.hex` makes them readable
function crypto.digest(name, data) end

---Returns whether two strings are equal, in a time that does not depend on where they differ.
---@param a string
---@param b string
---@return boolean
function crypto.equal(a, b) end

---Two hexadecimal digits for each byte, in lower case.
---@param data string
---@return string
function crypto.hex(data) end

---The HMAC (RFC 2104) of some data under a key. Compare two of them with `crypto.equal`.
---@param name string of a digest
---@param key string of any length
---@param data string
---@return string # bytes
function crypto.hmac(name, key, data) end

---@class moonlet.crypto.password_hash.options
---@field cost? integer from 10 to 18; each step doubles time and memory

---The hash of a password, to be kept in its place: scrypt (RFC 7914) with a salt of its own, as
---"$scrypt$ln=15,r=8,p=3$SALT$HASH". It takes about 0.2 s and 32 MB on a worker thread; only the task
---waits.
---@param text string the password
---@param opts? moonlet.crypto.password_hash.options
---@return string
function crypto.password_hash(text, opts) end

---Returns whether a password is the one of a hash. Takes as long as making the hash took, on a worker
---thread.
---@param text string the password
---@param hash string of `crypto.password_hash`, or scrypt of another program in that form
---@return boolean|nil # or nil, message, code: "EINVAL", the hash is not in that form, or needs more than 256 MB
---@return string|nil # message
---@return string|nil # code
function crypto.password_verify(text, hash) end

---Random bytes of the kernel's, fit for keys and tokens.
---@param n integer how many, up to 1 MiB
---@return string
function crypto.random(n) end

---The reverse of `crypto.base64`. White space, other characters, and bits left over are refused, as
---are missing or needless "="; of the url form they may be there or not.
---@param text string
---@param url? boolean
---@return string|nil # or nil, message, code: "EINVAL", the message says which byte is wrong
---@return string|nil # message
---@return string|nil # code
function crypto.unbase64(text, url) end

---The reverse of `crypto.hex`; takes digits in either case.
---@param text string
---@return string|nil # or nil, message, code: "EINVAL"
---@return string|nil # message
---@return string|nil # code
function crypto.unhex(text) end

return crypto
