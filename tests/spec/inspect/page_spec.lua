--- The page of the inspector, in Chromium. Its pictures are those of the guide: MOONLET_SCREENSHOTS names a
-- directory for them.

local support = dofile "tests/spec/support.lua"
local inspected = dofile "tests/spec/inspect_support.lua"
local programs = dofile "tests/spec/programs.lua"
local it = support.limited(it)
local fs = require "moonlet.fs"
local crypto = require "moonlet.crypto"
local json = require "moonlet.json"
local task = require "moonlet.task"
local browser = dofile "tests/spec/browser.lua"

local SHOP = [[
  local task, sync, inspect = require "moonlet.task", require "moonlet.sync", require "moonlet.inspect"
  local stock, till = sync.mutex(), sync.mutex()
  task.spawn({ name = "order 17" }, function() stock:lock() task.yield() till:lock() end)
  task.spawn({ name = "refund 4" }, function() till:lock() task.yield() stock:lock() end)
  task.spawn({ name = "<b>report</b>" }, function() task.yield() task.yield() stock:lock() end)
  for i = 1, 50 do
    task.spawn({ name = "client " .. i }, function() local number = i task.sleep(1000) return number end)
  end
  local sold = inspect.counter "shop_sold_total"
  local function price(item) local x = 0 for i = 1, 30000 do x = x + i % item end return x end
  local function work() for i = 1, 10 do price(i) end sold:add(1) end
  task.spawn({ name = "clerk" }, function() while true do work() task.sleep(0.001) end end)
  task.sleep(1000)
]]

-- The flame graph is in a frame that the page cannot look into: whether its address has one.
local FLAME_HAS_PRICE = [[(() => {
  const request = new XMLHttpRequest();
  request.open("GET", document.getElementById("flame").src, false);
  request.send();
  return request.responseText.includes("price");
})()]]

-- The name of the run is no HTML; its database is removed once it is open.
local ORDERS = [[
  local durable, task = require "moonlet.durable", require "moonlet.task"
  local path = os.tmpname()
  local d = assert(durable.open(path))
  d:workflow("order", function(ctx)
    ctx:step("pay", function() task.sleep(0.01) return "a secret" end)
    ctx:step("call", { retry = false }, function() return nil, "nobody is there", "ENOBODY" end)
    ctx:receive("note", 1000)
  end)
  d:workflow("bad", function() error("no stock", 0) end)
  task.spawn({ daemon = true }, d.serve, d)
  assert(d:start("bad", nil, { id = "order 2" })):result()
  assert(d:start("order", nil, { id = "<b>order 1</b>" }))
  repeat task.sleep(0.001) until #d:get("<b>order 1</b>").steps == 3
  for _, ending in ipairs { "", "-wal", "-shm" } do os.remove(path .. ending) end
  print "begun"
  task.sleep(1000)
]]

local directory

-- One more command of the DevTools.
local function command(page, method, params)
  assert(page.ws:send(json.encode { id = 2, method = method, params = params or json.decode "{}" }))
  local answer
  repeat answer = json.decode((assert(page.ws:receive(support.patience)))) until answer.id == 2
  return answer.result
end

-- Opens a page of a program: page, or nil where there is no Chromium.
local opened = 0
local function open(program)
  opened = opened + 1 -- each with a profile of its own
  local profile = directory .. "/" .. opened
  assert(fs.mkdir(profile))
  local page = browser.open(programs, profile, "about:blank")
  if page then command(page, "Page.navigate", { url = program.place }) end
  return page
end

local function picture(page, name, height)
  local pictures = os.getenv "MOONLET_SCREENSHOTS"
  if not pictures then return end
  command(page, "Emulation.setDeviceMetricsOverride",
    { width = 1200, height = height or 720, deviceScaleFactor = 1, mobile = false })
  support.eventually(function() return page:evaluate "document.readyState" == "complete" end)
  task.sleep(1) -- frames are painted by processes of their own, which tell nobody
  local shot = command(page, "Page.captureScreenshot", { format = "png" })
  assert(fs.write(pictures .. "/" .. name .. ".png", crypto.unbase64(shot.data)))
end

local function click(page, id) page:evaluate(("document.getElementById('%s').click()"):format(id)) end

