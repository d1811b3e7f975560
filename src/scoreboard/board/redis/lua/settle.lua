-- Moves a mark's cursor on. It never makes a mark: a period without one is cold and stays so.
--
-- KEYS: mark of the period
-- ARGV: the log row up to which nothing is missing
-- Gives 1 when it moved, else 0.

local cursor = tonumber(redis.call('HGET', KEYS[1], 'cursor'))
if cursor and cursor < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'cursor', ARGV[1])
  return 1
end
return 0
