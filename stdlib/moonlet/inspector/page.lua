-- The page: one document, without files from outside.

local page = {}

--- GET /
function page.show()
  return 200, { ["content-type"] = "text/plain; charset=utf-8" }, "an inspector of moonlet\n"
end

return page
