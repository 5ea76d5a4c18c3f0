-- scripts/notes.lua, as its reader would call it.

local http = require "moonlet.http"
local json = require "moonlet.json"
local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"
local it = support.limited(it)

describe("scripts/notes.lua", function()
  local directory, client, url, service

  setup(function() directory = programs.open_directory() end)
  teardown(programs.remove_directory)
  after_each(programs.stop_all)

  local function start(name)
    service = programs.start(programs.command_line("notes.lua", "-p", 0, directory .. "/" .. name))
    url = service:printed "listening on %S+ for (%S+)\n"
  end

  local function with_service(title, body)
    it(title, function()
      start(title:match "%a+" .. ".db")
      client = http.client()
      body()
      client:close()
    end)
  end

  local function post(note) return assert(client:post(url, { json = note })) end
  local function status(method, path, opts) return assert(client[method](client, url .. path, opts)).status end

  with_service("keeps notes: makes, finds, changes and removes them", function()
    local answer = post { text = "milk", tags = { "shop", "today" } }
    assert.same({ 201, "/notes/1" }, { answer.status, answer.headers.location })
    local note = answer:json()
    assert.same({ 1, "milk", { "shop", "today" } }, { note.id, note.text, { table.unpack(note.tags) } })
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", note.changed)
    post { text = "brot & b\u{f6}tter" }
    assert.equal("milk", client:get(url .. "/1"):json().text)
    assert.equal("brot & b\u{f6}tter", client:get(url .. "?q=b%C3%B6tter"):json()[1].text)
    assert.equal(1, #client:get(url .. "?tag=shop"):json())
    assert.equal("[]", client:get(url .. "?tag=nothing").body)
    assert.equal(1, client:get(url .. "?before=2"):json()[1].id)
    assert.equal("bread", client:put(url .. "/1", { json = { text = "bread" } }):json().text)
    assert.equal(204, status("delete", "/1"))
    assert.equal(404, status("get", "/1"))
    assert.equal(404, status("delete", "/1"))
    assert.equal(404, status("put", "/1", { json = { text = "x" } }))
    assert.equal("", service:errors())
  end)

  with_service("refuses what is no note, and says why", function()
    for _, case in ipairs {
      { 400, '{"text":' }, { 422, "[]" }, { 422, "1" }, { 422, "{}" }, { 422, '{"text":1}' },
      { 422, '{"text":"\xff"}' },
      { 422, '{"text":"a","tags":"b"}' }, { 422, '{"text":"a","tags":{"b":1}}' }, { 422, '{"text":"a","tags":[1]}' },
      { 413, '{"text":"' .. ("x"):rep(70000) .. '"}' },
    } do
      local got = assert(client:post(url, { body = case[2] })).status
      assert(got == case[1] or got == 400 and case[2]:find "\xff", case[2]:sub(1, 40) .. " " .. got)
    end
    for _, path in ipairs { "/x", "/-1", "/1.5", "/99999999999999999999", "/1%00" } do
      assert.equal(404, status("get", path))
    end
    assert.equal(405, status("delete", ""))
    assert.equal(200, status("get", "?before=x&q=%27;DROP%20TABLE%20note"))
    assert.equal("", service:errors())
  end)

  with_service("survives kill -9: what it has answered is there", function()
    task.group(function(group)
      for i = 1, 40 do
        group:spawn(function() assert.equal(201, post({ text = "note " .. i, tags = { "t" } }).status) end)
      end
    end)
    service:kill "KILL"
    service:wait()
    start "survives.db"
    local lines, texts = 0, {}
    for line in client:get((url:gsub("/notes$", "/export"))).body:gmatch "[^\n]+" do
      lines = lines + 1
      texts[json.decode(line).text] = true
    end
    assert.equal(40, lines)
    for i = 1, 40 do assert.is_true(texts["note " .. i]) end
  end)

  it("refuses words that it does not know, and a file that is no database", function()
    programs.refuse_words("notes.lua", { { "-x" }, { "-p", "x" }, { "-p", "70000" }, { "a", "b" } })
    programs.write_file(directory .. "/text", ("no database\n"):rep(200))
    local _, errors, code = programs.run_script("notes.lua", "-p", 0, directory .. "/text")
    assert.equal(1, code)
    assert.matches("^notes: ", errors)
  end)
end)
