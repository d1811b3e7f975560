-- Reads a part of a period's ranking in one step.
--
-- KEYS: mark, order, rows of the period
-- ARGV: the number of places above the part, the number of places in it
-- Gives false when the period is cold, else account, row, account, row ... from the highest on.

local mark, order, rows = KEYS[1], KEYS[2], KEYS[3]
local offset, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local STEP = 1000 -- arguments a call: Lua's stack holds some 8000

local kept = redis.call('HGET', mark, 'keys')
if not kept or redis.call('EXISTS', order, rows) < tonumber(kept) then
  redis.call('DEL', mark) -- a Redis that made room dropped one of them: what is left is no ranking
  return false
end
local answer = {}
if limit < 1 then
  return answer -- to ZRANGE, -1 would mean the last of all
end
local accounts = redis.call('ZRANGE', order, offset, offset + limit - 1)
for index, member in ipairs(accounts) do
  accounts[index] = string.sub(member, 17) -- after the 16 digits of the log row
end
for first = 1, #accounts, STEP do
  local last = math.min(first + STEP - 1, #accounts)
  local found = redis.call('HMGET', rows, unpack(accounts, first, last))
  for index = first, last do
    local row = found[index - first + 1]
    if not row or not string.match(row, '^%d+|%d+|%-?%d+|') then
      -- A place without a row is no ranking: without its mark the period is loaded again.
      redis.call('DEL', mark)
      return false
    end
    answer[#answer + 1] = accounts[index]
    answer[#answer + 1] = row
  end
end
return answer
