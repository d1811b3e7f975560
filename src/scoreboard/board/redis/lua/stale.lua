-- Compares a period with score rows.
--
-- KEYS: mark, order, rows of the period
-- ARGV: the score rows as JSON, [[account, version, total], ...], numbers below 2^53
-- Gives false when the period is cold, else the accounts that are missing, of an older version, or
-- at the same version of another total, be it in their row or in the order.

local mark, order, rows = KEYS[1], KEYS[2], KEYS[3]
local STEP = 1000 -- arguments a call: Lua's stack holds some 8000

local kept = redis.call('HGET', mark, 'keys')
if not kept or redis.call('EXISTS', order, rows) < tonumber(kept) then
  redis.call('DEL', mark) -- a Redis that made room dropped one of them: what is left is no ranking
  return false
end
local wanted = cjson.decode(ARGV[1])
local answer = {}
for first = 1, #wanted, STEP do
  local last = math.min(first + STEP - 1, #wanted)
  local accounts = {}
  for index = first, last do
    accounts[#accounts + 1] = wanted[index][1]
  end
  local found = redis.call('HMGET', rows, unpack(accounts))
  for index, account in ipairs(accounts) do
    local version, total = wanted[first + index - 1][2], wanted[first + index - 1][3]
    local held, reached, held_total = string.match(found[index] or '', '^(%d+)|(%d+)|(%-?%d+)|')
    held = tonumber(held)
    local is_stale = not held or held < version
    if held == version then
      is_stale = tonumber(held_total) ~= total
      if not is_stale and total > 0 then
        local score = redis.call('ZSCORE', order, reached .. account)
        is_stale = not score or tonumber(score) ~= -total
      end
    end
    if is_stale then
      answer[#answer + 1] = account
    end
  end
end
return answer
