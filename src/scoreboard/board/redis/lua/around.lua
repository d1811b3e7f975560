-- Reads an account's place and its neighbours in one step.
--
-- KEYS: mark, order, rows of the period
-- ARGV: the account, how many places above and below it
-- Gives false when the period is cold, else the number of places above the first one given, then
-- account, row, account, row ... from the highest on; only the 0 when the account is on no place.

local mark, order, rows = KEYS[1], KEYS[2], KEYS[3]
local account, reach = ARGV[1], tonumber(ARGV[2])
local STEP = 1000 -- arguments a call: Lua's stack holds some 8000

local kept = redis.call('HGET', mark, 'keys')
if not kept or redis.call('EXISTS', order, rows) < tonumber(kept) then
  redis.call('DEL', mark) -- a Redis that made room dropped one of them: what is left is no ranking
  return false
end
local own = redis.call('HGET', rows, account)
local reached, total = string.match(own or '', '^%d+|(%d+)|(%-?%d+)|')
if not total or tonumber(total) <= 0 then
  return { 0 }
end
local above = redis.call('ZRANK', order, reached .. account)
if not above then
  -- A row without its place is no ranking: without its mark the period is loaded again.
  redis.call('DEL', mark)
  return false
end
local first_place = math.max(0, above - reach)
local accounts = redis.call('ZRANGE', order, first_place, above + reach)
for index, member in ipairs(accounts) do
  accounts[index] = string.sub(member, 17) -- after the 16 digits of the log row
end
local answer = { first_place }
for first = 1, #accounts, STEP do
  local last = math.min(first + STEP - 1, #accounts)
  local found = redis.call('HMGET', rows, unpack(accounts, first, last))
  for index = first, last do
    local row = found[index - first + 1]
    if not row or not string.match(row, '^%d+|%d+|%-?%d+|') then
      redis.call('DEL', mark)
      return false
    end
    answer[#answer + 1] = accounts[index]
    answer[#answer + 1] = row
  end
end
return answer
