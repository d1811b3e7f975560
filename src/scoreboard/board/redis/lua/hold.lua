-- Takes a lock, or keeps one longer that is held already, so that sending it twice is harmless.
--
-- KEYS: the lock
-- ARGV: the holder's token, how long it holds in milliseconds, 1 to take it if it is free
-- Gives 1 when the lock is the holder's now, else 0.

local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] or (not holder and ARGV[3] == '1') then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
