"""The Lua programs that the store runs for the index; each is atomic there. Knows the layout of keys, no meaning.

    cr:stamp            what the index was made with (guard.store)
    cr:version          counts every change
    cr:tokens           indexed tokens in all, for the significance of a match
    cr:owners           hash: owner id (2 bytes, little-endian) -> owner; cr:owner-ids the other way round
    cr:p:<2 bytes>      hash: last 6 bytes of a fingerprint -> postings, 8 bytes each
    cr:d:<5 bytes>      a document's record (JSON); its key is serial (3 bytes) and owner id (2), little-endian
    cr:s:<5 bytes>      its fingerprints, 8 bytes each: what to take back when it goes
    cr:f:<5 bytes>      its fragments' signatures
    cr:paths:<2 bytes>  an owner's documents, hash: path -> serial (3 bytes), keyed content hash (8 bytes)
    cr:next:<2 bytes>   an owner's next serial

A posting is one little-endian 64-bit number: position (24 bits), serial (24), owner (16).
"""

LOOKUP = """#!lua flags=no-writes
local stamp = redis.call('GET', 'cr:stamp')
if not stamp then return {} end
if stamp ~= ARGV[1] then return {stamp} end
local out = {stamp, redis.call('GET', 'cr:version') or '0', redis.call('GET', 'cr:tokens') or '0'}
local names, n, call, sub = ARGV[2], 3, redis.call, string.sub
for i = 1, #names, 8 do
  local postings = call('HGET', 'cr:p:' .. sub(names, i, i + 1), sub(names, i + 2, i + 7))
  if postings then
    out[n + 1] = (i - 1) / 8
    out[n + 2] = postings
    n = n + 2
  end
end
return out
"""

# Takes a document's postings back. `names` is its cr:s value, `tail` its key.
_TAKE_BACK = """
local function take_back(tail)
  local names = redis.call('GET', 'cr:s:' .. tail)
  if not names then return end
  for i = 1, #names, 8 do
    local key, field = 'cr:p:' .. string.sub(names, i, i + 1), string.sub(names, i + 2, i + 7)
    local postings = redis.call('HGET', key, field)
    if postings then
      local kept = {}
      for j = 1, #postings, 8 do
        if string.sub(postings, j + 3, j + 7) ~= tail then kept[#kept + 1] = string.sub(postings, j, j + 7) end
      end
      if #kept == 0 then redis.call('HDEL', key, field)
      elseif #kept * 8 < #postings then redis.call('HSET', key, field, table.concat(kept)) end
    end
  end
  local record = redis.call('GET', 'cr:d:' .. tail)
  if record then redis.call('DECRBY', 'cr:tokens', cjson.decode(record)['tokens']) end
  redis.call('DEL', 'cr:d:' .. tail, 'cr:s:' .. tail, 'cr:f:' .. tail)
end
"""

# ARGV: stamp, owner id, path, content hash, record, tokens, fragments, cap in bytes, then the postings as one string of
# entries: fingerprint (8 bytes), count (1), that many positions (3 each).
PUT = (
    _TAKE_BACK
    + """
if redis.call('GET', 'cr:stamp') ~= ARGV[1] then return redis.error_reply('CRSTAMP the index has another stamp') end
local owner, path, content = ARGV[2], ARGV[3], ARGV[4]
if redis.call('HEXISTS', 'cr:owners', owner) == 0 then return redis.error_reply('CROWNER the owner is gone') end
local old = redis.call('HGET', 'cr:paths:' .. owner, path)
if old and string.sub(old, 4) == content then return 0 end
local serial = redis.call('INCR', 'cr:next:' .. owner)
if serial > 16777215 then return redis.error_reply('CRFULL the owner has used up its document numbers') end
local tail = struct.pack('<I3', serial) .. owner
local entries, cap, at, names = ARGV[9], tonumber(ARGV[8]), 1, {}
while at <= #entries do
  local name, count = string.sub(entries, at, at + 7), string.byte(entries, at + 8)
  local key, field = 'cr:p:' .. string.sub(name, 1, 2), string.sub(name, 3, 8)
  local postings = redis.call('HGET', key, field) or ''
  at = at + 9
  if #postings < cap then
    local added = {postings}
    for i = 0, count - 1 do added[i + 2] = string.sub(entries, at + 3 * i, at + 3 * i + 2) .. tail end
    redis.call('HSET', key, field, table.concat(added))
    names[#names + 1] = name
  end
  at = at + 3 * count
end
redis.call('SET', 'cr:d:' .. tail, ARGV[5])
redis.call('SET', 'cr:s:' .. tail, table.concat(names))
if #ARGV[7] > 0 then redis.call('SET', 'cr:f:' .. tail, ARGV[7]) end
redis.call('HSET', 'cr:paths:' .. owner, path, string.sub(tail, 1, 3) .. content)
redis.call('INCRBY', 'cr:tokens', ARGV[6])
if old then take_back(string.sub(old, 1, 3) .. owner) end
redis.call('INCR', 'cr:version')
return 1
"""
)

# ARGV: stamp, owner id, path.
REMOVE = (
    _TAKE_BACK
    + """
if redis.call('GET', 'cr:stamp') ~= ARGV[1] then return redis.error_reply('CRSTAMP the index has another stamp') end
local old = redis.call('HGET', 'cr:paths:' .. ARGV[2], ARGV[3])
if not old then return 0 end
redis.call('HDEL', 'cr:paths:' .. ARGV[2], ARGV[3])
take_back(string.sub(old, 1, 3) .. ARGV[2])
redis.call('INCR', 'cr:version')
return 1
"""
)

# ARGV: stamp, owner. Answers the owner's id, giving it the next one if it has none.
OWNER_ID = """
if redis.call('GET', 'cr:stamp') ~= ARGV[1] then return redis.error_reply('CRSTAMP the index has another stamp') end
local id = redis.call('HGET', 'cr:owner-ids', ARGV[2])
if id then return id end
local number = redis.call('INCR', 'cr:next-owner')
if number > 65535 then return redis.error_reply('CRFULL the index has used up its owner numbers') end
id = struct.pack('<I2', number)
redis.call('HSET', 'cr:owner-ids', ARGV[2], id)
redis.call('HSET', 'cr:owners', id, ARGV[2])
redis.call('INCR', 'cr:version')
return id
"""

# ARGV: stamp, owner id, owner. Forgets an owner without documents.
FORGET_OWNER = """
if redis.call('GET', 'cr:stamp') ~= ARGV[1] then return redis.error_reply('CRSTAMP the index has another stamp') end
if redis.call('EXISTS', 'cr:paths:' .. ARGV[2]) == 1 then return 0 end
redis.call('HDEL', 'cr:owners', ARGV[2])
redis.call('HDEL', 'cr:owner-ids', ARGV[3])
redis.call('DEL', 'cr:next:' .. ARGV[2])
redis.call('INCR', 'cr:version')
return 1
"""
