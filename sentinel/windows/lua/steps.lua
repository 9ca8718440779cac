-- A sequence: its steps filled greedily, one after the other, from every hit that can start it.
-- ARGV 8: steps {count, distinct}, packed; 9: most hits; then of each hit time, id, acting, values packed:
-- {a text with 1 for each step it matches, whether it matches `until`, a value or false for each step}.
--
-- The header is {approximate, partials}; a partial is {step, hits counted, time of its start, values in order…}.
local steps, most = cmsgpack.unpack(ARGV[8]), tonumber(ARGV[9])

local function name(partial)
  if not partial[4] then
    return partial[1] * 65536 + partial[2]
  end
  local parts = {partial[1], partial[2]}
  for i = 4, #partial do
    parts[i - 1] = #partial[i] .. ':' .. partial[i]
  end
  return table.concat(parts, ' ')
end

local function with(seen, value)
  local place = 1
  while seen[place] and below(seen[place], value) do
    place = place + 1
  end
  if seen[place] ~= value then
    table.insert(seen, place, value)
  end
  return seen
end

local function fill(partial, value)
  local step = steps[partial[1] + 1]
  local filled, seen = math.min(partial[2] + 1, step[1]), {unpack(partial, 4)}
  if step[2] > 0 and value and #seen < step[2] then
    seen = with(seen, value)
  end
  if filled >= step[1] and #seen >= step[2] then
    return {partial[1] + 1, 0, partial[3]}
  end
  return {partial[1], filled, partial[3], unpack(seen)}
end

-- Return the partials after one more hit, and whether it completes a sequence.
local function advance(partials, at, hit)
  local after, places, complete = {}, {}, false
  local first = hit[2] and #partials + 1 or 1
  for i = first, #partials + 1 do
    local partial = partials[i] or {0, 0, at}
    if partial[3] > at - window then
      local moved = partial
      if string.byte(hit[1], partial[1] + 1) == 49 then
        moved = fill(partial, hit[2 + partial[1] + 1])
      end
      if moved[1] == #steps then
        complete = true
      elseif moved[1] > 0 or moved[2] > 0 then
        local called = name(moved)
        local place = places[called]
        if not place then
          after[#after + 1] = moved
          places[called] = #after
        elseif moved[3] > after[place][3] then
          after[place] = moved
        end
      end
    end
  end
  return after, complete
end

local function header()
  local raw = call('ZRANGEBYSCORE', key, HEADER, HEADER)[1]
  if raw then
    local read = cmsgpack.unpack(raw)
    return read[1], read[2], raw
  end
  return false, {}, nil
end

local function write(approximate, partials, raw)
  local packed = (approximate or #partials > 0) and cmsgpack.pack({approximate, partials}) or nil
  if packed ~= raw then
    if raw then
      call('ZREM', key, raw)
    end
    if packed then
      call('ZADD', key, HEADER, packed)
    end
  end
end

-- Return the crossings in [at, at + window), ascending, and the partials at the end.
local function crossings(at)
  local raw = call('ZRANGEBYSCORE', key, since(at - window + 1), '+inf', 'WITHSCORES')
  local found, partials, complete = {}, {}, false
  for i = 1, #raw, 2 do
    local id, rest = split(raw[i])
    local time = tonumber(raw[i + 1])
    partials, complete = advance(partials, time, cmsgpack.unpack(rest))
    if complete and at <= time and time < at + window then
      found[#found + 1] = {time, id, {}}
    end
  end
  return found, partials
end

local function retract(index, at, id, before, found)
  for _, crossing in ipairs(before) do
    local still = false
    for _, other in ipairs(found) do
      still = still or other[1] == crossing[1] and other[2] == crossing[2]
    end
    if not still then
      for _, one in ipairs(anchored(crossing[1], crossing[1])) do
        if one.id == crossing[2] then
          one.gone, one.by_at, one.by = true, at, id
          note(one)
          tell(index, one, events(one.at))
        end
      end
    end
  end
end

local function late(index, at, id, acting, packed, newest)
  local hit = cmsgpack.unpack(packed)
  local approximate, _, raw = header()
  local before = hit[2] and crossings(at) or {}
  call('ZADD', key, at, id .. '\0' .. packed)
  local found, partials = crossings(at)
  write(approximate, partials, raw)
  call('PEXPIRE', key, ttl)
  if not quiet then
    retract(index, at, id, before, found)
    open(index, at, id, acting, near(at, at + window), found, approximate, true)
  end
end

local function judge(index, at, id, acting, packed)
  local last = call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  local newest = tonumber(last[2] or -1)
  if at < newest or at == newest and not below(split(last[1]), id) then
    if kept(at, id) then
      return again(index, at, id, at + window - 1, true)
    end
    return late(index, at, id, acting, packed, newest)
  end
  local approximate, partials, raw = header()
  local complete
  partials, complete = advance(partials, at, cmsgpack.unpack(packed))
  call('ZADD', key, at, id .. '\0' .. packed)
  if begins(newest, at) then
    refresh(at)
  end
  local many = over(most)
  drop_oldest(many)
  write(approximate or many > 0, partials, raw)
  if complete and not quiet then
    open(index, at, id, acting, near(at), {{at, id, {}}}, approximate or many > 0, true)
  end
end

if not refused() then
  for i = 10, #ARGV, 4 do
    judge((i - 10) / 4, tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2] == '1', ARGV[i + 3])
  end
end
return answered()
