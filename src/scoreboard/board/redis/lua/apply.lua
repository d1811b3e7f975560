-- Takes over totals of one period in one step, each unless a newer one is here, and tells every
-- process when the top is another afterwards.
--
-- KEYS: mark, order, rows of the period
-- ARGV: channel, the board's name, places of the top, the number n of totals, n accounts, their n rows,
--       then the accounts whose rank is wanted
-- Gives false when the period is cold, and nothing was done; else whether the top changed (1 or 0),
-- then the rank of each account that was asked for, false for none.
--
-- A row is 'version|reached|total|username'. Numbers are compared as numbers, which are exact up to
-- 2^53, but what is stored are the texts that came: Lua would print 14 digits of a total.

local mark, order, rows = KEYS[1], KEYS[2], KEYS[3]
local places, count = tonumber(ARGV[3]), tonumber(ARGV[4])
local FIRST = 5 -- the first account in ARGV
local STEP = 1000 -- arguments a call: Lua's stack holds some 8000
local call, match, sub, min = redis.call, string.match, string.sub, math.min

local kept = call('HGET', mark, 'keys')
if not kept or call('EXISTS', order, rows) < tonumber(kept) then
  call('DEL', mark) -- a Redis that made room dropped one of them: what is left is no ranking
  return false
end

-- Rows that contradict the order are no ranking: without its mark the period is loaded again.
local function lost()
  call('DEL', mark)
  return false
end

-- By account: its row, what is in it, and its place in the order, which only a total above 0 has.
local row, version, member, score = {}, {}, {}, {}

local function hold(account, text)
  local number, reached, total = match(text, '^(%d+)|(%d+)|(%-?%d+)|')
  if not number then
    return false
  end
  row[account], version[account] = text, tonumber(number)
  if tonumber(total) > 0 then
    member[account], score[account] = reached .. account, '-' .. total
  else
    member[account], score[account] = nil, nil
  end
  return true
end

local function fetch(first, last)
  for start = first, last, STEP do
    local stop = min(start + STEP - 1, last)
    local found = call('HMGET', rows, unpack(ARGV, start, stop))
    for index = 1, #found do
      if found[index] and not hold(ARGV[start + index - 1], found[index]) then
        return false
      end
    end
  end
  return true
end

local function send(command, key, list)
  local answers = 0
  for start = 1, #list, STEP do
    answers = answers + call(command, key, unpack(list, start, min(start + STEP - 1, #list)))
  end
  return answers
end

local function username(text)
  return match(text, '^%d+|%d+|%-?%d+|(.*)')
end

if not fetch(FIRST, FIRST + count - 1) then
  return lost()
end

-- The accounts that change, in order, with the row and the member that they had (false for none).
local changed, old_row, old_member = {}, {}, {}
for index = FIRST, FIRST + count - 1 do
  local account, given = ARGV[index], ARGV[index + count]
  local held, held_version, held_member = row[account], version[account], member[account]
  local is_taken = true
  if held == given then
    -- Again what is here, unless the order is another: then it is put right.
    is_taken = held_member and call('ZSCORE', order, held_member) ~= score[account]
  elseif held then
    is_taken = tonumber(match(given, '^%d+')) >= held_version
  end
  if is_taken then
    if old_row[account] == nil then
      changed[#changed + 1] = account
      old_row[account], old_member[account] = held or false, held_member or false
    end
    hold(account, given)
  end
end

local top_changed = 0
if #changed > 0 then
  local top_before = call('ZRANGE', order, 0, places - 1, 'WITHSCORES')
  local left, placed, stored, renamed = {}, {}, {}, {}
  for _, account in ipairs(changed) do
    local was, is = old_member[account], member[account]
    if was and was ~= is then
      left[#left + 1] = was
    end
    if was and is and username(old_row[account]) ~= username(row[account]) then
      renamed[is] = true
    end
    if is then
      placed[#placed + 1] = score[account]
      placed[#placed + 1] = is
    end
    stored[#stored + 1] = account
    stored[#stored + 1] = row[account]
  end
  if send('ZREM', order, left) < #left then
    return lost()
  end
  send('ZADD', order, placed)
  send('HSET', rows, stored)
  local keeps = call('EXISTS', order, rows)
  if keeps ~= tonumber(kept) then -- a key that was empty was gone, and its expiry with it
    call('HSET', mark, 'keys', keeps)
    local left = call('PTTL', mark) -- below 0: it does not expire
    if left >= 0 then
      call('PEXPIRE', order, left)
      call('PEXPIRE', rows, left)
    end
  end

  local top_after = call('ZRANGE', order, 0, places - 1, 'WITHSCORES')
  if #top_after ~= #top_before then
    top_changed = 1
  end
  for index = 1, min(#top_after, #top_before), 2 do
    local is, was = top_after[index], top_before[index]
    -- The account counts, after 16 digits, and not the log row: nobody sees that.
    if sub(is, 17) ~= sub(was, 17) or top_after[index + 1] ~= top_before[index + 1]
      or renamed[is] then
      top_changed = 1
    end
  end
  if top_changed == 1 then
    call('PUBLISH', ARGV[1], ARGV[2])
  end
end

local answer = { top_changed }
for index = FIRST + 2 * count, #ARGV do
  local account = ARGV[index]
  if not row[account] and not fetch(index, index) then
    return lost()
  end
  local above = member[account] and call('ZRANK', order, member[account])
  answer[#answer + 1] = above and above + 1 or false
end
return answer
