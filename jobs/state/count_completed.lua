-- Count a completed attempt of a job once, and keep its times. Returns 1 if counted now, 0 if counted before.
-- KEYS[1]  sorted set of counted attempts   KEYS[2]  total of completed jobs
-- KEYS[3]  count of the day                 KEYS[4]  list of processing times
-- KEYS[5]  list of the runs with the model
-- ARGV[1]  current time (s)                 ARGV[2]  attempt, `job id:number`
-- ARGV[3]  number of attempts to keep       ARGV[4]  seconds until the count of the day expires
-- ARGV[5]  processing time (s)              ARGV[6]  index of the last processing time to keep
-- ARGV[7]  run (JSON)                       ARGV[8]  index of the last run to keep
if redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[3]))
redis.call('INCR', KEYS[2])
redis.call('INCR', KEYS[3])
redis.call('EXPIRE', KEYS[3], ARGV[4])
redis.call('LPUSH', KEYS[4], ARGV[5])
redis.call('LTRIM', KEYS[4], 0, ARGV[6])
redis.call('LPUSH', KEYS[5], ARGV[7])
redis.call('LTRIM', KEYS[5], 0, ARGV[8])
return 1
