---@meta moonlet.json

---JSON, strictly by RFC 8259.
---
---Integers stay integers, also beyond 2^53; a number with a "." or an exponent is a float, as are "-0"
---and integers that 64 bits do not hold. Floats are written in the fewest digits that read as the same
---float, and never as an integer: `1.0`. Text is UTF-8, in both directions.
---@class moonlet.json
local json = {}

---null. It is a value like others, and true in a condition: `if v == json.null then`.
json.null = {}

---Makes a table an array for `json.encode`, also if it is empty.
---@param t? table gets a metatable, which only marks it
---@return table # the same
function json.array(t) end

---@class moonlet.json.decode.options
---@field max_depth? integer of nesting, 100000 at most
---@field nulls? string "drop": members that are null are left out; items of arrays, and a text that is only null, are kept

---Reads a value. null is `json.null`; arrays have the metatable of `json.array`, so that an empty one
---stays one. Of two members with one name the last counts. Half of a surrogate pair (`\ud800`), a byte
---order mark, and a number beyond the range of a float are errors.
---
---The text is read in one piece while no other task runs: some milliseconds for a megabyte.
---@param text string
---@param opts? moonlet.json.decode.options
---@return any ... # the value; or nil, message, code: "EJSON", the message says line, column, and what was expected there. A column counts characters
function json.decode(text, opts) end

---@class moonlet.json.encode.options
---@field indent? string|integer each item stands on a line of its own, indented by this text of spaces and tabs, or so many spaces (16 at most), for each level
---@field sort_keys? boolean members stand in the order of their names, byte by byte, so that equal values give equal texts
---@field max_depth? integer of nesting, 100000 at most

---Writes a value as JSON. A table whose keys are 1 to n is an array; one of `json.array` is always
---one; any other table, an empty one included, is an object, and its keys must be strings. Tables are
---read raw: metamethods (`__index`, `__pairs`) are not called.
---
---A value that JSON does not have raises an error that names the path to it, such as `value.users[3].f
---is a function`: functions, threads, userdata but json.null, NaN and infinities, strings that are not
---UTF-8, arrays with holes, keys of other kinds, tables that contain themselves.
---@param v any
---@param opts? moonlet.json.encode.options
---@return string
function json.encode(v, opts) end

---Iterates over the values of a stream that has one in each line (NDJSON, JSON Lines). Blank lines are
---skipped. A line that is no JSON raises `{message=, code="EJSON"}`, and the message begins with the
---line's number; errors of the stream are raised unchanged.
---@param stream any anything with a method `lines()`: a stream, a file, a request, a response; or a function that returns the next line at each call
---@param opts? table as for `decode`
---@return function
function json.lines(stream, opts) end

return json
