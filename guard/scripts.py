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
  local call, sub = redis.call, string.sub
  local names = call('GET', 'cr:s:' .. tail) or ''
  for i = 1, #names, 8 do
    local key, field = 'cr:p:' .. sub(names, i, i + 1), sub(names, i + 2, i + 7)
    local postings = call('HGET', key, field)
    if postings then
      local kept = ''
      for j = 1, #postings, 8 do
        if sub(postings, j + 3, j + 7) ~= tail then kept = kept .. sub(postings, j, j + 7) end
      end
      if kept == '' then call('HDEL', key, field)
      elseif #kept < #postings then call('HSET', key, field, kept) end
    end
  end
  -- A damaged record must not stand in the way of its own removal: what runs here is never rolled back.
  local readable, known = pcall(cjson.decode, redis.call('GET', 'cr:d:' .. tail) or '')
  local tokens = readable and type(known) == 'table' and tonumber(known['tokens'])
  if tokens then redis.call('DECRBY', 'cr:tokens', string.format('%d', tokens)) end
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
-- The old version first, so that it leaves its place among the capped postings to the new one.
if old then take_back(string.sub(old, 1, 3) .. owner) end
local entries, cap, at, names = ARGV[9], tonumber(ARGV[8]), 1, {}
local call, sub, byte = redis.call, string.sub, string.byte
while at <= #entries do
  local past = at + 9 + 3 * byte(entries, at + 8)
  local key, field = 'cr:p:' .. sub(entries, at, at + 1), sub(entries, at + 2, at + 7)
  local postings = call('HGET', key, field) or ''
  if #postings < cap then
    for i = at + 9, past - 1, 3 do postings = postings .. sub(entries, i, i + 2) .. tail end
    call('HSET', key, field, postings)
    names[#names + 1] = sub(entries, at, at + 7)
  end
  at = past
end
redis.call('SET', 'cr:d:' .. tail, ARGV[5])
redis.call('SET', 'cr:s:' .. tail, table.concat(names))
if #ARGV[7] > 0 then redis.call('SET', 'cr:f:' .. tail, ARGV[7]) end
redis.call('HSET', 'cr:paths:' .. owner, path, string.sub(tail, 1, 3) .. content)
redis.call('INCRBY', 'cr:tokens', ARGV[6])
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

# What guard.audit asks. Each looks at one thing and, with `mend`, sets it right in the same step, so that nothing that
# changes meanwhile is mistaken for damage.
_READ = """
if redis.call('GET', 'cr:stamp') ~= ARGV[1] then return redis.error_reply('CRSTAMP the index has another stamp') end
local mend = ARGV[2] == '1'
-- The text at a key; nothing if there is none or it is of another type.
local function text(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or nil
end
local function record_of(tail)
  local readable, record = pcall(cjson.decode, text('cr:d:' .. tail) or '')
  if not readable or type(record) ~= 'table' or type(record['path']) ~= 'string' then return nil end
  if type(record['language']) ~= 'string' or type(record['tokens']) ~= 'number' then return nil end
  return record
end
"""

# ARGV: stamp, mend, owner id, path, permutations, tokens of the shortest fragment.
# Answers nothing if there is no such path, else: state ('sound', 'incomplete' or 'lost'), document's key, tokens.
# Mending a lost document leaves what is known of it, so that what is left of it still protects it; mending either kind
# forgets the content's hash, so that the next run of ingestion reads the file again.
AUDIT_DOCUMENT = (
    _READ
    + """
local owner, path, paths = ARGV[3], ARGV[4], 'cr:paths:' .. ARGV[3]
local entry = redis.call('HGET', paths, path)
if not entry then return nil end
local tail = string.sub(entry, 1, 3) .. owner
local record, state = record_of(tail), 'sound'
if #entry ~= 11 or not record or record['path'] ~= path then
  state = 'lost'
else
  local names, fragments = text('cr:s:' .. tail), text('cr:f:' .. tail)
  local whole = names and #names % 8 == 0
  if record['tokens'] >= tonumber(ARGV[6]) then
    whole = whole and fragments and #fragments == 2 + struct.unpack('<I2', fragments .. '\\0\\0') * (4 + ARGV[5])
  end
  for i = 1, whole and #names or 0, 8 do
    local found = redis.pcall('HGET', 'cr:p:' .. string.sub(names, i, i + 1), string.sub(names, i + 2, i + 7))
    local held = false
    for j = 1, type(found) == 'string' and #found or 0, 8 do
      if string.sub(found, j + 3, j + 7) == tail then held = true break end
    end
    if not held then whole = false break end
  end
  if not whole then state = 'incomplete' end
end
if mend and state ~= 'sound' and #entry < 3 then
  redis.call('HDEL', paths, path)
elseif mend and state ~= 'sound' then
  redis.call('HSET', paths, path, string.sub(entry, 1, 3) .. string.rep('\\0', 8))
  if state == 'lost' then
    redis.call('SET', 'cr:d:' .. tail, cjson.encode({path = path, language = '', tokens = 0}))
    record = {tokens = 0}
  end
end
return {state, tail, record and record['tokens'] or 0}
"""
)

# ARGV: stamp, mend, document's key. Answers 1 if something of the document is there and no path points to it.
AUDIT_STRAY = (
    _READ
    + _TAKE_BACK
    + """
local tail = ARGV[3]
if redis.call('EXISTS', 'cr:d:' .. tail, 'cr:s:' .. tail, 'cr:f:' .. tail) == 0 then return 0 end
local record = record_of(tail)
if record then
  local entry = redis.call('HGET', 'cr:paths:' .. string.sub(tail, 4), record['path'])
  if entry and string.sub(entry, 1, 3) == string.sub(tail, 1, 3) then return 0 end
end
if mend then
  for _, kind in ipairs({'d', 's', 'f'}) do
    local key = 'cr:' .. kind .. ':' .. tail
    if not text(key) then redis.call('DEL', key) end
  end
  take_back(tail)
  redis.call('INCR', 'cr:version')
end
return 1
"""
)

# ARGV: stamp, mend, bucket, field, keys of documents that seem to be gone (5 bytes each).
# Answers how many postings are theirs, or -1 if the value is not made of postings.
AUDIT_POSTINGS = (
    _READ
    + """
local postings, gone, kept = redis.call('HGET', ARGV[3], ARGV[4]), {}, {}
if not postings then return 0 end
if #postings == 0 or #postings % 8 ~= 0 or #ARGV[4] ~= 6 then
  if mend then redis.call('HDEL', ARGV[3], ARGV[4]) end
  return -1
end
for i = 1, #ARGV[5], 5 do
  local tail = string.sub(ARGV[5], i, i + 4)
  gone[tail] = redis.call('EXISTS', 'cr:d:' .. tail, 'cr:s:' .. tail) == 0
end
for i = 1, #postings, 8 do
  if not gone[string.sub(postings, i + 3, i + 7)] then kept[#kept + 1] = string.sub(postings, i, i + 7) end
end
local orphans = #postings / 8 - #kept
if mend and #kept == 0 then redis.call('HDEL', ARGV[3], ARGV[4])
elseif mend and orphans > 0 then redis.call('HSET', ARGV[3], ARGV[4], table.concat(kept)) end
return orphans
"""
)

# ARGV: stamp, mend. Answers how many owners stand in one of the two tables only.
AUDIT_OWNERS = (
    _READ
    + """
local halves = 0
local function agree(from, to)
  local table_ = redis.call('HGETALL', from)
  for i = 1, #table_, 2 do
    if redis.call('HGET', to, table_[i + 1]) ~= table_[i] then
      halves = halves + 1
      if mend then redis.call('HSETNX', to, table_[i + 1], table_[i]) end
    end
  end
end
agree('cr:owner-ids', 'cr:owners')
agree('cr:owners', 'cr:owner-ids')
return halves
"""
)

# ARGV: stamp, mend, version, tokens. Answers by how many tokens the counter is wrong, or nothing if the index is no
# longer at that version.
AUDIT_TOKENS = (
    _READ
    + """
if (redis.call('GET', 'cr:version') or '0') ~= ARGV[3] then return nil end
local wrong = (tonumber(redis.call('GET', 'cr:tokens') or '0') or 0) - tonumber(ARGV[4])
if mend and wrong ~= 0 then redis.call('SET', 'cr:tokens', ARGV[4]) end
return wrong
"""
)
