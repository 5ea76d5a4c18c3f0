---@meta moonlet.sqlite

---SQLite, on worker threads: a query makes only its task wait. The library (libsqlite3) is loaded
---when a database is first opened.
---@class moonlet.sqlite
local sqlite = {}

---@class moonlet.sqlite.open.options
---@field mode? string "create", "write": the file must exist, or "read"
---@field readers? integer connections that read
---@field busy_timeout? number seconds to wait while another process writes
---@field synchronous? string "off", "normal", "full" or "extra"
---@field null? any the value for NULL in rows, `sql.null` or another; without it such columns are absent
---@field types? table functions by declared type of a column, in capitals: what one returns stands for the value
---@field pragmas? table further settings of each connection: `{cache_size = -65536}`
---@field group_commit? boolean statements that write and come while another one commits share a commit
---@field attach? table further files, by the names under which statements find them

---Opens a database.
---
---Its file is in WAL mode and written through at each commit (`synchronous=FULL`); foreign keys are
---enforced. One connection writes, for one task at a time; others read meanwhile. `":memory:"` is
---one connection for all. May wait, also for the end of a database of that name that was closed.
---@param path string
---@param opts? moonlet.sqlite.open.options
---@return moonlet.sql.Database|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function sqlite.open(path, opts) end

return sqlite
