-- Neovim 0.11 has no ghost text: completions are items of its menu, which is asked for some time after the last key.
local options = require('cleanroom.options')

local M = {}

local timers = {} ---@type table<integer, uv.uv_timer_t>

local function stop(bufnr)
  local timer = timers[bufnr]
  if timer then
    timers[bufnr] = nil
    timer:stop()
    timer:close()
  end
end

local function ask(bufnr)
  timers[bufnr] = nil
  local here = vim.api.nvim_get_current_buf() == bufnr and vim.api.nvim_get_mode().mode == 'i'
  if here and vim.fn.pumvisible() == 0 then
    vim.lsp.completion.get()
  end
end

-- Neovim 0.11 puts the first word of an item in: here comes the rest.
local function finish(client, bufnr)
  local chosen = vim.v.completed_item
  local source = vim.tbl_get(chosen, 'user_data', 'nvim', 'lsp') or {}
  local text = vim.tbl_get(source, 'completion_item', 'textEdit', 'newText')
  if source.client_id ~= client.id or not text or not vim.startswith(text, chosen.word) or chosen.word == '' then
    return
  end
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local lines = vim.split(text:sub(#chosen.word + 1), '\n', { plain = true })
  vim.api.nvim_buf_set_text(bufnr, row - 1, col, row - 1, col, lines)
  local last = #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { row + #lines - 1, #lines == 1 and col + last or last })
end

---@param client vim.lsp.Client
---@param bufnr integer
function M.attach(client, bufnr)
  vim.lsp.completion.enable(true, client.id, bufnr, { autotrigger = false })
  vim.api.nvim_create_autocmd('CompleteDone', {
    group = vim.api.nvim_create_augroup('cleanroom.menu.done.' .. bufnr, {}),
    buffer = bufnr,
    callback = function()
      if vim.v.event.reason == 'accept' then
        finish(client, bufnr)
      end
    end,
  })
  if not options.current.menu_delay then
    return
  end
  -- Nothing is put in until it is chosen.
  vim.opt_local.completeopt = { 'menuone', 'noselect', 'popup' }
  local group = vim.api.nvim_create_augroup('cleanroom.menu.' .. bufnr, {})
  vim.api.nvim_create_autocmd('TextChangedI', {
    group = group,
    buffer = bufnr,
    callback = function()
      stop(bufnr)
      timers[bufnr] = vim.defer_fn(function()
        ask(bufnr)
      end, options.current.menu_delay)
    end,
  })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufUnload' }, {
    group = group,
    buffer = bufnr,
    callback = function()
      stop(bufnr)
    end,
  })
end

return M
