-- Counts the places of a period.
--
-- KEYS: mark, order, rows of the period
-- Gives false when the period is cold, else the number.

if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
return redis.call('ZCARD', KEYS[2])
