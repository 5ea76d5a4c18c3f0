--- A directory of its own for each test of a block, which is removed after it, whatever the test made of it.
--
--     dofile "tests/spec/fs/place.lua"(before_each, after_each, function(path) place = path end)
local fs = require "moonlet.fs"

return function(before_each, after_each, begin)
  local place

  before_each(function()
    place = os.tmpname()
    os.remove(place)
    assert(fs.mkdir(place))
    begin(place)
  end)

  after_each(function() os.execute("chmod -R u+rwx " .. place .. "; rm -rf " .. place) end)
end
