-- Reserve disk space for a job if it is free besides the reservations of other jobs. Returns 1 if reserved, else 0.
-- KEYS[1]  hash of reservations: job id -> bytes
-- ARGV[1]  job id                ARGV[2]  bytes needed      ARGV[3]  free bytes on the disk
local reserved = 0
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  if entries[i] ~= ARGV[1] then reserved = reserved + tonumber(entries[i + 1]) end
end
if tonumber(ARGV[3]) - reserved < tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
