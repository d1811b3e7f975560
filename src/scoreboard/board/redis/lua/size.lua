-- Counts the places of a period.
--
-- KEYS: mark, order, rows of the period
-- Gives false when the period is cold, else the number.

local mark, order, rows = KEYS[1], KEYS[2], KEYS[3]

local kept = redis.call('HGET', mark, 'keys')
if not kept or redis.call('EXISTS', order, rows) < tonumber(kept) then
  redis.call('DEL', mark) -- a Redis that made room dropped one of them: what is left is no ranking
  return false
end
return redis.call('ZCARD', order)
