-- Move the last entry of the queue to the place of its priority. An interactive job is put before the first bulk job
-- before which fewer than ARGV[3] have been put; there are no such jobs, or it is a bulk job: it stays the last.
-- KEYS[1]  list of waiting jobs, next one first
-- KEYS[2]  sorted set of waiting bulk jobs, score: order of arrival
-- KEYS[3]  hash: bulk job -> number of interactive jobs that were put directly before it
-- ARGV[1]  job id    ARGV[2]  1: bulk, 0: interactive    ARGV[3]  most interactive jobs before the same bulk job
local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
while first and not redis.call('LPOS', KEYS[1], first) do -- it has started
  redis.call('ZREM', KEYS[2], first)
  redis.call('HDEL', KEYS[3], first)
  first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
end
if ARGV[2] == '1' then
  local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] or '0'
  redis.call('ZADD', KEYS[2], tonumber(last) + 1, ARGV[1])
  return
end
for _, bulk in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if tonumber(redis.call('HGET', KEYS[3], bulk) or '0') < tonumber(ARGV[3]) then
    if redis.call('LINSERT', KEYS[1], 'BEFORE', bulk, ARGV[1]) > 0 then
      redis.call('LREM', KEYS[1], -1, ARGV[1])
      redis.call('HINCRBY', KEYS[3], bulk, 1)
      return
    end
  end
end
