-- Ghost text by vim.lsp.inline_completion (Neovim 0.12): what it lacks for a place that is being typed at.
--
-- Neovim 0.12 draws an answer wherever the cursor has gone meanwhile, and puts it in at the place that it was made for.
-- Here an item stands only as long as what was typed since is its own beginning, and is put in behind that.
local M = {}

local METHOD = 'textDocument/inlineCompletion'

-- An item, where it would go: rows and columns from 0, columns in bytes; `asked` is the cursor's when it was asked for.
---@class cleanroom.Ghost
---@field text string
---@field row integer
---@field first integer
---@field last integer
---@field asked integer
---@field command? lsp.Command

local ghosts = {} ---@type table<integer, cleanroom.Ghost?> by buffer
-- What Neovim takes answers with, by buffer and client: it has no function to ask for a completion with.
local handlers = {} ---@type table<integer, table<integer, lsp.Handler>>

local function column(bufnr, row, character, encoding)
  local line = vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1]
  return line and vim.str_byteindex(line, encoding, character, false)
end

---@return cleanroom.Ghost?
local function ghost_of(item, params, bufnr, encoding)
  local text = item.insertText
  local range = item.range or { start = params.position, ['end'] = params.position }
  local row = range.start.line
  if type(text) ~= 'string' or row ~= range['end'].line or row ~= params.position.line then
    return nil
  end
  local first = column(bufnr, row, range.start.character, encoding)
  local last = column(bufnr, row, range['end'].character, encoding)
  local asked = column(bufnr, row, params.position.character, encoding)
  return first and { text = text, row = row, first = first, last = last, asked = asked, command = item.command }
end

