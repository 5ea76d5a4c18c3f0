--- Keys are the same whenever a workflow is called again.

local keys = require "moonlet.durable.keys"

describe("keys", function()
  it("count the names of a branch", function()
    local main = keys.new()
    assert.equal("charge", main:next "charge")
    assert.equal("mail", main:next "mail")
    assert.equal("charge#2", main:next "charge")
    assert.equal("charge#3", main:next "charge")
  end)

  it("have the path of the branch before them", function()
    local path = keys.branch("items", 3)
    local branch = keys.new(path)
    assert.equal("items[3]/charge", branch:next "charge")
    assert.equal("items[3]/", keys.path_of "items[3]/charge#2")
    assert.equal("", keys.path_of "charge")
    assert.is_true(keys.is_below("items[3]/x[1]/y", path))
    assert.is_false(keys.is_below("items[31]/y", path))
  end)

  it("of other names are others, whatever signs these hold", function()
    local main = keys.new()
    local seen = {}
    for _, name in ipairs { "a", "a", "a#2", "a/b", "a[1]/b", "a%232", "a\n", "a%0A" } do
      local key = main:next(name)
      assert.is_nil(seen[key])
      seen[key] = true
      assert.equal("", keys.path_of(key))
    end
  end)
end)
