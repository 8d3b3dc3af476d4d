-- Count an ended attempt of a job once; of a complete one, also keep its times. Returns 1 if counted now, 0 if counted
-- before.
-- KEYS[1]  sorted set of counted attempts   KEYS[2]  hash of counters
-- KEYS[3]  total of completed jobs          KEYS[4]  count of the day
-- KEYS[5]  list of processing times         KEYS[6]  list of the runs with the model
-- ARGV[1]  current time (s)                 ARGV[2]  attempt, `job id:number`
-- ARGV[3]  number of attempts to keep       ARGV[4]  counters: JSON object, field -> increment
-- of a complete attempt alone:
-- ARGV[5]  seconds until the count of the day expires
-- ARGV[6]  processing time (s)              ARGV[7]  index of the last processing time to keep
-- ARGV[8]  run (JSON)                       ARGV[9]  index of the last run to keep
if redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[3]))
for field, increment in pairs(cjson.decode(ARGV[4])) do
  redis.call('HINCRBYFLOAT', KEYS[2], field, tostring(increment))
end
if ARGV[5] then
  redis.call('INCR', KEYS[3])
  redis.call('INCR', KEYS[4])
  redis.call('EXPIRE', KEYS[4], ARGV[5])
  redis.call('LPUSH', KEYS[5], ARGV[6])
  redis.call('LTRIM', KEYS[5], 0, ARGV[7])
  redis.call('LPUSH', KEYS[6], ARGV[8])
  redis.call('LTRIM', KEYS[6], 0, ARGV[9])
end
return 1
