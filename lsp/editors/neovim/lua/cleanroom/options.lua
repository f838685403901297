-- The options of setup(), and what is wrong with them. Knows nothing of servers.
local M = {}

local defaults = {
  cmd = { 'cleanroom', 'lsp' },
  -- Where :Cleanroom signin keeps the key; false keeps it in memory alone.
  key_file = vim.fs.joinpath(vim.fn.stdpath('data'), 'cleanroom', 'key'),
  -- Filetypes without completions.
  disabled_filetypes = { 'gitcommit', 'gitrebase', 'help' },
  -- What the server is told; see docs/language-server.md.
  settings = {},
  -- false, or keys of insert mode; each may be false.
  keymaps = {
    accept = '<Tab>',
    accept_word = '<M-w>',
    accept_line = '<M-l>',
    dismiss = '<C-]>',
    trigger = '<M-Bslash>',
  },
  -- The menu of Neovim 0.11, which has no ghost text: milliseconds after the last key, or false for <C-x><C-o> alone.
  menu_delay = 300,
  -- Whether licences that must be named stand behind the line.
  citations = true,
}

M.current = vim.deepcopy(defaults)

local function keys(value)
  return value == false or type(value) == 'string'
end

---@param options? table
function M.set(options)
  options = options or {}
  local ok, problem = pcall(function()
    vim.validate('options', options, 'table')
    for name in pairs(options) do
      if defaults[name] == nil then
        error(("%s is no option of Cleanroom: see :help cleanroom-options"):format(name), 0)
      end
    end
    local merged = vim.tbl_deep_extend('force', defaults, options)
    vim.validate('cmd', merged.cmd, vim.islist, 'a list of words')
    vim.validate('key_file', merged.key_file, keys, 'a path or false')
    vim.validate('disabled_filetypes', merged.disabled_filetypes, vim.islist, 'a list of filetypes')
    vim.validate('settings', merged.settings, 'table')
    vim.validate('citations', merged.citations, 'boolean')
    vim.validate('menu_delay', merged.menu_delay, function(value)
      return value == false or type(value) == 'number'
    end, 'milliseconds or false')
    vim.validate('keymaps', merged.keymaps, function(value)
      return value == false or type(value) == 'table'
    end, 'a table or false')
    for name, lhs in pairs(merged.keymaps or {}) do
      if defaults.keymaps[name] == nil then
        error(("keymaps.%s is no action of Cleanroom: see :help cleanroom-keymaps"):format(name), 0)
      end
      vim.validate('keymaps.' .. name, lhs, keys, 'keys or false')
    end
    M.current = merged
  end)
  if not ok then
    vim.notify('Cleanroom: ' .. tostring(problem), vim.log.levels.ERROR)
  end
end

return M
