-- Counts calls against sliding windows: a call is let in when fewer than its limit were let in during
-- the window before it. Each key is the list of the times of one caller's calls, newest first.
--
-- KEYS: the callers, one for each call, in the order of the calls; one may be there several times
-- ARGV: for each call its limit and its window in milliseconds
-- Gives for each call: whether it is let in (1 or 0), how many are in the window then, and the
-- milliseconds until the oldest of them leaves it.
--
-- The clock is that of Redis, the same for all processes. Times are below 2^53: exact.

local call = redis.call
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local answer = {}

for index, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[2 * index - 1]), tonumber(ARGV[2 * index])
  local oldest = call('LINDEX', key, -1)
  while oldest and tonumber(oldest) <= now - window do
    call('RPOP', key)
    oldest = call('LINDEX', key, -1)
  end
  local count, is_in = oldest and call('LLEN', key) or 0, 0
  if count < limit then
    -- A clock that was set back must not put a newer call behind an older one.
    local newest = oldest and tonumber(call('LINDEX', key, 0)) or now
    count, is_in = call('LPUSH', key, string.format('%.0f', math.max(now, newest))), 1
    call('PEXPIRE', key, window)
  end
  answer[#answer + 1] = is_in
  answer[#answer + 1] = count
  answer[#answer + 1] = (tonumber(oldest) or now) + window - now
end
return answer
