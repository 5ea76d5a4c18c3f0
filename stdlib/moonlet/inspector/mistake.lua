-- Errors for the person at the command line: they are reported by their text alone, since a traceback
-- would show calls of moonlet's own.

local error, setmetatable = error, setmetatable

local Mistake = {}

function Mistake:__tostring() return self.text end

--- Raises an error that is reported without a traceback.
return function(text) error(setmetatable({ text = text }, Mistake)) end
