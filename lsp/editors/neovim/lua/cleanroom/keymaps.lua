-- Keys of insert mode, in buffers with ghost text. Where there is no ghost text a key does what it did before.
local options = require('cleanroom.options')

local M = {}

local DESCRIPTIONS = {
  accept = 'Cleanroom: accept the ghost text',
  accept_word = 'Cleanroom: accept the next word',
  accept_line = 'Cleanroom: accept the line',
  dismiss = 'Cleanroom: dismiss the ghost text',
  trigger = 'Cleanroom: ask for a completion',
}

local function raw(keys)
  return vim.api.nvim_replace_termcodes(keys, true, true, true)
end

-- What a key does without us. Neovim's own expression mappings answer keys; others' may change the text themselves.
local function otherwise(lhs)
  for _, map in ipairs(vim.api.nvim_get_keymap('i')) do
    if raw(map.lhs) == raw(lhs) then
      local keys = map.rhs or ''
      if map.callback then
        keys = map.callback()
        keys = map.expr == 1 and type(keys) == 'string' and keys or ''
      elseif map.expr == 1 then
        keys = vim.api.nvim_eval(map.rhs)
      end
      keys = (map.expr ~= 1 or map.replace_keycodes == 1) and raw(keys) or keys
      vim.api.nvim_feedkeys(keys, map.noremap == 1 and 'in' or 'im', false)
      return ''
    end
  end
  return raw(lhs)
end

---@param bufnr integer
function M.set(bufnr)
  for action, lhs in pairs(options.current.keymaps or {}) do
    if lhs then
      vim.keymap.set('i', lhs, function()
        return require('cleanroom')[action]() == false and otherwise(lhs) or ''
      end, { buffer = bufnr, expr = true, replace_keycodes = false, desc = DESCRIPTIONS[action] })
    end
  end
end

return M
