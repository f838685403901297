"""The Lua programs that guard.audit asks. As guard.scripts.

Each looks at one thing and, with `mend` (ARGV[2] is '1'), sets it right in the same step, so that nothing that changes
meanwhile is mistaken for damage.
"""

from __future__ import annotations

from guard.scripts import _HIDE, _SEALED, READ_SOME

# ARGV: stamp or mark, shard's prefix of buckets' keys, first, past the last. Answers number and value of each bucket
# that there is, with 0 for its value where something else stands at its key.
READ_BUCKETS = (
    _SEALED
    + READ_SOME
    + """
local out, past = {}, tonumber(ARGV[4])
for first = tonumber(ARGV[3]), past - 1, 128 do
  local keys, values = read_some(ARGV[2], first, math.min(first + 128, past))
  local missing = {}
  for i, key in ipairs(keys) do
    if not values[i] then missing[#missing + 1] = key end
  end
  local others = #missing > 0 and redis.call('EXISTS', unpack(missing)) > 0
  for i, key in ipairs(keys) do
    local value = values[i] or others and redis.call('EXISTS', key) == 1 and 0
    if value == '' then value = 0 end
    if value then
      out[#out + 1] = first + i - 1
      out[#out + 1] = value
    end
  end
end
return out
"""
)

# ARGV: stamp or mark, keys of buckets that seemed to be none. Deletes those that are none still.
DROP_BUCKETS = (
    _SEALED
    + """
for i = 1, #ARGV[2], 13 do
  local key = string.sub(ARGV[2], i, i + 12)
  local bucket = redis.pcall('GET', key)
  if type(bucket) == 'table' or bucket and (#bucket == 0 or #bucket % 11 ~= 0) then redis.call('DEL', key) end
end
return 0
"""
)

# The text at a key; nothing if there is none or it is of another type.
_TEXT = """
local mend = ARGV[2] == '1'
local function text(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or nil
end
"""

# ARGV: stamp, mend, owner id, path. Answers nothing if there is no such path, else the path's entry, the record or ''.
# ARGV[5] is the generation: the list of buckets, or '', comes last.
READ_DOCUMENT = (
    _SEALED
    + _TEXT
    + """
local entry = redis.call('HGET', 'cr:{main}:paths:' .. ARGV[3], ARGV[4])
if not entry then return nil end
local document = ARGV[3] .. string.sub(entry, 1, 3)
return {entry, text('cr:{main}:d:' .. document) or '', text('cr:{main}:s' .. ARGV[5] .. ':' .. document) or ''}
"""
)

# ARGV: stamp, mend, owner id, path, entry that was seen, generation, new record or '', new list of buckets or ''.
# Forgets the content's hash, so that the next run of ingestion reads the file again, and replaces what is given.
# Does nothing if the path has another entry by now.
RESET_DOCUMENT = (
    _SEALED
    + """
local owner, path, entry = ARGV[3], ARGV[4], ARGV[5]
local paths = 'cr:{main}:paths:' .. owner
if redis.call('HGET', paths, path) ~= entry then return 0 end
if #entry ~= 11 then return redis.call('HDEL', paths, path) end
local document = owner .. string.sub(entry, 1, 3)
redis.call('HSET', paths, path, string.sub(entry, 1, 3) .. string.rep('\\0', 8))
if #ARGV[7] > 0 then redis.call('SET', 'cr:{main}:d:' .. document, ARGV[7]) end
if #ARGV[8] > 0 then redis.call('SET', 'cr:{main}:s' .. ARGV[6] .. ':' .. document, ARGV[8]) end
return 1
"""
)

# ARGV: stamp, mend, document's key, path that its record names, generation. Answers 1 if no path points to it and
# nobody is at work on it; with `mend` it is hidden and put into the journal.
STRAY = (
    _SEALED
    + _TEXT
    + _HIDE
    + """
local document, list = ARGV[3], 'cr:{main}:s' .. ARGV[5] .. ':' .. ARGV[3]
if redis.call('EXISTS', 'cr:{main}:d:' .. document, list) == 0 then return 0 end
if redis.call('HEXISTS', 'cr:{main}:pending', document) == 1 then return 0 end
if (redis.call('HGET', 'cr:{main}:gone', string.sub(document, 1, 2)) or 'done') ~= 'done' then return 0 end
local entry = redis.call('HGET', 'cr:{main}:paths:' .. string.sub(document, 1, 2), ARGV[4])
if entry and string.sub(entry, 1, 3) == string.sub(document, 3) then return 0 end
if mend then
  for _, key in ipairs({'cr:{main}:d:' .. document, list}) do
    if not text(key) then redis.call('DEL', key) end
  end
  hide(document)
  redis.call('INCR', 'cr:{main}:version')
end
return 1
"""
)

# ARGV: stamp, mend, document's key. Answers 1 if nothing is known of the document, so that its postings are orphans.
UNKNOWN = (
    _SEALED
    + """
local document = ARGV[3]
if redis.call('EXISTS', 'cr:{main}:d:' .. document) == 1 then return 0 end
if redis.call('HEXISTS', 'cr:{main}:pending', document) == 1 then return 0 end
if (redis.call('HGET', 'cr:{main}:gone', string.sub(document, 1, 2)) or 'done') ~= 'done' then return 0 end
return 1
"""
)

# ARGV: stamp, mend. Answers how many owners stand in one of the two tables only.
AUDIT_OWNERS = (
    _SEALED
    + """
local mend, halves = ARGV[2] == '1', 0
local function agree(from, to)
  local table_ = redis.call('HGETALL', from)
  for i = 1, #table_, 2 do
    if redis.call('HGET', to, table_[i + 1]) ~= table_[i] then
      halves = halves + 1
      if mend then redis.call('HSETNX', to, table_[i + 1], table_[i]) end
    end
  end
end
agree('cr:{main}:owner-ids', 'cr:{main}:owners')
agree('cr:{main}:owners', 'cr:{main}:owner-ids')
if mend and halves > 0 then redis.call('INCR', 'cr:{main}:epoch') end
return halves
"""
)

# ARGV: stamp, mend, version, tokens. Answers by how many tokens the counter is wrong, or nothing if the index is no
# longer at that version.
AUDIT_TOKENS = (
    _SEALED
    + """
if (redis.call('GET', 'cr:{main}:version') or '0') ~= ARGV[3] then return nil end
local wrong = (tonumber(redis.call('GET', 'cr:{main}:tokens') or '0') or 0) - tonumber(ARGV[4])
if ARGV[2] == '1' and wrong ~= 0 then redis.call('SET', 'cr:{main}:tokens', ARGV[4]) end
return wrong
"""
)
