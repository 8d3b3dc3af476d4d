-- Release a lock if it is still held under the given token. Returns 1 if released, else 0.
-- KEYS[1]  the lock              ARGV[1]  token of the holder
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
