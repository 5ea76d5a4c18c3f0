-- A service of notes: HTTP and JSON in front of SQLite.
--
--     moonlet scripts/notes.lua [-l HOST] [-p PORT] [DATABASE]
--
-- Listens on HOST and PORT (127.0.0.1, 8080); DATABASE is a file ("notes.db"), made if need be:
--
--     curl localhost:8080/notes --json '{"text":"milk","tags":["shop"]}'    201, the note
--     curl 'localhost:8080/notes?q=milk&tag=shop&before=9'                  200, 50 at most
--     curl localhost:8080/notes/1                                           200, or 404
--     curl -X PUT localhost:8080/notes/1 --json '{"text":"bread"}'          200, or 404
--     curl -X DELETE localhost:8080/notes/1                                 204, or 404
--     curl localhost:8080/export                                            all, a line each
--
-- An answer to a change comes when it is on the disk; changes that come together share a commit.
local http = require "moonlet.http"
local json = require "moonlet.json"
local net = require "moonlet.net"
local sql = require "moonlet.sql"
local sqlite = require "moonlet.sqlite"

local USAGE = "usage: moonlet notes.lua [-l HOST] [-p PORT] [DATABASE]\n"
local MOST_BYTES, MOST_TAGS, PAGE = 64 * 1024, 20, 50

local function fail(message)
  io.stderr:write(message)
  os.exit(1)
end

local function read_arguments()
  local host, port, path, i = "127.0.0.1", 8080, nil, 1
  while arg[i] do
    local word, value = arg[i], arg[i + 1]
    if word == "-h" or word == "--help" then
      io.write(USAGE)
      os.exit(0)
    elseif word == "-l" and value then
      host, i = value, i + 1
    elseif word == "-p" and math.tointeger(tonumber(value)) then
      port, i = math.tointeger(tonumber(value)), i + 1
    elseif word:sub(1, 1) ~= "-" and not path then
      path = word
    else
      fail(USAGE)
    end
    i = i + 1
  end
  if port < 0 or port > 65535 then fail(USAGE) end
  return host, port, path or "notes.db"
end

-- ---- the database ----

local SCHEMA = [[
  CREATE TABLE IF NOT EXISTS note(
    id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL, tags JSON NOT NULL,
    changed TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')))]]

local COLUMNS = "id, text, tags, changed"

local INSERT = "INSERT INTO note(text, tags) VALUES(?, ?) RETURNING " .. COLUMNS
local SELECT = "SELECT " .. COLUMNS .. " FROM note WHERE id = ?"
local UPDATE = [[UPDATE note SET text = ?, tags = ?,
  changed = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE id = ? RETURNING ]] .. COLUMNS
local DELETE = "DELETE FROM note WHERE id = ?"
local FIND = "SELECT " .. COLUMNS .. [[ FROM note
  WHERE id < :before AND (:q IS NULL OR instr(text, :q) > 0)
    AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(note.tags) WHERE value = :tag))
  ORDER BY id DESC LIMIT :page]]

local function open(path)
  local db, message = sqlite.open(path, { group_commit = true, types = { JSON = json.decode } })
  if not db then fail(("notes: cannot open %s: %s\n"):format(path, message)) end
  local ok, reason = db:script(SCHEMA)
  if not ok then fail(("notes: %s is no file of notes: %s\n"):format(path, reason)) end
  return db
end

-- ---- requests ----

local function refuse(reason)
  error(http.error(422, reason .. "\n"))
end

local function check_tags(tags)
  local is_list = type(tags) == "table" and #tags <= MOST_TAGS
  if not is_list then refuse "'tags' must be a list, of 20 at most" end
  for i = 1, #tags do
    local is_good = type(tags[i]) == "string" and #tags[i] <= 100
    if not is_good then refuse "a tag must be a short text" end
  end
  for key in pairs(tags) do
    if math.type(key) ~= "integer" then refuse "'tags' must be a list" end
  end
end

-- The text and the tags that a request has, for a statement.
local function read_note(req)
  local note = assert(req:json())
  if type(note) ~= "table" or type(note.text) ~= "string" or not utf8.len(note.text) then
    refuse "'text' must be a text"
  end
  local tags = note.tags == nil and json.array {} or note.tags
  check_tags(tags)
  return note.text, sql.json(json.array(tags))
end

local function id_of(req)
  local id = math.tointeger(tonumber(req.params.id:match "^%d+$"))
  return id or error(http.error(404, "there is no such note\n"))
end

-- What the database has refused is told here, and not to the peer.
local function check(value, message, code)
  local is_passing = code == "SQLITE_BUSY" or code == "SQLITE_FULL"
  if is_passing then error(http.error(503, "try again later\n")) end
  if code then error(("%s (%s)"):format(message, code), 0) end
  return value
end

local function or_nothing(note)
  if not note then error(http.error(404, "there is no such note\n")) end
  return note
end

local function make_router(db)
  local router = http.router()
  router:post("/notes", { max_body = MOST_BYTES }, function(req, res)
    local note = check(db:row(INSERT, read_note(req)))
    res.headers.location = "/notes/" .. note.id
    return 201, note
  end)
  router:get("/notes", function(req)
    local before = math.tointeger(tonumber(req.query.before)) or math.maxinteger
    local q, tag = req.query.q or sql.null, req.query.tag or sql.null
    local found = check(db:all(FIND, { before = before, q = q, tag = tag, page = PAGE }))
    return 200, json.array(found)
  end)
  router:get("/notes/{id}", function(req)
    return 200, or_nothing(check(db:row(SELECT, id_of(req))))
  end)
  router:put("/notes/{id}", { max_body = MOST_BYTES }, function(req)
    local text, tags = read_note(req)
    return 200, or_nothing(check(db:row(UPDATE, text, tags, id_of(req))))
  end)
  router:delete("/notes/{id}", function(req)
    if check(db:execute(DELETE, id_of(req))) == 0 then or_nothing(nil) end
    return 204
  end)
  router:get("/export", function(_, res)
    res.headers["content-type"] = "application/x-ndjson"
    for note in db:rows("SELECT " .. COLUMNS .. " FROM note ORDER BY id") do
      if not res:write(json.encode(note), "\n") then return end
    end
  end)
  return router
end

local host, port, path = read_arguments()
local db <close> = open(path)
local listener, message = net.listen(host, port)
if not listener then fail(("notes: cannot listen on %s\n"):format(message)) end
io.stdout:setvbuf "line"
print(("listening on %s for http://%s/notes"):format(listener:address(), listener:address()))
http.serve({ listener = listener, grace = 5 }, make_router(db))
