--- Code as HTML, with its comments, strings, numbers and keywords marked. Modest on purpose: no grammar.

local KEYWORDS = {
  lua = [[and break do else elseif end false for function goto if in local nil not or repeat return then true until
    while]],
  c = [[bool break case char const continue default do double else enum extern float for if int long return short
    signed size_t sizeof static struct switch typedef union unsigned void while NULL true false]],
}

-- What begins a token, tried in this order: class in the style sheet, pattern. The last resort takes one byte.
local TOKENS = {
  lua = {
    { "c", "^%-%-%[(=*)%[.-%]%1%]" }, { "c", "^%-%-[^\n]*" }, { "s", "^%[(=*)%[.-%]%1%]" },
  },
  c = { { "c", "^/%*.-%*/" }, { "c", "^//[^\n]*" }, { "k", "^#%s*%l+" } },
}
local COMMON = {
  { "s", '^"[^"\\\n]*"' }, { "s", '^"\\?[^\n]-[^\\]"' }, { "s", "^'[^'\\\n]*'" }, { "n", "^0[xX]%x+" },
  { "n", "^%d[%d.]*" }, { "word", "^[%a_][%w_]*" }, { false, "^[^%w_\"'%-%[/#]+" }, { false, "^." },
}

local highlight = {}

--- Text as HTML.
function highlight.escape(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

local function words(list)
  local set = {}
  for word in list:gmatch "%S+" do set[word] = true end
  return set
end

local function next_token(code, place, tokens)
  for _, list in ipairs { tokens, COMMON } do
    for _, token in ipairs(list) do
      local _, last = code:find(token[2], place)
      if last then return token[1], last end
    end
  end
  return false, place -- a line break alone
end

--- Marks up code.
-- @tparam string code
-- @tparam string language "lua", "c"; others are only escaped
-- @treturn string HTML
function highlight.mark(code, language)
  if not KEYWORDS[language] then return highlight.escape(code) end
  local keywords, parts, place = words(KEYWORDS[language]), {}, 1
  while place <= #code do
    local class, last = next_token(code, place, TOKENS[language])
    local text = code:sub(place, last)
    if class == "word" then class = keywords[text] and "k" end
    table.insert(parts, class and ('<span class="%s">%s</span>'):format(class, highlight.escape(text)) or
      highlight.escape(text))
    place = last + 1
  end
  return table.concat(parts)
end

return highlight
