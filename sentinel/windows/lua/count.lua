-- A `count` alone: of each cell of one window's length the first n and the last n hits are kept at least.
-- ARGV 8: n; then of each hit time, id, acting.
local n = tonumber(ARGV[8])

local function thin(at)
  local cell = floor(at / window) * window
  local size = call('ZCOUNT', key, cell, cell + window - 1)
  if size > 4 * n then
    local first = call('ZCOUNT', key, '-inf', cell - 1)
    call('ZREMRANGEBYRANK', key, first + n, first + size - n - 1)
  end
end

-- Return the crossings {time, id, n} in [at, at + window), ascending.
local function crossings(at)
  local raw = call('ZRANGEBYSCORE', key, since(at - window + 1), at + window - 1, 'WITHSCORES')
  local found, low, i = {}, 1, 1
  while i <= #raw do
    local time, behind = tonumber(raw[i + 1]), i
    while behind <= #raw and tonumber(raw[behind + 1]) == time do
      behind = behind + 2
    end
    while tonumber(raw[low + 1]) <= time - window do
      low = low + 2
    end
    if time >= at and (behind - low) / 2 >= n then
      for j = i, behind - 2, 2 do
        found[#found + 1] = {time, (split(raw[j])), n}
      end
    end
    i = behind
  end
  return found
end

-- Judge a hit, already kept, that is not the newest by itself.
local function late(index, at, id, acting, newest)
  refresh(newest)
  if not quiet then
    local known = near(at, at + window)
    if opened(known, at, id) then
      again(index, at, id, at + window - 1, true)
    elseif not held_from(known, at, newest, acting) then
      open(index, at, id, acting, known, crossings(at), false, true)
    end
  end
  thin(at)
end

local function judge(index, at, id, acting)
  local member = add(at, id)
  if not member then
    return again(index, at, id, at + window - 1, true)
  end
  local last = call('ZREVRANGE', key, 0, 1, 'WITHSCORES')
  local before = tonumber(last[4] or -1)
  if last[1] ~= member or before == at then
    return late(index, at, id, acting, tonumber(last[2]))
  end
  if begins(before, at) then
    refresh(at)
  end
  local count = call('ZCOUNT', key, since(at - window + 1), at)
  if count > 4 * n then
    thin(at)
  end
  if count >= n and not quiet then
    open(index, at, id, acting, near(at), {{at, id, n}}, false, true)
  end
end

if not refused() then
  for i = 9, #ARGV, 3 do
    judge((i - 9) / 3, tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2] == '1')
  end
end
return answered()
