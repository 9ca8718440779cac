-- A value that is new to its group, judged on arrival against hits of earlier time.
-- ARGV 8: hits there must have been; 9: hits kept; 10: values kept; 11: times kept of each; then of each hit time, id,
-- acting, its value (`-` for none, else behind a `+`).
--
-- `window` is the history. The header is a list of {value, time…}, that touched last at the end.
local after, recent, most, times = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])

local function known_values()
  local raw = call('ZRANGEBYSCORE', key, HEADER, HEADER)[1]
  return raw and cmsgpack.unpack(raw) or {}, raw
end

-- Take a value's entry out of the header's list, or make one.
local function taken(known, value)
  for i, one in ipairs(known) do
    if one[1] == value then
      return table.remove(known, i)
    end
  end
  return {value}
end

local function is_new(one, at)
  for i = 2, #one do
    if one[i] < at and one[i] > at - window then
      return false
    end
  end
  return true
end

-- Add a time to a value's entry and put it at the end; of too many values the one last seen longest ago goes.
local function learn(known, one, at)
  local place = #one + 1
  while place > 2 and one[place - 1] > at do
    place = place - 1
  end
  table.insert(one, place, at)
  if #one - 1 > times then
    table.remove(one, 3)
  end
  known[#known + 1] = one
  if #known > most then
    local oldest = 1
    for i, other in ipairs(known) do
      if other[#other] < known[oldest][#known[oldest]] then
        oldest = i
      end
    end
    table.remove(known, oldest)
    dropped = dropped + 1
  end
end

local function judge(index, at, id, acting, value)
  if not add(at, id) then
    return again(index, at, id, at)
  end
  local earlier = at > 0 and call('ZCOUNT', key, since(at - window + 1), at - 1) or 0
  local new = false
  if value ~= '-' then
    local known, raw = known_values()
    local one = taken(known, string.sub(value, 2))
    new = earlier >= after and is_new(one, at)
    learn(known, one, at)
    if raw then
      call('ZREM', key, raw)
    end
    call('ZADD', key, HEADER, cmsgpack.pack(known))
  end
  drop_oldest(over(recent))
  call('PEXPIRE', key, ttl)
  if new and not quiet then
    open(index, at, id, acting, near(at), {{at, id, earlier}})
  end
end

if not refused() then
  for i = 12, #ARGV, 4 do
    judge((i - 12) / 4, tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2] == '1', ARGV[i + 3])
  end
end
return answered()
