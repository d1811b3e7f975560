-- Puts a period that was loaded in the place of what is there, marks it, and tells every process.
--
-- KEYS: lock, mark, order, rows of the period, and the order and rows that were loaded
-- ARGV: the holder's token, the mark's cursor, rebuild and generation, the milliseconds for which the
--       keys are kept (0: for ever), channel, the board's name
-- Gives 1, or 0 and nothing done when the lock is another's by now. The mark keeps the token, so that
-- a swap that is sent again, its answer having been lost, gives 1 again.

local lock, mark = KEYS[1], KEYS[2]
local lifetime = ARGV[5]

if redis.call('GET', lock) ~= ARGV[1] then
  return redis.call('HGET', mark, 'token') == ARGV[1] and 1 or 0
end

local function keep(key)
  if lifetime == '0' then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIRE', key, lifetime)
  end
end

-- A RENAME over a key frees a million old rows while everyone waits; UNLINK leaves that to a thread.
redis.call('UNLINK', mark, KEYS[3], KEYS[4])
for index = 3, 4 do
  local loaded = KEYS[index + 2] -- missing when there was nothing to load
  if redis.call('EXISTS', loaded) == 1 then
    redis.call('RENAME', loaded, KEYS[index])
    keep(KEYS[index])
  end
end
redis.call(
  'HSET', mark, 'cursor', ARGV[2], 'rebuild', ARGV[3], 'generation', ARGV[4], 'token', ARGV[1],
  'keys', redis.call('EXISTS', KEYS[3], KEYS[4]) -- how many there have to be, or it is no ranking
)
keep(mark)
redis.call('DEL', lock)
redis.call('PUBLISH', ARGV[6], ARGV[7])
return 1
