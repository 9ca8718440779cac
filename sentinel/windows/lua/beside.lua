-- Which processes are there, and what each of them watches.
-- ARGV 1: the process that asks; 2: for how many milliseconds it is taken to be there; 3: what it watches.
-- Answers what each other one that is there watches.
local call, key = redis.call, KEYS[1]
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
call('HSET', key, ARGV[1], string.format('%.0f ', now + tonumber(ARGV[2])) .. ARGV[3])
call('PEXPIRE', key, ARGV[2])
local others, known = {}, call('HGETALL', key)
for i = 1, #known, 2 do
  local cut = string.find(known[i + 1], ' ', 1, true)
  if tonumber(string.sub(known[i + 1], 1, cut - 1)) < now then
    call('HDEL', key, known[i])
  elseif known[i] ~= ARGV[1] then
    others[#others + 1] = string.sub(known[i + 1], cut + 1)
  end
end
return others
