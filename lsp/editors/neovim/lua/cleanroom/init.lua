-- Completions from Cleanroom in Neovim: ghost text from 0.12 on, menu items with 0.11. See :help cleanroom.
local M = {}

-- Starts Cleanroom in every buffer of a file, and from now on in each that is opened.
---@param options? table see :help cleanroom-options
function M.setup(options)
  if vim.fn.has('nvim-0.11') == 0 then
    vim.notify('Cleanroom needs Neovim 0.11 or later', vim.log.levels.ERROR)
    return
  end
  require('cleanroom.options').set(options)
  require('cleanroom.client').enable()
end

-- A few words on how things stand, for 'statusline'.
---@return string
function M.statusline()
  return require('cleanroom.status').line()
end

-- How things stand: { busy, message, kind }, as the server said last.
---@return table
function M.status()
  return require('cleanroom.status').get()
end

-- Puts the ghost text in. False where there is none that fits.
---@return boolean
function M.accept()
  return require('cleanroom.ghost').accept()
end

-- Puts the next word of the ghost text in, and leaves the rest standing.
---@return boolean
function M.accept_word()
  return require('cleanroom.ghost').accept_part('word')
end

-- Puts the rest of the ghost text's first line in.
---@return boolean
function M.accept_line()
  return require('cleanroom.ghost').accept_part('line')
end

-- Takes the ghost text away. False where there is none.
---@return boolean
function M.dismiss()
  return require('cleanroom.ghost').dismiss()
end

-- Asks for a completion here and now.
function M.trigger()
  require('cleanroom.ghost').trigger()
end

return M
