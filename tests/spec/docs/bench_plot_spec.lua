--- The plot of `make bench`, made of a small fixed set of results.

local here = package.path
package.path = "bench/lib/?.lua;" .. package.path
local bars, comparison = require "bars", require "comparison"
local json, plot = require "json", require "plot"
package.path = here

local support = dofile "tests/spec/support.lua"

local results = [[{
  "date": "2026-01-02T03:04:05Z", "quick": false, "machine": {"cpu": "2 CPUs of a B&W 9000"},
  "sleepers": [
    {"name": "moonlet", "runs": [{"n": 10000, "ms": 300, "kb_per_task": 9},
      {"n": 100000, "ms": 400, "kb_per_task": 2}, {"n": 1000000, "ms": 2000, "kb_per_task": 2}]},
    {"name": "Go", "runs": [{"n": 100000, "ms": 500, "kb_per_task": 4}]},
    {"name": "gevent", "failed": "python3 is not installed", "runs": [{"n": 100}]}
  ],
  "echo": [
    {"connections": 64, "servers": [{"name": "raw C epoll", "cpu_ratio": 1},
      {"name": "moonlet", "cpu_ratio": 1.25}, {"name": "luv", "failed": "lua5.4 is not installed"}]},
    {"connections": 1000, "servers": [{"name": "raw C epoll", "cpu_ratio": 1},
      {"name": "moonlet", "cpu_ratio": 1.5}, {"name": "luv", "failed": "lua5.4 is not installed"}]}
  ],
  "micro": {"programs": [{"name": "moonlet", "yield": 20, "spawn_finish": 150, "coroutine_switch": 5},
    {"name": "lua5.4", "coroutine_switch": 40}, {"name": "slow", "yield": 20000}]},
  "idle": [{"name": "raw C epoll", "kb_per_connection": 0}, {"name": "moonlet", "kb_per_connection": 3}],
  "startup": [{"name": "true (C)", "ms": null}]
}]]

