"""The Lua programs for giving an index another key (guard.rekeying). As guard.scripts."""

from __future__ import annotations

from guard.scripts import _SEALED

# ARGV: stamp, what the index is moved to. Keeps writers out; refused while one is at work, or a move to another key.
START = (
    _SEALED
    + """
local moving = redis.call('GET', 'cr:{main}:moving')
if moving and moving ~= ARGV[2] then
  return redis.error_reply('CRBUSY a change to yet another key was begun: finish it where its new key is, or give it '
    .. 'up with `cleanroom key rotate-index --abandon`')
end
if redis.call('HLEN', 'cr:{main}:pending') > 0 then
  return redis.error_reply('CRBUSY somebody is writing or was stopped: wait, or run `cleanroom index verify --mend`')
end
for _, progress in ipairs(redis.call('HVALS', 'cr:{main}:gone')) do
  if progress ~= 'done' then
    return redis.error_reply('CRBUSY a withdrawal is not finished: run `cleanroom index sweep`')
  end
end
if redis.call('EXISTS', 'cr:{main}:remains') == 1 then
  return redis.error_reply('CRBUSY an earlier change of key is not finished: run that again')
end
redis.call('SET', 'cr:{main}:moving', ARGV[2])
return 1
"""
)

# ARGV: stamp or mark, then key, value, key, value ...
REPLACE = (
    _SEALED
    + """
for i = 2, #ARGV, 2 do redis.call('SET', ARGV[i], ARGV[i + 1]) end
return 0
"""
)

# ARGV: stamp, what the index is moved to, new stamp, old generation. The one step that changes the key.
MOVE = """
local stamp = redis.call('GET', KEYS[1])
if stamp == ARGV[3] then return 1 end
if stamp ~= ARGV[1] then return redis.error_reply('CRSTAMP the index has another stamp') end
if redis.call('GET', 'cr:{main}:moving') ~= ARGV[2] then
  return redis.error_reply('CRBUSY somebody else began to give the index another key')
end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('SET', 'cr:{main}:remains', ARGV[4])
redis.call('DEL', 'cr:{main}:moving')
redis.call('INCR', 'cr:{main}:version')
return 1
"""

# ARGV: stamp or mark, keys.
DROP = (
    _SEALED
    + """
for i = 2, #ARGV do redis.call('DEL', ARGV[i]) end
return 0
"""
)

# ARGV: stamp. What was left of the old key is gone.
SETTLE = _SEALED + "return redis.call('DEL', 'cr:{main}:remains')"

# ARGV: stamp. Lets writers in again.
STOP = _SEALED + "return redis.call('DEL', 'cr:{main}:moving')"

# ARGV: stamp, an owner's table of paths, paths. Of each its document's serial is left.
FORGET_CONTENTS = (
    _SEALED
    + """
for i = 3, #ARGV do
  local entry = redis.call('HGET', ARGV[2], ARGV[i])
  if entry then redis.call('HSET', ARGV[2], ARGV[i], string.sub(entry, 1, 3) .. string.rep('\\0', 8)) end
end
return 0
"""
)
