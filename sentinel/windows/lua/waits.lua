-- The waits of one watch by when they are over: what is asked when time passes. Each is looked up in its group then.
-- ARGV 1: `add`: 2: most; then of each when it is over and its name; answers how many found no room.
-- `claim`: 2: watermark; 3: most; 4: microseconds of the lease. A claim is over when it is kept (`done`), put `back`, or
-- after its lease: then whoever asks next has it. Claimed ones stand behind CLAIMED, by when their lease is over.
local call, key, what = redis.call, KEYS[1], ARGV[1]
local CLAIMED = 4503599627370496

if what == 'add' then
  local full = 0
  for i = 3, #ARGV, 2 do
    if call('ZCARD', key) >= tonumber(ARGV[2]) and not call('ZSCORE', key, ARGV[i + 1]) then
      full = full + 1
    else
      call('ZADD', key, ARGV[i], ARGV[i + 1])
    end
  end
  return full
elseif what == 'claim' then
  local time = call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local due = call('ZRANGEBYSCORE', key, 0, tonumber(ARGV[2]) - 1, 'LIMIT', 0, tonumber(ARGV[3]))
  for _, name in ipairs(call('ZRANGEBYSCORE', key, CLAIMED, CLAIMED + now, 'LIMIT', 0, tonumber(ARGV[3]))) do
    due[#due + 1] = name
  end
  for _, name in ipairs(due) do
    call('ZADD', key, CLAIMED + now + tonumber(ARGV[4]), name)
  end
  return due
elseif what == 'done' then
  for i = 2, #ARGV do
    call('ZREM', key, ARGV[i])
  end
end
return 0
