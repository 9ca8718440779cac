-- What was awaited did not come: waits, which are decided once time has passed, and what ends them.
-- ARGV 8: within; then of each hit time, id, acting, `b` (it begins a wait), `e` (it ends some) or `be`, and what a wait
-- is to be remembered with. An end between two others no further apart than `within` decides nothing and is not kept.
-- Instead of hits: `due`, then time and id of waits that may be over; `back`, then time and id of those to be due again.
local within = tonumber(ARGV[8])

local function expire()
  if call('ZCOUNT', key, 0, ENDS - 1) > 0 then
    call('PERSIST', key) -- a group may expire, a wait may not
  else
    call('PEXPIRE', key, ttl)
  end
end

-- Return the two ends right behind a time, nearest first, each followed by its score.
local function next_ends(at)
  return call('ZRANGEBYSCORE', key, ENDS + at + 1, '+inf', 'WITHSCORES', 'LIMIT', 0, 2)
end

-- Return the two ends right before a time, nearest first, each followed by its score.
local function last_ends(at)
  return call('ZREVRANGEBYSCORE', key, ENDS + at - 1, ENDS, 'WITHSCORES', 'LIMIT', 0, 2)
end

-- Let go of an end whose neighbours are no further apart than `within`.
local function drop_needless(early, middle, late)
  if early and middle and late and tonumber(late[2]) - tonumber(early[2]) <= within then
    call('ZREM', key, middle[1])
  end
end

local function pair(raw, i)
  return raw[i] and {raw[i], raw[i + 1]}
end

-- End the waits that an end comes in time for, and keep the end where it decides anything.
local function finish(at)
  call('ZREMRANGEBYSCORE', key, since(at - within), at > 0 and at - 1 or '(0')
  local mine = {'e' .. string.format('%.0f', at), ENDS + at}
  call('ZADD', key, mine[2], mine[1])
  local before, behind = last_ends(at), next_ends(at)
  local b1, b2, n1, n2 = pair(before, 1), pair(before, 3), pair(behind, 1), pair(behind, 3)
  if b1 and n1 and tonumber(n1[2]) - tonumber(b1[2]) <= within then
    call('ZREM', key, mine[1])
  else
    drop_needless(b2, b1, mine)
    drop_needless(mine, n1, n2)
  end
  local newest = tonumber(call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2])
  call('ZREMRANGEBYSCORE', key, ENDS, newest - keep)
end

-- Begin a wait unless its end is known; tell again of the finding where it was over already.
local function begin(index, at, id, payload)
  if call('ZCOUNT', key, ENDS + at + 1, ENDS + at + within) > 0 then
    return
  end
  for _, one in ipairs(anchored(at + within, at + within)) do
    if one.id == id then
      return tell(index, one)
    end
  end
  if not kept(at, id) then
    call('ZADD', key, at, id .. '\0' .. payload)
  end
end

-- Open the finding of a wait that is over, where nothing has ended it.
local function over(index, at, id)
  local member = kept(at, id)
  if not member then
    for _, one in ipairs(anchored(at + within, at + within)) do
      if one.id == id and one.payload ~= '' then -- found before, but perhaps not kept by whoever asked
        tell(index, one, {one.payload})
      end
    end
    return
  end
  local _, payload = split(member)
  call('ZREM', key, member)
  local acting = string.sub(payload, 1, 1) == '1'
  local known = near(at + within)
  if not held(known, at + within, id, acting) then
    local one = {at = at + within, id = id, acting = acting, approximate = false, by_at = at, by = id,
      tally = 0, payload = payload}
    note(one)
    if one.at > horizon then
      call('ZREMRANGEBYSCORE', key, -1 - (one.at - horizon), -1)
    end
    tell(index, one, {payload})
  end
end

-- Take a finding back and let its wait be due again.
local function back(at, id)
  for _, one in ipairs(anchored(at + within, at + within)) do
    if one.id == id and one.payload ~= '' then
      call('ZREM', key, one.member)
      if not kept(at, id) then
        call('ZADD', key, at, id .. '\0' .. one.payload)
      end
    end
  end
end

if ARGV[9] == 'due' or ARGV[9] == 'back' then
  for i = 10, #ARGV, 2 do
    local work = ARGV[9] == 'due' and over or function(_, at, id)
      back(at, id)
    end
    work((i - 10) / 2, tonumber(ARGV[i]), ARGV[i + 1])
  end
  expire()
elseif not refused() then
  for i = 9, #ARGV, 5 do
    local at, id, what = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 3]
    if string.find(what, 'e', 1, true) then
      finish(at)
    end
    if string.find(what, 'b', 1, true) then
      begin((i - 9) / 5, at, id, ARGV[i + 4])
    end
  end
  expire()
end
return answered()
