-- One finding of a group: ARGV 8: `know` or `yield`; 9: anchor; 10: id; 11: acting; 12: its tally.
local at, id, acting = tonumber(ARGV[9]), ARGV[10], ARGV[11] == '1'
local known
for _, one in ipairs(anchored(at, at, true)) do
  if one.id == id then
    known = one
  end
end
if ARGV[8] == 'yield' and known then
  known.acting = false
  note(known)
elseif ARGV[8] == 'know' and not known then
  note({at = at, id = id, acting = acting, approximate = false, by_at = at, by = id, tally = ARGV[12]})
  if call('PTTL', key) >= 0 or call('ZCOUNT', key, 0, ENDS - 1) == 0 then
    call('PEXPIRE', key, ttl)
  end
end
return false
