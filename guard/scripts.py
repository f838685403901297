"""The Lua programs that the store runs for the index; each is atomic there. Knows guard.layout, and no meaning.

KEYS[1] is the stamp, or on a cluster a shard's mark, and ARGV[1] what must stand there: so no program works on a store
that lost its data. Every program may run twice, since a client repeats it when a connection breaks. Checks run none:
see guard.looking.
"""

from __future__ import annotations

_SEALED = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('CRSTAMP the index has another stamp') end
"""

_MOVING = """
if redis.call('EXISTS', 'cr:{main}:moving') == 1 then
  return redis.error_reply('CRMOVING the index is being given another key: wait until that is done (was it '
    .. 'interrupted, `cleanroom key rotate-index` goes on)')
end
"""

# Several buckets of one shard at once: their keys and their values.
READ_SOME = """
local function read_some(prefix, first, past)
  local keys = {}
  for number = first, past - 1 do keys[#keys + 1] = prefix .. struct.pack('>I2', number) end
  return keys, redis.call('MGET', unpack(keys))
end
"""

# ARGV: stamp, owner id, path, content hash, generation, list of buckets. Answers 0 if the document stands there
# unchanged, else the new document's key and that of the one it replaces, or ''.
BEGIN = (
    _SEALED
    + _MOVING
    + """
local owner, path = ARGV[2], ARGV[3]
if redis.call('HEXISTS', 'cr:{main}:owners', owner) == 0 then
  return redis.error_reply('CROWNER the owner is gone')
end
local old = redis.call('HGET', 'cr:{main}:paths:' .. owner, path)
if old and string.sub(old, 4) == ARGV[4] then return 0 end
local serial = redis.call('INCR', 'cr:{main}:next:' .. owner)
if serial > 16777215 then return redis.error_reply('CRFULL the owner has used up its document numbers') end
local document = owner .. struct.pack('<I3', serial)
redis.call('SET', 'cr:{main}:s' .. ARGV[5] .. ':' .. document, ARGV[6])
redis.call('HSET', 'cr:{main}:pending', document, 'w')
return {document, old and owner .. string.sub(old, 1, 3) or ''}
"""
)

# ARGV: stamp or mark, document's key, key of the one it replaces or '', cap, '1' if `pending` can be read here, then
# rows of bucket's key and entry, sorted by key. Answers the rows that were left out because the owner has as many
# entries of that name as it may, or -1 if the document was given up meanwhile.
#
# Buckets are read and written by up to 64 at a time: a command costs more than what it does here. They are written
# whole: a string that grows by APPEND takes up to twice the room it needs. An owner's entries of one name begin with
# the same five bytes.
APPEND = (
    _SEALED
    + """
local document, replaced, cap, rows = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[6]
if ARGV[5] == '1' and redis.call('HGET', 'cr:{main}:pending', document) ~= 'w' then return -1 end
local sub, find = string.sub, string.find

local function stands_in(bucket, entry, at)
  at = find(bucket, entry, at, true)
  while at and at % 11 ~= 1 do at = find(bucket, entry, at + 1, true) end
  return at
end

local function has_room(bucket, name, at)
  local held = 0
  while at do
    if at % 11 == 1 then
      if replaced == '' or sub(bucket, at + 3, at + 7) ~= replaced then held = held + 1 end
      if held >= cap then return false end
      at = find(bucket, name, at + 11, true)
    else
      at = find(bucket, name, at + 1, true)
    end
  end
  return true
end

local left_out, row = {}, 1
while row < #rows do
  local keys, first, n, last = {}, {}, 0, nil
  while row < #rows do
    local key = sub(rows, row, row + 12)
    if key ~= last then
      if n == 64 then break end
      n = n + 1
      keys[n], first[n], last = key, row, key
    end
    row = row + 24
  end
  first[n + 1] = row
  local values, changes, m = redis.call('MGET', unpack(keys)), {}, 0
  for j = 1, n do
    local bucket, changed = values[j] or '', false
    for i = first[j], first[j + 1] - 1, 24 do
      local entry, name = sub(rows, i + 13, i + 23), sub(rows, i + 13, i + 17)
      local at = find(bucket, name, 1, true)
      if not at or has_room(bucket, name, at) and not stands_in(bucket, entry, at) then
        bucket, changed = bucket .. entry, true
      elseif not stands_in(bucket, entry, at) then
        left_out[#left_out + 1] = (i - 1) / 24
      end
    end
    if changed then
      changes[m + 1], changes[m + 2] = keys[j], bucket
      m = m + 2
    end
  end
  if m > 0 then redis.call('MSET', unpack(changes)) end
end
return left_out
"""
)

# Takes what is known of a document out of sight in one step. Its postings stay until they are taken back, unseen.
_HIDE = """
local function hide(document)
  local tokens = redis.call('GETRANGE', 'cr:{main}:d:' .. document, 0, 3)
  if #tokens == 4 then redis.call('DECRBY', 'cr:{main}:tokens', string.format('%d', struct.unpack('<I4', tokens))) end
  redis.call('DEL', 'cr:{main}:d:' .. document)
  redis.call('HSET', 'cr:{main}:pending', document, 'x')
end
"""

# ARGV: stamp, document's key, path, content hash, generation, record, list of buckets or '' if it is as it was begun.
# Answers the key and the buckets of the document that was replaced ('' for none), 0 if another run wrote the same
# content first, or -1 if the document was given up meanwhile.
COMMIT = (
    _SEALED
    + _HIDE
    + """
local document, content, record = ARGV[2], ARGV[4], ARGV[6]
local owner, paths = string.sub(document, 1, 2), 'cr:{main}:paths:' .. string.sub(document, 1, 2)
local entry, old = string.sub(document, 3) .. content, redis.call('HGET', paths, ARGV[3])
if old == entry then return {'', ''} end
if redis.call('HGET', 'cr:{main}:pending', document) ~= 'w' then return -1 end
if old and string.sub(old, 4) == content then
  redis.call('HSET', 'cr:{main}:pending', document, 'x')
  return 0
end
local lists = 'cr:{main}:s' .. ARGV[5] .. ':'
redis.call('SET', 'cr:{main}:d:' .. document, record)
if #ARGV[7] > 0 then redis.call('SET', lists .. document, ARGV[7]) end
redis.call('HSET', paths, ARGV[3], entry)
redis.call('HDEL', 'cr:{main}:pending', document)
redis.call('INCRBY', 'cr:{main}:tokens', string.format('%d', struct.unpack('<I4', record)))
redis.call('INCR', 'cr:{main}:version')
if not old then return {'', ''} end
old = owner .. string.sub(old, 1, 3)
hide(old)
return {old, redis.call('GET', lists .. old) or ''}
"""
)

# ARGV: stamp, owner id, path, generation. Answers the document's key and its buckets, or 0 if there is none.
REMOVE = (
    _SEALED
    + _MOVING
    + _HIDE
    + """
local paths = 'cr:{main}:paths:' .. ARGV[2]
local entry = redis.call('HGET', paths, ARGV[3])
if not entry then return 0 end
redis.call('HDEL', paths, ARGV[3])
local document = ARGV[2] .. string.sub(entry, 1, 3)
hide(document)
redis.call('INCR', 'cr:{main}:version')
return {document, redis.call('GET', 'cr:{main}:s' .. ARGV[4] .. ':' .. document) or ''}
"""
)

# ARGV: stamp, document's key, generation. Gives up a document that is being written: nothing more is written of it.
# Answers its buckets, or 0 if it is neither being written nor taken back.
GIVE_UP = (
    _SEALED
    + """
if redis.call('HEXISTS', 'cr:{main}:pending', ARGV[2]) == 0 then return 0 end
redis.call('HSET', 'cr:{main}:pending', ARGV[2], 'x')
return redis.call('GET', 'cr:{main}:s' .. ARGV[3] .. ':' .. ARGV[2]) or ''
"""
)

# ARGV: stamp or mark, document's key, keys of buckets, '1' to take its entries out of them, else to count them only.
# Answers how many there were.
TAKE_BACK = (
    _SEALED
    + """
local document, keys, taken = ARGV[2], ARGV[3], 0
local call, sub, find = redis.call, string.sub, string.find
for i = 1, #keys, 13 do
  local key = sub(keys, i, i + 12)
  local bucket, changed = call('GET', key) or '', false
  local at = find(bucket, document, 1, true)
  while at do
    if at % 11 == 4 then
      bucket, changed, taken = sub(bucket, 1, at - 4) .. sub(bucket, at + 8), true, taken + 1
      at = find(bucket, document, at - 3, true)
    else
      at = find(bucket, document, at + 1, true)
    end
  end
  if ARGV[4] ~= '1' then changed = false end
  if changed and #bucket == 0 then call('DEL', key) elseif changed then call('SET', key, bucket) end
end
return taken
"""
)

# ARGV: stamp, document's key, generation. Ends the journal of a document whose postings have been taken back.
FINISH = (
    _SEALED
    + """
if redis.call('HGET', 'cr:{main}:pending', ARGV[2]) ~= 'x' then return 0 end
redis.call('DEL', 'cr:{main}:s' .. ARGV[3] .. ':' .. ARGV[2])
return redis.call('HDEL', 'cr:{main}:pending', ARGV[2])
"""
)
