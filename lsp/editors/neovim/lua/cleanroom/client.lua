-- The connection to `cleanroom lsp`: where it starts, with which key, and what happens when it ends.
local citation = require('cleanroom.citation')
local key = require('cleanroom.key')
local options = require('cleanroom.options')
local status = require('cleanroom.status')

local M = {}

local NAME = 'cleanroom'
-- A server that ends by itself is started again, but not for ever: so many times in so many seconds.
local RESTARTS, WINDOW = 4, 180
local RESTART_AFTER = { 100, 500, 2000, 5000 }

local ended = {} ---@type number[] when servers ended by themselves
local leaving = false
local used ---@type string? the key that the server was started with

-- Whether a buffer is one that completions are for; if not, why.
---@param bufnr integer
---@return boolean, string?
function M.wanted(bufnr)
  if vim.bo[bufnr].buftype ~= '' then
    return false, 'this buffer is no file'
  end
  if vim.api.nvim_buf_get_name(bufnr) == '' then
    return false, 'this buffer has no name: save it'
  end
  if vim.bo[bufnr].filetype == '' then
    -- Neovim starts language servers when a filetype is set.
    return false, 'this buffer has no filetype: :set filetype=text gives it one'
  end
  if vim.tbl_contains(options.current.disabled_filetypes, vim.bo[bufnr].filetype) then
    return false, ('disabled_filetypes has %s'):format(vim.bo[bufnr].filetype)
  end
  return true
end

local function root_dir(bufnr, start)
  if M.wanted(bufnr) then
    local name = vim.api.nvim_buf_get_name(bufnr)
    start(vim.fs.root(bufnr, { '.git', '.cleanroomignore' }) or vim.fs.dirname(name))
  end
end

local function ended_by_itself(code, signal)
  if leaving or (code == 0 and signal == 0) or signal == 15 then
    return
  end
  local now = vim.uv.hrtime() / 1e9
  ended = vim.tbl_filter(function(moment)
    return now - moment < WINDOW
  end, ended)
  table.insert(ended, now)
  local cause = ('the language server ended with code %d and signal %d'):format(code, signal)
  if #ended > RESTARTS then
    local remedy = ':Cleanroom restart tries again, :checkhealth cleanroom may say why'
    status.set({ kind = 'Error', message = ('%s, %d times by now: %s'):format(cause, #ended, remedy) })
    return
  end
  status.set({ kind = 'Warning', message = cause .. ' and is being started again' })
  vim.defer_fn(M.start, RESTART_AFTER[#ended])
end

local function launch(dispatchers)
  local secret = key.get()
  used = secret
  local told = dispatchers.on_exit
  -- Neovim would announce the end in more lines than fit, and wait for a key.
  dispatchers.on_exit = function(code, signal)
    told(0, 0)
    vim.schedule(function()
      ended_by_itself(code, signal)
    end)
  end
  -- By the environment: what a process is started with is for everybody to read.
  return vim.lsp.rpc.start(options.current.cmd, dispatchers, { env = { CLEANROOM_API_KEY = secret or '' } })
end

local function on_init(client)
  client.handlers['cleanroom/didChangeStatus'] = function(_, result)
    local _, _, problem = key.get()
    if problem and type(result) == 'table' and result.kind == 'Inactive' then
      result = { kind = 'Error', message = problem }
    elseif type(result) == 'table' and result.kind == 'Inactive' and key.signed_out() then
      result = { kind = 'Inactive', message = 'signed out: :Cleanroom signin takes a key' }
    end
    status.set(result)
  end
  client.handlers['cleanroom/retry'] = function(_, result)
    require('cleanroom.ghost').retry(type(result) == 'table' and result.uri)
  end
  client.handlers['cleanroom/citations'] = function(_, result)
    citation.show(result, client)
  end
  require('cleanroom.ghost').watch(client)
  -- Somebody may have signed in or out while it started.
  local secret = key.get()
  if secret ~= used then
    local command = secret and 'cleanroom/signIn' or 'cleanroom/signOut'
    client:request('workspace/executeCommand', { command = command, arguments = { secret } }, function() end)
  end
end

local function on_attach(client, bufnr)
  if vim.lsp.inline_completion and client:supports_method('textDocument/inlineCompletion') then
    require('cleanroom.ghost').attach(client, bufnr)
  elseif client:supports_method('textDocument/completion') then
    require('cleanroom.menu').attach(client, bufnr)
  end
  vim.api.nvim_create_autocmd('LspDetach', {
    group = vim.api.nvim_create_augroup('cleanroom.citation.' .. bufnr, {}),
    buffer = bufnr,
    callback = function(event)
      if event.data.client_id == client.id then
        -- Nobody knows any more where they stand.
        citation.clear(bufnr)
      end
    end,
  })
end

---@return vim.lsp.Config
function M.config()
  return {
    cmd = launch,
    root_dir = root_dir,
    before_init = function(params)
      local named = vim.tbl_extend('force', params.initializationOptions or {}, options.current.settings)
      params.initializationOptions = vim.tbl_isempty(named) and vim.empty_dict() or named
    end,
    on_init = on_init,
    on_attach = on_attach,
    -- The server waits for a pause in typing and learns how long from when keys come: less than its least pause.
    flags = { debounce_text_changes = 50 },
  }
end

-- The client of this buffer, else any.
---@return vim.lsp.Client?
function M.get()
  return vim.lsp.get_clients({ name = NAME, bufnr = 0 })[1] or vim.lsp.get_clients({ name = NAME })[1]
end

-- Starts a server for the buffers that are open, if none runs.
function M.start()
  local ok, problem = pcall(vim.lsp.enable, NAME)
  if not ok then
    status.set({ kind = 'Error', message = tostring(problem) })
  end
end

function M.stop()
  vim.lsp.enable(NAME, false)
  for _, client in ipairs(vim.lsp.get_clients({ name = NAME })) do
    client:stop()
  end
end

-- Stops the server and starts it, once it is gone.
function M.restart()
  ended = {}
  M.stop()
  local function start(tries)
    if M.get() and tries > 0 then
      vim.defer_fn(function()
        start(tries - 1)
      end, 50)
    else
      M.start()
    end
  end
  start(60)
end

function M.enable()
  vim.api.nvim_create_autocmd('VimLeavePre', {
    group = vim.api.nvim_create_augroup('cleanroom', {}),
    callback = function()
      leaving = true
    end,
  })
  if vim.fn.executable(options.current.cmd[1]) == 0 then
    local remedy = "install Cleanroom (pip install cleanroom), or name it in setup({ cmd = { '/path/to/cleanroom', 'lsp' } })"
    status.set({ kind = 'Error', message = ('%s is not to be found: %s'):format(options.current.cmd[1], remedy) })
    return
  end
  M.start()
end

-- Runs a command of the server's; the callback gets its answer, or nil.
---@param name string
---@param arguments any[]
---@param done fun(result: any)
function M.execute(name, arguments, done)
  local client = M.get()
  if not client then
    status.set({ kind = 'Error', message = 'no language server runs: :checkhealth cleanroom may say why' })
    return
  end
  client:request('workspace/executeCommand', { command = name, arguments = arguments }, function(err, result)
    if err then
      vim.notify('Cleanroom: ' .. tostring(err.message), vim.log.levels.ERROR)
    else
      done(result)
    end
  end)
end

return M
