-- A flame graph. Internal.
local svg = {}
return svg
