-- Any metrics over one window, all of which must be reached.
-- ARGV 8: gauges, packed; 9: how many slots add up; 10: hits a cell or a group is thinned at; 11: judged on arrival only;
-- 12: fewest hits; then of each hit time, id, acting, values packed.
--
-- Values are {approximate, slot…, sum of the slot over all hits before…, other…}. What adds up (hits that may be merged,
-- sums, means) has slots, integers in two parts of 10^9 each where need be: a window's sum is a difference of two hits'.
-- Without slots {other…} is as it came: texts to tell apart, or for `max` `+` or `-` (does it reach?) and the number.
local BASE = 1000000000
local gauges, slots, most = cmsgpack.unpack(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local on_arrival, fewest = ARGV[11] == '1', tonumber(ARGV[12])
local others = slots > 0 and 1 + 2 * slots or 0

local function values(member)
  local _, rest = split(member)
  return cmsgpack.unpack(rest)
end

local function put(at, id, hit)
  call('ZADD', key, at, id .. '\0' .. cmsgpack.pack(hit))
end

-- Tallies: slots' sums, texts with how many hits carry each, numbers that reach with how many.
local function fresh()
  local sums = {hits = 0}
  for i = 1, slots do
    sums[i] = 0
  end
  for _, gauge in ipairs(gauges) do
    if gauge[1] == 'd' or gauge[1] == 'x' then
      sums['o' .. gauge[2]] = {n = 0}
    end
  end
  return sums
end

-- Count a text once more (sign 1) or less (-1); `counts.n` is how many different texts there are.
local function weigh(counts, value, sign)
  local left = (counts[value] or 0) + sign
  if left == sign and sign > 0 then
    counts.n = counts.n + 1
  elseif left == 0 then
    counts.n, left = counts.n - 1, nil
  end
  counts[value] = left
end

-- Add a hit to tallies (sign 1), or take it out (-1).
local function count(sums, hit, sign)
  sums.hits = sums.hits + sign
  for i = 1, slots do
    sums[i] = sums[i] + sign * hit[1 + i]
  end
  for _, gauge in ipairs(gauges) do
    local value = hit[others + (gauge[2] or 0)]
    if gauge[1] == 'd' and type(value) == 'table' then
      for _, each in ipairs(value) do
        weigh(sums['o' .. gauge[2]], ' ' .. each, sign)
      end
    elseif gauge[1] == 'd' and value or gauge[1] == 'x' and value and string.sub(value, 1, 1) == '+' then
      weigh(sums['o' .. gauge[2]], ' ' .. value, sign)
    end
  end
end

-- Say whether hi * BASE + lo reaches what is wanted, both parts any integers.
local function reaches(hi, lo, wanted_hi, wanted_lo, strict)
  local more, rest = hi - wanted_hi, lo - wanted_lo
  local carry = floor(rest / BASE)
  more, rest = more + carry, rest - carry * BASE
  return more > 0 or more == 0 and (strict and rest > 0 or not strict)
end

local function mean_reaches(gauge, parts, hi, lo)
  if parts == 0 then
    return false
  elseif not gauge[6] then
    return reaches(hi, lo, gauge[3] * parts, gauge[4] * parts, gauge[5])
  end
  local wanted = gauge[6] * parts
  wanted = gauge[5] and floor(wanted) + 1 or math.ceil(wanted)
  local wanted_hi = floor(wanted / BASE)
  return reaches(hi, lo, wanted_hi, wanted - wanted_hi * BASE, false)
end

local function largest(counts)
  local found, number
  for text, _ in pairs(counts) do
    if text ~= 'n' and (not number or tonumber(string.sub(text, 3)) > number) then
      found, number = string.sub(text, 3), tonumber(string.sub(text, 3))
    end
  end
  return found
end

-- Return what a metric's tally tells where it reaches, else false. Gauges: {kind, place, threshold…}; kinds: `c` hits
-- counted alone, `w` a count in a slot, `s` sum, `m` mean, `d` distinct, `x` max.
local function one_reached(gauge, sums)
  local kind, place = gauge[1], gauge[2]
  if kind == 'c' then
    return sums.hits >= gauge[3] and gauge[3]
  elseif kind == 'w' then
    return sums[place] >= gauge[3] and gauge[3]
  elseif kind == 's' then
    return reaches(sums[place], sums[place + 1], gauge[3], gauge[4], false) and {sums[place], sums[place + 1]}
  elseif kind == 'm' then
    local parts, hi, lo = sums[place], sums[place + 1], sums[place + 2]
    return mean_reaches(gauge, parts, hi, lo) and {parts, hi, lo}
  end
  local counts = sums['o' .. place]
  if kind == 'd' then
    return counts.n >= gauge[3] and gauge[3]
  end
  return counts.n > 0 and largest(counts)
end

-- Return the tally where every metric is reached; `adding` asks only those that add up.
local function reached(sums, adding)
  local tally = {}
  for i, gauge in ipairs(gauges) do
    if not adding or gauge[1] == 'w' or gauge[1] == 's' or gauge[1] == 'm' then
      tally[i] = one_reached(gauge, sums)
      if not tally[i] then
        return nil
      end
    end
  end
  return tally
end

-- Return the tallies of the window that ends at a time, from all its hits.
local function window_of(at)
  local sums = fresh()
  for _, member in ipairs(call('ZRANGEBYSCORE', key, since(at - window + 1), at)) do
    count(sums, values(member), 1)
  end
  return sums
end

-- Return the sums of the slots over the window of the newest hit, from two hits alone.
local function slots_of(at, newest)
  local first = values(call('ZRANGEBYSCORE', key, since(at - window + 1), at, 'LIMIT', 0, 1)[1])
  local sums = fresh()
  for i = 1, slots do
    sums[i] = newest[1 + slots + i] + newest[1 + i] - first[1 + slots + i]
  end
  return sums
end

local adding_alone = true
for _, gauge in ipairs(gauges) do
  adding_alone = adding_alone and (gauge[1] == 'w' or gauge[1] == 's' or gauge[1] == 'm')
end

-- Return the tally of the window that ends at a time, where it reaches; `last` are the values of its last hit.
local function tally_of(at, last)
  if slots == 0 then
    return reached(window_of(at))
  end
  local sums = slots_of(at, last)
  if adding_alone then
    return reached(sums)
  end
  return reached(sums, true) and reached(window_of(at))
end

-- Put hits in the place of others: {time, id, values}.
local function rewrite(olds, news)
  for i = 1, #olds, 500 do
    call('ZREM', key, unpack(olds, i, math.min(#olds, i + 499)))
  end
  for _, hit in ipairs(news) do
    put(hit[1], hit[2], hit[3])
  end
end

-- Add another hit's slots to the sums before a hit.
local function raise(hit, by)
  for i = 1, slots do
    hit[1 + slots + i] = hit[1 + slots + i] + by[1 + i]
  end
end

local function read(raw)
  local hits, members = {}, {}
  for i = 1, #raw, 2 do
    local id, rest = split(raw[i])
    hits[#hits + 1], members[#members + 1] = {tonumber(raw[i + 1]), id, cmsgpack.unpack(rest)}, raw[i]
  end
  return hits, members
end

-- Add a hit that others stand behind, whose sums then rise.
local function insert(at, id, hit)
  local hits, members = read(call('ZRANGEBYSCORE', key, at, '+inf', 'WITHSCORES'))
  local olds, news, last = {}, {}, nil
  for i, other in ipairs(hits) do
    if other[1] > at or below(id, other[2]) then
      if not olds[1] then
        for slot = 1, slots do
          hit[1 + slots + slot] = other[3][1 + slots + slot]
        end
        hit[1] = other[3][1]
      end
      raise(other[3], hit)
      olds[#olds + 1], news[#news + 1] = members[i], other
    else
      last = other[3]
    end
  end
  if not olds[1] then
    hit[1] = last[1]
    for slot = 1, slots do
      hit[1 + slots + slot] = last[1 + slots + slot] + last[1 + slot]
    end
  end
  rewrite(olds, news)
  put(at, id, hit)
end

-- Keep the sums small enough to be exact.
local function lower(newest)
  for i = 1, slots do
    if math.abs(newest[1 + slots + i]) > 1000000000000000 then
      local hits, members = read(call('ZRANGEBYSCORE', key, 0, '+inf', 'WITHSCORES'))
      local base = {}
      for slot = 1, slots do
        base[1 + slot] = -hits[1][3][1 + slots + slot]
      end
      for _, hit in ipairs(hits) do
        raise(hit[3], base)
      end
      return rewrite(members, hits)
    end
  end
end

-- Of a cell of one window's length keep the first and last hits that raise a metric up to its threshold.
local function thin_cell(at)
  local cell = floor(at / window) * window
  if call('ZCOUNT', key, cell, cell + window - 1) <= most then
    return
  end
  local members = call('ZRANGEBYSCORE', key, cell, cell + window - 1)
  local hits, keeps = {}, {[1] = true, [#members] = true}
  for i, member in ipairs(members) do
    hits[i] = values(member)
  end
  for _, gauge in ipairs(gauges) do
    for _, way in ipairs({{1, #hits, 1}, {#hits, 1, -1}}) do
      local seen, found = {}, 0
      for i = way[1], way[2], way[3] do
        local value = gauge[1] == 'c' and i or hits[i][others + (gauge[2] or 0)]
        if gauge[1] == 'x' then
          value = value and string.sub(value, 1, 1) == '+'
        end
        if value and not seen[value] then
          seen[value], keeps[i], found = true, true, found + 1
          if found >= (gauge[1] == 'x' and 1 or gauge[3]) then
            break
          end
        end
      end
    end
  end
  for i, member in ipairs(members) do
    if not keeps[i] then
      call('ZREM', key, member)
    end
  end
end

-- Return what two hits' values are together: the larger number, or the different texts up to the threshold.
local function either(one, other, gauge)
  if gauge[1] == 'x' then
    if not one or not other then
      return one or other
    end
    return tonumber(string.sub(one, 2)) > tonumber(string.sub(other, 2)) and one or other
  end
  local seen, both = {}, {}
  for _, value in ipairs({one, other}) do
    for _, each in ipairs(type(value) == 'table' and value or {value or nil}) do
      if not seen[each] then
        seen[each], both[#both + 1] = true, each
      end
    end
  end
  table.sort(both, below)
  for i = #both, gauge[3] + 1, -1 do
    both[i] = nil
  end
  return both
end

-- Let each two neighbours of the older half be one, standing at the later's time.
local function merge_oldest()
  local hits, members = read(call('ZRANGEBYSCORE', key, 0, '+inf', 'WITHSCORES'))
  local half = floor(floor(#hits / 2) / 2) * 2
  local olds, news = {}, {}
  for i = 1, half, 2 do
    local early, late = hits[i][3], hits[i + 1][3]
    for slot = 1, slots do
      late[1 + slot] = late[1 + slot] + early[1 + slot]
      late[1 + slots + slot] = early[1 + slots + slot]
    end
    for _, gauge in ipairs(gauges) do
      if gauge[1] == 'd' or gauge[1] == 'x' then
        late[others + gauge[2]] = either(early[others + gauge[2]] or false, late[others + gauge[2]] or false, gauge)
      end
    end
    late[1] = 1
    news[#news + 1], olds[#olds + 1], olds[#olds + 2] = hits[i + 1], members[i], members[i + 1]
  end
  local newest = hits[#hits]
  newest[3][1] = 1
  news[#news + 1], olds[#olds + 1] = newest, members[#members]
  rewrite(olds, news)
  dropped = dropped + half / 2
end

local function thin(at, hit)
  if slots == 0 then
    thin_cell(at)
  else
    if over(most) > 0 then
      merge_oldest()
    end
    lower(hit)
  end
end

-- Where sums are at hand, each window is told from two hits.
local function crossings_by_sums(at)
  local hits = read(call('ZRANGEBYSCORE', key, at, at + window - 1, 'WITHSCORES'))
  local found, i = {}, 1
  while i <= #hits do
    local time, behind = hits[i][1], i
    while behind <= #hits and hits[behind][1] == time do
      behind = behind + 1
    end
    local tally = tally_of(time, hits[behind - 1][3])
    for j = i, tally and behind - 1 or 0 do
      found[#found + 1] = {time, hits[j][2], tally}
    end
    i = behind
  end
  return found
end

local function crossings(at)
  local hits = read(call('ZRANGEBYSCORE', key, since(at - window + 1), at + window - 1, 'WITHSCORES'))
  local found, sums, low, i = {}, fresh(), 1, 1
  while i <= #hits do
    local time, behind = hits[i][1], i
    while behind <= #hits and hits[behind][1] == time do
      count(sums, hits[behind][3], 1)
      behind = behind + 1
    end
    while hits[low][1] <= time - window do
      count(sums, hits[low][3], -1)
      low = low + 1
    end
    local tally = time >= at and reached(sums)
    for j = i, tally and behind - 1 or 0 do
      found[#found + 1] = {time, hits[j][2], tally}
    end
    i = behind
  end
  return found
end

local function late(index, at, id, acting, hit, newest)
  local known = near(at, newest)
  if opened(known, at, id) then
    return again(index, at, id, on_arrival and at or at + window - 1, true)
  end
  if slots > 0 then
    insert(at, id, hit)
  else
    put(at, id, hit)
  end
  call('PEXPIRE', key, ttl)
  if not quiet and not held_from(known, at, newest, acting) then
    local found
    if on_arrival then
      local last = slots > 0 and values(call('ZREVRANGEBYSCORE', key, at, 0, 'LIMIT', 0, 1)[1])
      local tally = tally_of(at, last)
      found = tally and {{at, id, tally}} or {}
    else
      found = slots > 0 and crossings_by_sums(at) or crossings(at)
    end
    open(index, at, id, acting, known, found, slots > 0 and hit[1] == 1, true)
  end
  thin(at, hit)
end

local function judge(index, at, id, acting, packed)
  local last = call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  local newest = tonumber(last[2] or -1)
  if at <= newest then
    if kept(at, id) then
      return again(index, at, id, on_arrival and at or at + window - 1, true)
    end
    return late(index, at, id, acting, cmsgpack.unpack(packed), newest)
  end
  local hit
  if slots > 0 then
    hit = cmsgpack.unpack(packed)
    if newest >= 0 then
      local before = values(last[1])
      hit[1] = before[1]
      for i = 1, slots do
        hit[1 + slots + i] = before[1 + slots + i] + before[1 + i]
      end
    end
    put(at, id, hit)
  else
    call('ZADD', key, at, id .. '\0' .. packed)
  end
  if begins(newest, at) then
    refresh(at)
  end
  local size = slots > 0 and 0 or call('ZCOUNT', key, since(at - window + 1), at)
  if not quiet and (slots > 0 or size >= fewest) then
    local known = near(at)
    if not held_from(known, at, at, acting) then
      local tally = tally_of(at, hit)
      if tally then
        open(index, at, id, acting, known, {{at, id, tally}}, slots > 0 and hit[1] == 1, true)
      end
    end
  end
  if slots > 0 or size > most then
    thin(at, hit)
  end
end

if not refused() then
  for i = 13, #ARGV, 4 do
    judge((i - 13) / 4, tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2] == '1', ARGV[i + 3])
  end
end
return answered()
