-- What a group holds, changing nothing. ARGV 8: whether hits are packed.
local function plain(value)
  if type(value) == 'number' and value ~= floor(value) then
    return string.format('%.17g', value)
  elseif type(value) ~= 'table' then
    return value
  end
  local found = {}
  for i, one in ipairs(value) do
    found[i] = plain(one)
  end
  return found
end

local findings, hits, ends = {}, {}, {}
for i, one in ipairs(anchored(0, ENDS)) do
  findings[i] = {one.at, one.acting and 1 or 0}
end
local raw = call('ZRANGEBYSCORE', key, 0, ENDS - 1, 'WITHSCORES')
for i = 1, #raw, 2 do
  local id, rest = split(raw[i])
  hits[#hits + 1] = {tonumber(raw[i + 1]), id, ARGV[8] == '1' and plain(cmsgpack.unpack(rest)) or rest}
end
raw = call('ZRANGEBYSCORE', key, ENDS, '+inf', 'WITHSCORES')
for i = 2, #raw, 2 do
  ends[#ends + 1] = tonumber(raw[i]) - ENDS
end
local header = call('ZRANGEBYSCORE', key, HEADER, HEADER)[1]
return {findings, hits, ends, header and plain(cmsgpack.unpack(header)) or false}
