-- A sequence: its steps filled greedily, one after the other, from every hit that can start it.
-- ARGV 8: steps {count, distinct}, packed; 9: most hits; then of each hit time, id, acting, values packed:
-- {a text with 1 for each step it matches, whether it matches `until`, a value or false for each step}.
--
-- Of each hit {those values, the partials after it, whether it completes a sequence, approximate} is kept. A partial is
-- {step, hits counted, time of its start, values in order…}.
local steps, most = cmsgpack.unpack(ARGV[8]), tonumber(ARGV[9])

-- Return what is equal for partials that have come equally far.
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

-- Add a value to sorted ones, unless it is there.
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

-- Return where one more hit of its step brings a partial.
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

local function read(raw)
  local hits = {}
  for i = 1, #raw, 2 do
    local id, rest = split(raw[i])
    hits[#hits + 1] = {at = tonumber(raw[i + 1]), id = id, kept = cmsgpack.unpack(rest), member = raw[i]}
  end
  return hits
end

local function put(at, id, packed, partials, complete, approximate)
  call('ZADD', key, at, id .. '\0' .. cmsgpack.pack({packed, partials, complete, approximate}))
end

-- Return the hits of a time up to and from an id on, and all that come later; and the crossings of that time before it.
local function around(at, id)
  local before, behind, found = nil, nil, {}
  local hits = read(call('ZRANGEBYSCORE', key, at, '+inf', 'WITHSCORES'))
  while hits[1] and hits[1].at == at and below(hits[1].id, id) do
    before = table.remove(hits, 1)
    if before.kept[3] then
      found[#found + 1] = {at, before.id, {}}
    end
  end
  behind = hits
  if not before and at > 0 then
    before = read(call('ZREVRANGEBYSCORE', key, at - 1, 0, 'WITHSCORES', 'LIMIT', 0, 1))[1]
  end
  return before, behind, found
end

-- Take back the findings at crossings that a hit has prevented.
local function retract(index, at, id, prevented)
  for _, hit in ipairs(prevented) do
    for _, one in ipairs(anchored(hit.at, hit.at)) do
      if one.id == hit.id then
        one.gone, one.by_at, one.by = true, at, id
        note(one)
        tell(index, one, events(one.at))
      end
    end
  end
end

-- Let the hits behind a late one follow from it; find the crossings in [at, at + window), return those it prevented.
local function follow(at, partials, behind, found)
  local prevented, settled = {}, false
  for _, hit in ipairs(behind) do
    local complete = hit.kept[3]
    if not settled then
      partials, complete = advance(partials, hit.at, cmsgpack.unpack(hit.kept[1]))
      local member = hit.id .. '\0' .. cmsgpack.pack({hit.kept[1], partials, complete, hit.kept[4]})
      settled = member == hit.member
      if not settled then
        call('ZREM', key, hit.member)
        call('ZADD', key, hit.at, member)
      end
    end
    if hit.at < at + window then
      if complete then
        found[#found + 1] = {hit.at, hit.id, {}}
      elseif hit.kept[3] then
        prevented[#prevented + 1] = hit
      end
    elseif settled then
      break
    end
  end
  return prevented
end

local function late(index, at, id, acting, packed)
  local before, behind, found = around(at, id)
  local hit = cmsgpack.unpack(packed)
  local partials, complete = advance(before and before.kept[2] or {}, at, hit)
  local approximate = behind[1].kept[4]
  put(at, id, packed, partials, complete, approximate)
  if complete then
    found[#found + 1] = {at, id, {}}
  end
  local prevented = follow(at, partials, behind, found)
  call('PEXPIRE', key, ttl)
  if not quiet then
    retract(index, at, id, hit[2] and prevented or {}) -- what `until` alone prevents is taken back
    open(index, at, id, acting, near(at, at + window), found, approximate, true)
  end
end

local function judge(index, at, id, acting, packed)
  local last = read(call('ZREVRANGE', key, 0, 0, 'WITHSCORES'))[1]
  if last and last.at < 0 then
    last = nil
  end
  if last and (at < last.at or at == last.at and not below(last.id, id)) then
    if kept(at, id) then
      return again(index, at, id, at + window - 1, true)
    end
    return late(index, at, id, acting, packed)
  end
  local partials, complete = advance(last and last.kept[2] or {}, at, cmsgpack.unpack(packed))
  local approximate = last and last.kept[4] or false
  if begins(last and last.at or -1, at) then
    refresh(at)
  end
  local many = over(most - 1)
  drop_oldest(many)
  dropped = dropped + many
  approximate = approximate or many > 0
  put(at, id, packed, partials, complete, approximate)
  if complete and not quiet then
    open(index, at, id, acting, near(at), {{at, id, {}}}, approximate, true)
  end
end

if not refused() then
  for i = 10, #ARGV, 4 do
    judge((i - 10) / 4, tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2] == '1', ARGV[i + 3])
  end
end
return answered()
