-- Replace a job's record if it has not changed since it was read. Returns 1 if replaced, else 0.
-- KEYS[1]  hash of records       KEYS[2]  set of the ids of open jobs
-- ARGV[1]  job id                ARGV[2]  record as it was read (JSON)
-- ARGV[3]  new record (JSON)     ARGV[4]  SADD (the job is open) or SREM (it has ended)
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  redis.call(ARGV[4], KEYS[2], ARGV[1])
  return 1
end
return 0
