--- What may neither get lost nor be there twice, counted from the results of the calls alone, whatever the
-- model says: items, permits, locks.

local ledger = {}

local Ledger = {}
Ledger.__index = Ledger

--- @tparam function fail called with a text when the books do not balance
function ledger.new(fail)
  return setmetatable({ fail = fail, last = 0, accepted = {}, got = {}, where = {}, permits = {},
    inside = {} }, Ledger)
end

--- Makes an item that was never there before; smaller ones come first in a priority queue.
function Ledger:new_item()
  self.last = self.last + 1
  return math.random(0, 9) << 40 | self.last
end

--- An item was offered to an object. accepted: the call said that it took it.
function Ledger:offer(item, object, accepted)
  self.where[item] = object
  self.accepted[item] = accepted
end

--- An item came out of an object.
function Ledger:take(item, object)
  if self.got[item] then self.fail(("item %d was got twice"):format(item)) end
  local origin = self.where[item]
  if origin and origin ~= object then self.fail(("item %d came out elsewhere"):format(item)) end
  self.got[item], self.where[item] = true, object
end

--- Permits were made (count > 0) or taken (count < 0).
function Ledger:count_permits(semaphore, count)
  self.permits[semaphore] = (self.permits[semaphore] or 0) + count
end

--- A task enters (or leaves) what a mutex guards.
function Ledger:enter(mutex, actor)
  if self.inside[mutex] then self.fail "two tasks hold one mutex" end
  self.inside[mutex] = actor
end

function Ledger:leave(mutex) self.inside[mutex] = nil end

--- Everything has ended and what was buffered has been taken out.
function Ledger:check_items()
  for item in pairs(self.where) do
    if self.accepted[item] and not self.got[item] then
      self.fail(("item %d was put and is nowhere"):format(item))
    elseif self.got[item] and not self.accepted[item] then
      self.fail(("item %d was got, although put was refused"):format(item))
    end
  end
end

--- free: the permits that the semaphore says it has.
function Ledger:check_permits(semaphore, free)
  local expected = self.permits[semaphore] or 0
  if free ~= expected then
    self.fail(("a semaphore has %d permits free, %d were left"):format(free, expected))
  end
end

return ledger
