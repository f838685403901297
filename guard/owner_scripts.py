"""The Lua programs for owners as a whole: giving them ids, and taking all of their code back. As guard.scripts."""

from __future__ import annotations

from guard.scripts import _MOVING, _SEALED, READ_SOME

# ARGV: stamp, owner. Answers the owner's id, giving it the next one if it has none.
OWNER_ID = (
    _SEALED
    + """
local id = redis.call('HGET', 'cr:{main}:owner-ids', ARGV[2])
if id then return id end
local number = redis.call('INCR', 'cr:{main}:next-owner')
if number > 65535 then return redis.error_reply('CRFULL the index has used up its owner numbers') end
id = struct.pack('<I2', number)
redis.call('HSET', 'cr:{main}:owner-ids', ARGV[2], id)
redis.call('HSET', 'cr:{main}:owners', id, ARGV[2])
redis.call('INCR', 'cr:{main}:version')
redis.call('INCR', 'cr:{main}:epoch')
return id
"""
)

# ARGV: stamp, owner id, seconds since 1970. From then on the owner's code counts no more.
EXPIRE_AT = (
    _SEALED
    + """
redis.call('HSET', 'cr:{main}:expiry', ARGV[2], ARGV[3])
redis.call('INCR', 'cr:{main}:epoch')
return 1
"""
)

# ARGV: stamp, owner, '1' if only an owner without documents is to be forgotten. Takes all of the owner's code out of
# sight; what it leaves is swept out afterwards. Answers how many documents there were, or -1 if they were in the way.
FORGET_OWNER = (
    _SEALED
    + _MOVING
    + """
local id = redis.call('HGET', 'cr:{main}:owner-ids', ARGV[2])
if not id then return 0 end
local documents = redis.call('HLEN', 'cr:{main}:paths:' .. id)
if ARGV[3] == '1' and documents > 0 then return -1 end
redis.call('HDEL', 'cr:{main}:owner-ids', ARGV[2])
redis.call('HDEL', 'cr:{main}:owners', id)
redis.call('HDEL', 'cr:{main}:expiry', id)
redis.call('DEL', 'cr:{main}:next:' .. id)
local begun = false
for _, document in ipairs(redis.call('HKEYS', 'cr:{main}:pending')) do
  if string.sub(document, 1, 2) == id then
    redis.call('HSET', 'cr:{main}:pending', document, 'x')
    begun = true
  end
end
redis.call('HSET', 'cr:{main}:gone', id, (documents > 0 or begun) and '0' or 'done')
redis.call('INCR', 'cr:{main}:version')
redis.call('INCR', 'cr:{main}:epoch')
return documents
"""
)

# ARGV: stamp, owner id, cursor, count, generation. Drops the records of about `count` documents of an owner that is
# gone; answers the next cursor, and how many they were.
DROP_RECORDS = (
    _SEALED
    + """
local owner, paths, dropped = ARGV[2], 'cr:{main}:paths:' .. ARGV[2], 0
local page = redis.call('HSCAN', paths, ARGV[3], 'COUNT', ARGV[4])
for i = 1, #page[2], 2 do
  local document = owner .. string.sub(page[2][i + 1], 1, 3)
  local tokens = redis.call('GETRANGE', 'cr:{main}:d:' .. document, 0, 3)
  if #tokens == 4 then redis.call('DECRBY', 'cr:{main}:tokens', string.format('%d', struct.unpack('<I4', tokens))) end
  redis.call('DEL', 'cr:{main}:d:' .. document, 'cr:{main}:s' .. ARGV[5] .. ':' .. document)
  dropped = dropped + redis.call('HDEL', paths, page[2][i])
end
if dropped > 0 then redis.call('INCR', 'cr:{main}:version') end
return {page[1], dropped}
"""
)

# ARGV: stamp or mark, shard's prefix of buckets' keys, first, past the last, owner ids (2 bytes each).
# Takes every entry of these owners out of the buckets; answers how many they were.
SWEEP = (
    _SEALED
    + READ_SOME
    + """
local call, sub, find, taken, past = redis.call, string.sub, string.find, 0, tonumber(ARGV[4])
for first = tonumber(ARGV[3]), past - 1, 128 do
  local keys, values = read_some(ARGV[2], first, math.min(first + 128, past))
  for place, key in ipairs(keys) do
    local bucket = values[place] or ''
    local size = #bucket
    for i = 1, #ARGV[5], 2 do
      local owner, kept, from, n = sub(ARGV[5], i, i + 1), nil, 1, 0
      local at = find(bucket, owner, 1, true)
      while at do
        if at % 11 == 4 then
          kept = kept or {}
          if at - 3 > from then
            n = n + 1
            kept[n] = sub(bucket, from, at - 4)
          end
          from = at + 8
          at = find(bucket, owner, from, true)
        else
          at = find(bucket, owner, at + 1, true)
        end
      end
      if kept then
        kept[n + 1] = sub(bucket, from)
        bucket = table.concat(kept)
      end
    end
    if size > 0 and #bucket == 0 then call('DEL', key) elseif #bucket < size then call('SET', key, bucket) end
    taken = taken + (size - #bucket) / 11
  end
end
return taken
"""
)

# ARGV: stamp, owner id, progress ('done' or a number of a bucket), generation. Remembers how far an owner is swept out.
SWEPT = (
    _SEALED
    + """
if redis.call('HEXISTS', 'cr:{main}:gone', ARGV[2]) == 0 then return 0 end
redis.call('HSET', 'cr:{main}:gone', ARGV[2], ARGV[3])
if ARGV[3] == 'done' then
  for _, document in ipairs(redis.call('HKEYS', 'cr:{main}:pending')) do
    if string.sub(document, 1, 2) == ARGV[2] then
      redis.call('DEL', 'cr:{main}:s' .. ARGV[4] .. ':' .. document)
      redis.call('HDEL', 'cr:{main}:pending', document)
    end
  end
end
return 1
"""
)
