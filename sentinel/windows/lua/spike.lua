-- A window's count against the mean of the windows of the baseline before, judged on arrival.
-- ARGV 8: factor; 9: baseline; 10: fewest; 11: most hits; 12: how long before the baseline an event still says that
-- the group is not new; then of each hit time, id, acting.
--
-- Of each hit {weight, weights of all hits before, time of the group's first hit, approximate, gone} is kept; `gone`, the
-- time of the newest hit let go, is true of the newest hit alone.
local factor, baseline = tonumber(ARGV[8]), tonumber(ARGV[9])
local fewest, most, known = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])

local function read(raw)
  local hits = {}
  for i = 1, #raw, 2 do
    local id, rest = split(raw[i])
    hits[#hits + 1] = {tonumber(raw[i + 1]), id, cmsgpack.unpack(rest), raw[i]}
  end
  return hits
end

local function put(hit)
  if hit[4] then
    call('ZREM', key, hit[4])
  end
  hit[4] = hit[2] .. '\0' .. cmsgpack.pack(hit[3])
  call('ZADD', key, hit[1], hit[4])
end

-- Return the weights of all hits before a time, those forgotten among them; `all` where none comes later.
local function before(at, all)
  local found = read(call('ZRANGEBYSCORE', key, since(at), '+inf', 'WITHSCORES', 'LIMIT', 0, 1))[1]
  return found and found[3][2] or all
end

-- Add a hit that others stand behind: there are then more hits before each of those.
local function insert(at, id)
  local hit, last = {1, 0, at, 0, false}, nil
  local placed = false
  for _, other in ipairs(read(call('ZRANGEBYSCORE', key, at, '+inf', 'WITHSCORES'))) do
    if other[1] > at or below(id, other[2]) then
      if not placed then
        hit = {1, other[3][2], math.min(at, other[3][3]), other[3][4], other[3][5]}
        placed = true
      end
      other[3][2], other[3][3] = other[3][2] + 1, math.min(at, other[3][3])
      put(other)
    else
      last = other[3]
    end
  end
  if not placed then
    hit = {1, last[2] + last[1], last[3], last[4], last[5]}
  end
  put({at, id, hit})
end

-- Let each second hit of the older half stand for the one before it too.
local function halve_oldest()
  local hits = read(call('ZRANGEBYSCORE', key, 0, '+inf', 'WITHSCORES'))
  local half = floor(floor(#hits / 2) / 2) * 2
  for i = 1, half, 2 do
    local early, late = hits[i], hits[i + 1]
    call('ZREM', key, early[4])
    late[3][1], late[3][2] = late[3][1] + early[3][1], early[3][2]
    put(late)
  end
  local newest = hits[#hits]
  newest[3][4] = 1
  put(newest)
  dropped = dropped + half / 2
end

local function last_hit()
  local found = read(call('ZREVRANGE', key, 0, 0, 'WITHSCORES'))[1]
  return found and found[1] >= 0 and found or nil
end

-- Let go of what is too old and note the newest of it in the newest hit.
local function forget(newest)
  local score = call('ZREVRANGEBYSCORE', key, newest[1] - keep, 0, 'WITHSCORES', 'LIMIT', 0, 1)[2]
  local gone = newest[3][5]
  if score and (not gone or tonumber(score) > gone) then
    newest[3][5] = tonumber(score)
    put(newest)
  end
  refresh(newest[1])
end

-- Say whether the group had a hit before the baseline, not too long before.
local function was_there(upto, gone)
  return gone and upto - known < gone and gone <= upto
    or #call('ZREVRANGEBYSCORE', key, upto, since(upto - known + 1), 'LIMIT', 0, 1) > 0
end

-- Record a hit and return the newest, nothing for one that is known.
local function record(at, id)
  local newest = last_hit()
  if newest and at <= newest[1] then
    if kept(at, id) then
      return nil
    end
    insert(at, id)
    forget(last_hit())
    newest = last_hit()
  else
    local before = newest and newest[3]
    local hit = before and {1, before[2] + before[1], before[3], before[4], before[5]} or {1, 0, at, 0, false}
    local starts = begins(newest and newest[1] or -1, at)
    newest = {at, id, hit}
    put(newest)
    if starts then
      forget(newest)
    end
  end
  if over(most) > 0 then
    halve_oldest()
    newest = last_hit()
  end
  return newest
end

local function judge(index, at, id, acting)
  local newest = record(at, id)
  if not newest then
    return again(index, at, id, at)
  end
  local last, start = newest[3], at - window
  if quiet or last[3] > start - baseline then
    return
  end
  local all = last[2] + last[1]
  local upto = newest[1] > at and before(at + 1, all) or all
  local inside = before(start + 1, all)
  local count = upto - inside
  if count < fewest then
    return
  end
  local earlier = inside - before(start - baseline + 1, all)
  local mean = baseline % window == 0 and earlier / (baseline / window) or earlier * window / baseline
  if count >= factor * mean and was_there(start - baseline, last[5]) then
    open(index, at, id, acting, near(at), {{at, id, {count, earlier}}}, last[4] == 1)
  end
end

if not refused() then
  for i = 13, #ARGV, 3 do
    judge((i - 13) / 3, tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2] == '1')
  end
end
return answered()