-- What of a ghost is still to be put in, and the columns that it replaces; nothing if it does not fit the text any more.
---@param bufnr integer
---@return { text: string, row: integer, from: integer, to: integer }?
local function rest(bufnr)
  local ghost = ghosts[bufnr]
  if not ghost or bufnr ~= vim.api.nvim_get_current_buf() then
    return nil
  end
  local cursor = vim.api.nvim_win_get_cursor(0)
  local row, col = cursor[1] - 1, cursor[2]
  if row ~= ghost.row or col < ghost.first then
    return nil
  end
  local line = vim.api.nvim_get_current_line()
  local typed = line:sub(ghost.first + 1, col)
  if #typed >= #ghost.text or ghost.text:sub(1, #typed) ~= typed then
    return nil
  end
  -- What the range holds behind the cursor has moved with it.
  local to = math.min(#line, math.max(col, ghost.last + col - ghost.asked))
  return { text = ghost.text:sub(#typed + 1), row = row, from = col, to = to }
end

-- Takes a ghost away in Neovim's eyes too: as if the answer had been empty.
local function clear(bufnr)
  ghosts[bufnr] = nil
  for client_id, handler in pairs(handlers[bufnr] or {}) do
    handler(nil, { items = {} }, { client_id = client_id, bufnr = bufnr, method = METHOD })
  end
end

-- Lets a client's answers through to Neovim only while they fit what has been typed since.
---@param client vim.lsp.Client
function M.watch(client)
  local request = client.request
  client.request = function(self, method, params, handler, bufnr)
    if method ~= METHOD then
      return request(self, method, params, handler, bufnr)
    end
    bufnr = (bufnr == nil or bufnr == 0) and vim.api.nvim_get_current_buf() or bufnr
    handlers[bufnr] = handlers[bufnr] or {}
    handlers[bufnr][client.id] = handler
    return request(self, method, params, function(err, result, context)
      if not vim.api.nvim_buf_is_loaded(bufnr) then
        return
      end
      local items = type(result) == 'table' and (result.items or result) or {}
      local ok, ghost = pcall(ghost_of, type(items) == 'table' and items[1] or {}, params, bufnr, client.offset_encoding)
      ghosts[bufnr] = ok and ghost or nil
      if not rest(bufnr) then
        ghosts[bufnr] = nil
      end
      -- One item: what the commands here put in is what is drawn.
      local shown = { items = ghosts[bufnr] and { items[1] } or {} }
      return handler(err, shown, context)
    end, bufnr)
  end
end

-- Whether ghost text stands that fits.
function M.visible()
  return rest(vim.api.nvim_get_current_buf()) ~= nil
end

local function put(bufnr, place, text)
  local lines = vim.split(text, '\n', { plain = true })
  vim.api.nvim_buf_set_text(bufnr, place.row, place.from, place.row, place.to, lines)
  local last = #lines[#lines]
  vim.api.nvim_win_set_cursor(0, { place.row + #lines, #lines == 1 and place.from + last or last })
end

local function run(ghost, command)
  if command then
    local client = vim.lsp.get_clients({ name = 'cleanroom', bufnr = 0 })[1]
    if client then
      client:request('workspace/executeCommand', command, function() end, 0)
    end
  end
end

-- Mappings may be expressions, in which text cannot be changed.
local function later(action)
  vim.schedule(function()
    if vim.api.nvim_get_mode().mode:sub(1, 1) == 'i' then
      action()
    end
  end)
end

function M.accept()
  if not M.visible() then
    return false
  end
  later(function()
    local bufnr = vim.api.nvim_get_current_buf()
    local place, ghost = rest(bufnr), ghosts[bufnr]
    if place and ghost then
      M.dismiss()
      put(bufnr, place, place.text)
      run(ghost, ghost.command)
    end
  end)
  return true
end

---@param part 'word'|'line'
function M.accept_part(part)
  if not M.visible() then
    return false
  end
  later(function()
    local bufnr = vim.api.nvim_get_current_buf()
    local place, ghost = rest(bufnr), ghosts[bufnr]
    if not place or not ghost then
      return
    end
    local pattern = part == 'word' and '^%s*[%w_]+' or '^\n?[^\n]*'
    local text = place.text:match(pattern) or place.text:match('^%s*[^%s%w_]+') or place.text
    if text == place.text then
      M.accept()
      return
    end
    place.to = place.from
    put(bufnr, place, text)
    local id = ghost.command and (ghost.command.arguments or {})[1]
    if id then
      local taken = vim.fn.strchars(ghost.text:sub(1, #ghost.text - #place.text + #text))
      run(ghost, { command = 'cleanroom/acceptedPart', arguments = { id, taken } })
    end
  end)
  return true
end

function M.dismiss()
  local visible = M.visible()
  clear(vim.api.nvim_get_current_buf())
  return visible
end

-- Asks here and now. Before the first key of insert mode there is nothing to ask with, and Neovim asks then itself.
function M.trigger()
  local bufnr = vim.api.nvim_get_current_buf()
  for client_id, handler in pairs(handlers[bufnr] or {}) do
    local client = vim.lsp.get_client_by_id(client_id)
    if client then
      local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
      params.context = { triggerKind = 1 }
      client:request(METHOD, params, handler, bufnr)
    end
  end
end

-- Has Neovim ask for whoever is typing in this buffer and has been waiting: it asks when the cursor moves.
local function ask_for_typist(bufnr)
  if bufnr == vim.api.nvim_get_current_buf() and vim.api.nvim_get_mode().mode == 'i' then
    vim.api.nvim_exec_autocmds('CursorMovedI', { buffer = bufnr, modeline = false })
  end
end

-- The service is back: what was asked of it for a document while it was away would get an answer now.
---@param uri any
function M.retry(uri)
  local bufnr = vim.api.nvim_get_current_buf()
  if uri == vim.uri_from_bufnr(bufnr) and handlers[bufnr] and not M.visible() then
    ask_for_typist(bufnr)
  end
end

---@param client vim.lsp.Client
---@param bufnr integer
function M.attach(client, bufnr)
  vim.lsp.inline_completion.enable(true, { bufnr = bufnr })
  require('cleanroom.keymaps').set(bufnr)
  local group = vim.api.nvim_create_augroup('cleanroom.ghost.' .. bufnr, {})
  -- After Neovim's own, which draw.
  vim.api.nvim_create_autocmd({ 'CursorMovedI', 'TextChangedI', 'TextChangedP' }, {
    group = group,
    buffer = bufnr,
    callback = function()
      if not rest(bufnr) then
        clear(bufnr)
      end
    end,
  })
  vim.api.nvim_create_autocmd('InsertLeave', {
    group = group,
    buffer = bufnr,
    callback = function()
      ghosts[bufnr] = nil
    end,
  })
  vim.api.nvim_create_autocmd({ 'LspDetach', 'BufUnload' }, {
    group = group,
    buffer = bufnr,
    callback = function(event)
      if event.event == 'BufUnload' or event.data.client_id == client.id then
        ghosts[bufnr], handlers[bufnr] = nil, nil
      end
    end,
  })
  -- Whoever types already has been waiting for the server.
  ask_for_typist(bufnr)
end

return M
