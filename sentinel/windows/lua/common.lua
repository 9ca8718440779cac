-- What every kind of state shares: one sorted set a group, its findings, and the answer.
--
-- Scores are integer microseconds; a double holds them exactly up to 2^53 (the year 2255). Zones of the set:
--   HEADER            what a kind keeps beside its hits, packed
--   -1 - anchor       findings: id, a zero byte, 1, then {acting, approximate, opener's time and id, tally, payload, gone}
--   time              hits: id, then a zero byte and what the kind packs
--   ENDS + time       what ends waits
-- Numbers are never joined to text: `..` would round them to 14 digits.
local call, floor = redis.call, math.floor
local key = KEYS[1]
local window, cooldown, keep, horizon, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local quiet, room = ARGV[6] == '1', ARGV[7]
local HEADER, ENDS, BEAT, EVENTS = -9000000000000000, 4503599627370496, math.max(1, math.min(60000000, keep)), 32
local answer, dropped = nil, 0

-- Return what stands before a member's first zero byte, its id, and what stands behind it.
local function split(member)
  local cut = string.find(member, '\0', 1, true)
  if cut then
    return string.sub(member, 1, cut - 1), string.sub(member, cut + 1)
  end
  return member, ''
end

-- Say whether a text stands before another, byte by byte: `<` would go by the server's locale.
local function below(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then
      return a < b
    end
  end
  return #one < #other
end

local function since(at)
  return at > 0 and at or 0
end

-- Let go of hits too far behind the newest, and give the key its time anew.
local function refresh(newest)
  call('ZREMRANGEBYSCORE', key, 0, newest - keep)
  call('PEXPIRE', key, ttl)
end

-- Say whether a hit is the first in its stretch of time: then old ones go, and the key is given time anew.
local function begins(before, at)
  return before < 0 or floor(before / BEAT) ~= floor(at / BEAT)
end

-- Return how many hits there are over the most; asks first what costs nothing.
local function over(most)
  return call('ZCARD', key) > most and call('ZCOUNT', key, 0, '+inf') - most or 0
end

local function drop_oldest(count)
  if count > 0 then
    local first = call('ZCOUNT', key, '-inf', -1)
    call('ZREMRANGEBYRANK', key, first, first + count - 1)
  end
end

-- Return the findings anchored from low to high, oldest first; those taken back only if asked for.
local function anchored(low, high, gone)
  local raw = call('ZREVRANGEBYSCORE', key, -1 - since(low), -1 - high, 'WITHSCORES')
  local found = {}
  for i = 1, #raw, 2 do
    local id, rest = split(raw[i])
    local one = cmsgpack.unpack(string.sub(rest, 2))
    if gone or not one[7] then
      found[#found + 1] = {at = -1 - tonumber(raw[i + 1]), id = id, acting = one[1], approximate = one[2],
        by_at = one[3], by = one[4], tally = one[5], payload = one[6], gone = one[7], member = raw[i]}
    end
  end
  return found
end

-- Return the findings that could hold back one anchored from a time to the last.
local function near(at, last)
  return anchored(at - cooldown, (last or at) + cooldown)
end

-- Keep a finding, in place of what was kept of it.
local function note(one)
  if one.member then
    call('ZREM', key, one.member)
  end
  one.member = one.id .. '\0\1' .. cmsgpack.pack({one.acting, one.approximate, one.by_at, one.by, one.tally, one.payload or '', one.gone or false})
  call('ZADD', key, -1 - one.at, one.member)
end

-- Say whether findings hold back one anchored at a time: those that act, and all of them where it would not act.
local function held(known, at, id, acting)
  for _, one in ipairs(known) do
    local close = math.abs(one.at - at) < cooldown or (one.at == at and one.id == id)
    if close and (one.acting or not acting) then
      return true
    end
  end
  return false
end

-- Say whether findings hold back every crossing from a time to the last.
local function held_from(known, at, last, acting)
  local upto = at
  for _, one in ipairs(known) do
    if (one.acting or not acting) and one.at - cooldown < upto and upto < one.at + cooldown then
      upto = one.at + cooldown
    end
  end
  return upto > last
end

-- Say whether a hit opened one of these findings: it came before, though it may be let go.
local function opened(known, at, id)
  for _, one in ipairs(known) do
    if one.by_at == at and one.by == id then
      return true
    end
  end
  return false
end

-- Return ids of the newest hits of the window that ends at a time, oldest first.
local function events(at)
  local ids = {}
  local raw = call('ZREVRANGEBYSCORE', key, at, since(at - window + 1), 'LIMIT', 0, EVENTS)
  for i = #raw, 1, -1 do
    ids[#ids + 1] = split(raw[i])
  end
  return ids
end

-- Add to the answer: which hit, the finding's anchor and id, approximate, taken back, its tally, ids of its events.
local function tell(index, one, ids)
  answer = answer or {}
  answer[#answer + 1] = {index, one.at, one.id, one.approximate and 1 or 0, one.gone and 1 or 0, one.tally, ids or {}}
end

-- Open a finding at each crossing {at, id, tally}, ascending, that no other holds back.
local function open(index, at, id, acting, known, crossings, approximate, shown)
  for _, crossing in ipairs(crossings) do
    if not held(known, crossing[1], crossing[2], acting) then
      for _, gone in ipairs(anchored(crossing[1], crossing[1], true)) do
        if gone.id == crossing[2] then
          call('ZREM', key, gone.member)
        end
      end
      local one = {at = crossing[1], id = crossing[2], acting = acting, approximate = approximate or false,
        by_at = at, by = id, tally = crossing[3]}
      note(one)
      known[#known + 1] = one
      if one.at > horizon then
        call('ZREMRANGEBYSCORE', key, -1 - (one.at - horizon), -1)
      end
      tell(index, one, shown and events(one.at))
    end
  end
  call('PEXPIRE', key, ttl)
end

-- Tell again what this very hit opened or took back.
local function again(index, at, id, upto, shown)
  if not quiet then
    for _, one in ipairs(anchored(at, upto, true)) do
      if one.by_at == at and one.by == id then
        tell(index, one, shown and events(one.at))
      end
    end
  end
end

-- Return this very hit's member where it is kept.
local function kept(at, id)
  for _, member in ipairs(call('ZRANGEBYSCORE', key, at, at)) do
    if split(member) == id then
      return member
    end
  end
end

-- Add a hit without values and say whether it is new: its id is its member, unless it names another time too.
local function add(at, id)
  if call('ZADD', key, 'NX', at, id) == 1 then
    return id
  end
  if tonumber(call('ZSCORE', key, id)) == at then
    return nil
  end
  local member = id .. '\0' .. string.format('%.0f', at)
  return call('ZADD', key, 'NX', at, member) == 1 and member or nil
end

-- Say whether hits are refused: where room is scarce, a group not there yet is told of (`made`) or refused (`full`).
local function refused()
  if room == '' or call('EXISTS', key) == 1 then
    return false
  end
  answer = {room}
  return room == 'full'
end

local function answered()
  if answer and dropped > 0 then
    answer[#answer + 1] = dropped
  elseif dropped > 0 then
    return {dropped}
  end
  return answer or false
end
