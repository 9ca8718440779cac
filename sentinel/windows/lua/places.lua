-- Where a user logged in: ARGV 1: when, 2: most places, 3: microseconds of a day, 4: milliseconds kept, then places.
-- Of each the first time and the last, to within a day; of too many that last used longest ago goes.
-- Answers of each place the first time known before, -1 of a new one.
local call, key = redis.call, KEYS[1]
local at, most, day = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local function times(text)
  local first, last = string.match(text, '^(%d+) (%d+)$')
  return tonumber(first), tonumber(last)
end

local function put(place, first, last)
  call('HSET', key, place, string.format('%.0f %.0f', first, last))
end

local function room()
  if call('HLEN', key) < most then
    return true
  end
  local all, oldest, when = call('HGETALL', key), nil, nil
  for i = 1, #all, 2 do
    local _, last = times(all[i + 1])
    if not when or last < when then
      oldest, when = all[i], last
    end
  end
  if when < at then
    call('HDEL', key, oldest)
  end
  return when < at
end

local answer = {}
for i = 5, #ARGV do
  local known = call('HGET', key, ARGV[i])
  answer[i - 4] = -1
  if known then
    local first, last = times(known)
    answer[i - 4] = first
    if at < first or at >= last + day then
      put(ARGV[i], math.min(first, at), math.max(last, at))
    end
  elseif room() then
    put(ARGV[i], at, at)
  end
end
call('PEXPIRE', key, ARGV[4])
return answer
