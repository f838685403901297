-- The API key: from a file that its owner alone can read, from $CLEANROOM_API_KEY, or typed in. It never becomes a
-- variable of Vim's, a register or an entry of a history, and so never part of the shada file.
local options = require('cleanroom.options')

local M = {}

local OTHERS = tonumber('077', 8)
local SIGNED_OUT = 'signed out'
local memory ---@type string? what was typed in, where no file keeps it
local signed_out = false

-- Says beside the key file that somebody signed out, so that no key of the environment is used when Neovim starts anew.
local function marker()
  local path = options.current.key_file
  return path and path .. '.signed-out'
end

-- What is in the key file; nil and what is wrong with it where it cannot be used.
---@return string? key, string? problem
local function from_file()
  local path = options.current.key_file
  local stat = path and vim.uv.fs_stat(path)
  if not stat then
    return nil, nil
  end
  if vim.fn.has('win32') == 0 and bit.band(stat.mode, OTHERS) ~= 0 then
    return nil, ('%s can be read or written by other users: chmod 600 %s'):format(path, path)
  end
  local file, problem = io.open(path, 'r')
  if not file then
    return nil, ('%s cannot be read: %s'):format(path, problem)
  end
  local key = vim.trim(file:read('*a') or '')
  file:close()
  if key == '' then
    return nil, ('%s is empty: :Cleanroom signin writes the key into it'):format(path)
  end
  return key, nil
end

-- The key, where it comes from, and what is wrong with a key file that cannot be used.
---@return string? key, string source, string? problem
function M.get()
  if signed_out then
    return nil, SIGNED_OUT, nil
  end
  if memory then
    return memory, 'typed in', nil
  end
  local key, problem = from_file()
  if key or problem then
    return key, tostring(options.current.key_file), problem
  end
  if marker() and vim.uv.fs_stat(marker()) then
    return nil, SIGNED_OUT, nil
  end
  key = vim.env.CLEANROOM_API_KEY
  if key and key ~= '' then
    return key, '$CLEANROOM_API_KEY', nil
  end
  return nil, 'none', nil
end

-- Writes a file that its owner alone can read. Anew under another name: the old file may belong to a looser mode, and
-- must not be half written.
local function write(path, text)
  vim.fn.mkdir(vim.fs.dirname(path), 'p', tonumber('700', 8))
  local new = path .. '.new'
  vim.uv.fs_unlink(new)
  local file, problem = vim.uv.fs_open(new, 'wx', tonumber('600', 8))
  if not file then
    return false, problem
  end
  local written
  written, problem = vim.uv.fs_write(file, text)
  vim.uv.fs_close(file)
  if not written then
    return false, problem
  end
  return vim.uv.fs_rename(new, path)
end

-- Keeps a key: in the key file if there is to be one, else until Neovim ends.
---@param key string
---@return string? problem
function M.keep(key)
  local path = options.current.key_file
  memory, signed_out = key, false
  if not path then
    return nil
  end
  vim.uv.fs_unlink(marker())
  local written, problem = write(path, key .. '\n')
  if written then
    memory = nil
    return nil
  end
  return ('the key is kept until Neovim ends, since it cannot be written to %s: %s'):format(path, problem)
end

-- Forgets the key, and removes the key file. A key of the environment is not used until somebody signs in.
---@return string? problem
function M.forget()
  memory, signed_out = nil, true
  local path = options.current.key_file
  if not path then
    return nil
  end
  local noted, why = write(marker(), '')
  if vim.uv.fs_stat(path) then
    local _, problem = vim.uv.fs_unlink(path)
    if problem then
      return ('%s cannot be removed: %s'):format(path, problem)
    end
  end
  return not noted and ('signed out until Neovim ends, since %s cannot be written: %s'):format(marker(), why) or nil
end

-- Whether somebody signed out, now or before Neovim was started.
---@return boolean
function M.signed_out()
  local _, source = M.get()
  return source == SIGNED_OUT
end

-- Asks for a key. The callback gets none where nothing was typed.
---@param done fun(key: string?)
function M.ask(done)
  local ok, key = pcall(vim.fn.inputsecret, 'Cleanroom API key: ')
  key = ok and vim.trim(key) or ''
  vim.cmd.redraw()
  done(key ~= '' and key or nil)
end

return M