describe("the page", function()
  setup(function() directory = programs.open_directory() end)
  after_each(programs.stop_all)
  teardown(programs.remove_directory)

  if not programs.installed "chromium" then
    pending "needs Chromium"
    return
  end

  it("shows tasks, and finds, sorts and opens them; names are text", function()
    local program <close> = inspected.start(SHOP, { address = ":0", options = { "--inspect-write" } })
    local page <close> = open(program)
    page:shows "client 1\n"
    page:shows "<b>report</b>"
    assert.are.equal(0, page:evaluate "document.querySelectorAll('#list b').length")
    assert.are.equal("/", page:evaluate "location.pathname + location.search") -- the token is gone
    picture(page, "inspect-tasks")
    page:evaluate "let s = document.getElementById('search'); s.value = 'client 4'; s.oninput()"
    support.eventually(function() return page:evaluate "document.querySelectorAll('#list .row').length" == 11 end)
    page:evaluate "document.querySelector('#list .row').click()"
    page:shows "spawned at .-script%.lua:"
    page:evaluate "document.getElementById('level').selectedIndex = 1"
    page:evaluate "document.getElementById('code').value = 'number * 100'"
    click(page, "evaluate")
    support.eventually(function() return page:evaluate "document.getElementById('result').textContent" == "400" end)
    picture(page, "inspect-evaluate")
    page:evaluate "window.confirm = () => true"
    click(page, "cancel")
    support.eventually(function() return page:evaluate "document.querySelectorAll('#list .row').length" == 10 end)
  end)

  it("shows groups of stacks, the graph of waits with deadlocks, metrics, profiles", function()
    local program <close> = inspected.start((SHOP:gsub("</?b>", "")), { address = ":0" })
    local page <close> = open(program)
    page:shows "client 1\n"
    click(page, "tab-stacks")
    page:shows "50 tasks, waiting"
    click(page, "tab-waits")
    page:shows "deadlocks: .-order 17"
    assert.is_true(page:evaluate "document.querySelectorAll('#graph rect[stroke=\"var(--bad)\"]').length" == 2)
    picture(page, "inspect-waits", 370)
    click(page, "tab-metrics")
    page:shows "shop_sold_total"
    click(page, "tab-profile")
    page:evaluate "document.getElementById('seconds').value = '1'"
    click(page, "take")
    support.eventually(function()
      return page:evaluate "document.getElementById('profile-about').textContent" == ""
    end)
    support.eventually(function() return page:evaluate(FLAME_HAS_PRICE) end)
    picture(page, "inspect-profile")
  end)

  it("shows durable runs and what ended them, and of one its steps and what it waits for, but no values", function()
    local program <close> = inspected.start(ORDERS, { address = ":0" })
    program:line "begun"
    local page <close> = open(program)
    page:shows "durable worker" -- its program runs: a click is heard
    click(page, "tab-durable")
    page:shows "order 2%s+bad%s+default%s+failed.-no stock %(EFAILED%)"
    page:shows "<b>order 1</b>%s+order%s+default%s+running"
    assert.are.equal(0, page:evaluate "document.querySelectorAll('#runs b').length")
    page:evaluate "document.querySelector('#runs tr[style]').click()" -- the newest is the first
    local steps = page:shows "pay%s+step%s+done%s+1%s.-(%d+%.%d ms)"
    assert(tonumber(steps:match "[%d.]+") >= 10, steps)
    page:shows "call%s+step%s+failed.-nobody is there %(ENOBODY%)"
    page:shows "receive:note%s+receive%s+waiting.-in %d+"
    assert.is_nil(page:evaluate("document.body.innerText"):find("secret", 1, true))
    picture(page, "inspect-durable", 420)
  end)

  it("says which function of C keeps the program", function()
    local program <close> = inspected.start("print 'hangs' os.execute 'sleep 1000'",
      { address = ":0", options = { "--no-interpose" } })
    program:line "hangs"
    local page <close> = open(program)
    page:shows "does not answer: it waits in wait"
    picture(page, "inspect-hangs", 300)
  end)

  it("shows the CPU time of each task, and sorts by it", function()
    local program <close> = inspected.start([[
      local task = require "moonlet.task"
      for i = 1, 5 do task.spawn({ name = "idle " .. i }, task.sleep, 1000) end
      task.spawn({ name = "worker" }, function()
        while true do
          local stop = os.clock() + 0.005
          while os.clock() < stop do end
          task.sleep(0.005)
        end
      end)
    ]], { address = ":0" })
    local page <close> = open(program)
    page:shows "worker"
    for _ = 1, 2 do
      page:evaluate "[...document.querySelectorAll('#head button')].find(b => b.textContent == 'cpu').click()"
    end
    local first = "document.querySelector('#list .row')"
    support.eventually(function()
      return page:evaluate(first .. ".children[1].textContent") == "worker"
        and page:evaluate("parseFloat(" .. first .. ".children[4].textContent) > 0.01")
    end)
    assert.matches("^%d+%.%d%d%d s$", page:evaluate(first .. ".children[4].textContent"))
  end)

  it("shows ten thousand tasks, of which only the visible ones are in the document", function()
    local program <close> = inspected.start([[
      local task = require "moonlet.task"
      for i = 1, 10000 do task.spawn({ name = "t" .. i }, task.sleep, 1000) end
      task.sleep(1000)
    ]], { address = ":0" })
    local page <close> = open(program)
    page:shows "1000%d tasks"
    assert.is_true(page:evaluate "document.querySelectorAll('#list .row').length" < 100)
  end)
end)