-- Elements of a picture in their order: { tag =, attributes..., text = }. An error unless it is well-formed XML.
local function elements_of(picture)
  local list, open = {}, {}
  local parser = require "lxp".new {
    StartElement = function(_, tag, attributes)
      local element = { tag = tag, text = "" }
      for name, value in pairs(attributes) do
        if type(name) == "string" then element[name] = value end
      end
      list[#list + 1], open[#open + 1] = element, element
    end,
    EndElement = function() open[#open] = nil end,
    CharacterData = function(_, text)
      for _, element in ipairs(open) do element.text = element.text .. text end
    end,
  }
  assert(parser:parse(picture))
  assert(parser:parse())
  parser:close()
  return list
end

-- Panels as drawn: lists of bars { name, width, class, figure, cuts }, each list with its title and unit in `title`.
local function panels_of(picture)
  local panels, panel, name = {}, nil, nil
  for _, element in ipairs(elements_of(picture)) do
    local class = element.class or ""
    if class == "title" then
      panel = { title = element.text }
      panels[#panels + 1] = panel
    elseif class:find "^name" then
      name = element.text
    elseif element.tag == "rect" and name then
      table.insert(panel, { name = name, width = tonumber(element.width), class = class })
      name = nil
    elseif class:find "^figure" then
      panel[#panel].figure = element.text
    elseif class == "cut" then
      panel[#panel].cuts = (panel[#panel].cuts or 0) + 1
    end
  end
  return panels
end

local function panel_named(picture, start)
  for _, panel in ipairs(panels_of(picture)) do
    if panel.title:find(start, 1, true) == 1 then return panel end
  end
  error("no panel is called " .. start, 2)
end

local function draw(text)
  return plot.svg(assert(json.decode(text)))
end

local function chart(list)
  return bars.svg {
    title = "title", subtitle = "", note = "", panels = { { title = "Panel", unit = "s", bars = list } },
  }
end

local function names_of(panel)
  local names = {}
  for i, bar in ipairs(panel) do names[i] = bar.name end
  return table.concat(names, ", ")
end

describe("the plot of the benchmarks", function()
  it("is well-formed, and says when and on what it was measured", function()
    local list = elements_of(draw(results))
    assert.equal("svg", list[1].tag)
    assert.matches("2026%-01%-02, 2 CPUs of a B&W 9000", list[1].text)
    assert.matches("prefers%-color%-scheme: dark", list[1].text)
  end)

  it("has a bar for each figure, as long as it is large, the shortest first", function()
    local memory = panel_named(draw(results), "Memory of a sleeping task")
    assert.equal("moonlet, Go", names_of(memory))
    assert.equal("ours", memory[1].class)
    assert.equal("2.00", memory[1].figure)
    assert.near(2, memory[2].width / memory[1].width, 0.001)
    local time = panel_named(draw(results), "100,000 tasks sleep 0.2 s")
    assert.near(500 / 400, time[2].width / time[1].width, 0.001)
    assert.same({ "0.40", "0.50" }, { time[1].figure, time[2].figure })
  end)

  it("draws what is no runtime as a yardstick, and leaves it out where it has nothing to compare", function()
    local echo = panel_named(draw(results), "Echo, 1,000 connections")
    assert.equal("raw C epoll, moonlet", names_of(echo))
    assert.equal("yardstick", echo[1].class)
    assert.near(1.5, echo[2].width / echo[1].width, 0.001)
    assert.equal("moonlet", names_of(panel_named(draw(results), "An idle connection")))
  end)

  it("lets a coroutine stand in where stock Lua has no task, and ours never", function()
    local switch = panel_named(draw(results), "Switch from task to task")
    assert.equal("moonlet, lua5.4, coroutine, slow", names_of(switch))
    assert.equal("20.0", switch[1].figure)
  end)

  it("cuts bars that would leave nothing to see of the others, and shows it", function()
    local switch = panel_named(draw(results), "Switch from task to task")
    assert.near(2, switch[2].width / switch[1].width, 0.001)
    assert.is_nil(switch[2].cuts)
    assert.equal(2, switch[3].cuts)
    assert.equal("20,000", switch[3].figure)
    assert.near(16, switch[3].width / switch[1].width, 0.001)
  end)

  it("leaves out peers that are missing, and tells their names once", function()
    local picture = draw(results)
    assert.is_nil(picture:find("gevent", 1, true))
    assert.is_nil(picture:find("luv", 1, true))
    assert.same({ "gevent: python3 is not installed", "luv: lua5.4 is not installed" },
      comparison.absent(json.decode(results)))
  end)

  it("leaves out panels without figures; without any there is no plot", function()
    local panels = panels_of(draw(results))
    assert.equal(7, #panels)
    for _, panel in ipairs(panels) do assert.is_nil(panel.title:find("empty program", 1, true)) end
    assert.is_nil(draw "{}")
    assert.is_nil(draw '{"sleepers": [], "echo": [], "idle": [{"name": "moonlet", "failed": "x"}]}')
  end)

  it("draws a figure of 0 as a bar of no length, and what is no number not at all", function()
    local panel = panel_named(draw [[{"idle": [{"name": "a", "kb_per_connection": 0},
      {"name": "b", "kb_per_connection": -1}, {"name": "c", "kb_per_connection": "9"},
      {"name": ["d"], "kb_per_connection": 1}, {"name": "e", "kb_per_connection": 1e999}]}]], "An idle connection")
    assert.equal("a", names_of(panel))
    assert.equal(0, panel[1].width)
  end)

  it("keeps its panels apart: each bar and its figure lie within the picture", function()
    local picture = draw(results)
    local list = elements_of(picture)
    local width, height = tonumber(list[1].width), tonumber(list[1].height)
    for _, element in ipairs(list) do
      local right = (tonumber(element.x) or 0) + (tonumber(element.width) or 0)
      local bottom = (tonumber(element.y) or 0) + (element.tag == "rect" and tonumber(element.height) or 0)
      assert.is_true(right <= width and bottom <= height, element.tag .. " " .. element.text)
    end
  end)

  it("escapes names, whatever bytes they have, and shortens long ones", function()
    local hostile = { "</text><script>", "&lt;\"'", "\0\27[31m", "\xff\xfe bad", "é\xc3", ("x"):rep(1000), "\u{FFFF}" }
    local list = {}
    for i, name in ipairs(hostile) do list[i] = { name = name, value = i, kind = "other" } end
    local panel = panel_named(chart(list), "Panel")
    local names = {}
    for i, bar in ipairs(panel) do names[i] = bar.name end
    assert.same({ "</text><script>", "&lt;\"'", "??[31m", "?? bad", "???", ("x"):rep(17) .. "…", "?" }, names)
  end)

  it("is written by bench/plot.lua from the file of figures", function()
    local figures, picture = os.tmpname(), os.tmpname()
    local file <close> = assert(io.open(figures, "w"))
    file:write(results):flush()
    local command = ("'%s' bench/plot.lua %s %s"):format(os.getenv "MOONLET", figures, picture)
    local output, status = support.shell(command)
    local made <close> = assert(io.open(picture))
    local text = made:read "a"
    os.remove(figures)
    os.remove(picture)
    assert.equal(0, status)
    assert.equal(("plot in %s\n  not in it: gevent: python3 is not installed\n"):format(picture)
      .. "  not in it: luv: lua5.4 is not installed\n", output)
    assert.equal(draw(results), text)
  end)

  it("is refused for a file that is not there or holds something else", function()
    local output, status = support.shell(("'%s' bench/plot.lua /nonexistent"):format(os.getenv "MOONLET"))
    assert.equal(1, status)
    assert.matches("plot.lua: /nonexistent: No such file", output)
    output, status = support.shell(("'%s' bench/plot.lua bench"):format(os.getenv "MOONLET"))
    assert.equal(1, status)
    assert.matches("plot.lua: bench: Is a directory", output)
    output, status = support.shell(("'%s' bench/plot.lua README.md"):format(os.getenv "MOONLET"))
    assert.equal(1, status)
    assert.matches("no JSON at byte 1", output)
  end)
end)

describe("the JSON of the benchmarks", function()
  it("comes back as it was written", function()
    local value = { name = "a \"quoted\" \\u0041 \\ line\n", list = { 1, 2.5, -3e-05, { deep = true } }, no = false }
    assert.same(value, json.decode(json.encode(value)))
    assert.equal("\nabcd \\u0041 é/", json.decode [["\nabcd \\u0041 \u00e9\/"]])
    assert.same({ a = {}, b = 1 }, json.decode ' { "a" : [ ] , "b" : 1 , "c" : null } ')
  end)

  it("is refused where it is damaged", function()
    local damaged = { "", "{", "[1", "[1,]", '{"a"}', '{"a":}', '"open', '"open\\"', "{1:2}", "[] []", "nil", "[1 2]" }
    for _, text in ipairs(damaged) do
      local value, message = json.decode(text)
      assert.is_nil(value, text)
      assert.matches("no JSON at byte %d", message)
    end
  end)
end)
