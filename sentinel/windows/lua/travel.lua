-- Two places too far apart for the time between, judged on arrival. Great-circle distance by the haversine formula.
-- ARGV 8: km/h; 9: most hits; 10: km of the earth's radius; 11: km that are near; 12: microseconds of an hour; then of each
-- hit time, id, acting, {latitude, longitude, radius of uncertainty in km} packed.
local speed, most, radius, near_km, hour = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])

local function distance(one, other)
  local lat, lon, lat2, lon2 = math.rad(one[1]), math.rad(one[2]), math.rad(other[1]), math.rad(other[2])
  local half = math.sin((lat2 - lat) / 2) ^ 2 + math.cos(lat) * math.cos(lat2) * math.sin((lon2 - lon) / 2) ^ 2
  return 2 * radius * math.asin(math.min(1, math.sqrt(half)))
end

local function place(raw)
  local _, rest = split(raw[1])
  return {tonumber(raw[2]), cmsgpack.unpack(rest)}
end

-- Return the hits right before and right behind a place in (time, id) order.
local function neighbours(at, id)
  local found, before, behind = {}, nil, nil
  for _, member in ipairs(call('ZRANGEBYSCORE', key, at, at)) do
    local other = split(member)
    if other ~= id and below(other, id) then
      before = {member, at}
    elseif other ~= id and not behind then
      behind = {member, at}
    end
  end
  before = before or at > 0 and call('ZREVRANGEBYSCORE', key, at - 1, 0, 'WITHSCORES', 'LIMIT', 0, 1) or {}
  behind = behind or call('ZRANGEBYSCORE', key, at + 1, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  found[1] = before[1] and place(before)
  found[2] = behind[1] and place(behind)
  return found
end

-- Return {km/h, km, microseconds} of a journey that cannot have been.
local function journey(at, here, other)
  local km = distance(here, other[2])
  if km < near_km or km <= here[3] + other[2][3] then
    return nil
  end
  local elapsed = math.abs(at - other[1])
  local fast = elapsed > 0 and km / (elapsed / hour) or math.huge
  return fast > speed and {fast, km, elapsed} or nil
end

local function judge(index, at, id, acting, packed)
  local last = call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  local newest = tonumber(last[2] or -1)
  if at <= newest and kept(at, id) then
    return again(index, at, id, at)
  end
  local here, worst, others = cmsgpack.unpack(packed), nil, {}
  if not quiet and newest >= 0 then
    others = at > newest and {place(last)} or neighbours(at, id)
  end
  for i = 1, 2 do
    local found = others[i] and journey(at, here, others[i])
    if found and (not worst or found[1] > worst[1] or found[1] == worst[1] and found[2] > worst[2]) then
      worst = found
    end
  end
  call('ZADD', key, at, id .. '\0' .. packed)
  if at <= newest or begins(newest, at) then
    refresh(math.max(at, newest))
  end
  drop_oldest(over(most))
  if worst then
    local tally = {string.format('%.17g', worst[2]), string.format('%.0f', worst[3])}
    open(index, at, id, acting, near(at), {{at, id, tally}})
  end
end

if not refused() then
  for i = 13, #ARGV, 4 do
    judge((i - 13) / 4, tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2] == '1', ARGV[i + 3])
  end
end
return answered()
