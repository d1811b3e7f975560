-- Clears away what a load leaves that was not finished.
--
-- KEYS: lock, and the order and rows that were loaded
-- ARGV: the holder's token
-- Gives 1 when the lock was the holder's, else 0.

redis.call('UNLINK', KEYS[2], KEYS[3])
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
