-- :checkhealth cleanroom
local client = require('cleanroom.client')
local key = require('cleanroom.key')
local options = require('cleanroom.options')
local status = require('cleanroom.status')

local M = {}

local WAIT = 5000

local function editor(health)
  local version = tostring(vim.version())
  if vim.fn.has('nvim-0.12') == 1 then
    health.ok('Neovim ' .. version .. ' has ghost text')
  elseif vim.fn.has('nvim-0.11') == 1 then
    health.warn('Neovim ' .. version .. ' has no ghost text: completions are in its menu', 'Neovim 0.12 has it')
  else
    health.error('Neovim ' .. version .. ' is too old: 0.11 is needed, 0.12 for ghost text')
  end
end

local function server(health)
  local program = options.current.cmd[1]
  if vim.fn.executable(program) == 0 then
    health.error(program .. ' is not to be found', {
      'Install it: pip install cleanroom',
      "Or name it: require('cleanroom').setup({ cmd = { '/path/to/cleanroom', 'lsp' } })",
    })
    return
  end
  health.ok(vim.fn.exepath(program) .. ' is there')
  local running = vim.lsp.get_clients({ name = 'cleanroom' })
  if #running == 0 then
    health.warn('no language server runs', 'Open a file; if it ends at once, see ' .. vim.lsp.log.get_filename())
  end
  for _, one in ipairs(running) do
    local version = (one.server_info or {}).version or 'of unknown version'
    local buffers = #vim.tbl_keys(one.attached_buffers)
    health.ok(('language server %s for %s, %d buffers'):format(version, one.root_dir or 'single files', buffers))
  end
end

local function service(health)
  local url = options.current.settings.url or 'http://127.0.0.1:8080'
  if vim.fn.executable('curl') == 0 then
    health.info('curl is not to be found: whether ' .. url .. ' answers was not tried')
    return
  end
  local command = { 'curl', '--silent', '--show-error', '--max-time', '3', '--output', vim.fs.normalize('/dev/null') }
  vim.list_extend(command, { '--write-out', '%{http_code}', '--', url .. '/readyz' })
  local done = vim.system(command, { text = true }):wait(WAIT)
  if done.stdout == '200' then
    health.ok(url .. ' is ready')
  elseif done.code == 0 then
    health.error(('%s answers %s to /readyz'):format(url, done.stdout), 'cleanroom serve tells what it waits for')
  else
    health.error(url .. ' cannot be reached: ' .. vim.trim(done.stderr or ''), 'Start it, or set settings.url')
  end
end

function M.check()
  local health = vim.health
  health.start('Cleanroom')
  editor(health)
  server(health)
  local secret, source, problem = key.get()
  if problem then
    health.error(problem)
  elseif secret then
    health.ok('the key comes from ' .. source)
  else
    health.warn('no key (' .. source .. ')', ':Cleanroom signin')
  end
  service(health)
  local state = status.get()
  local report = state.kind == 'Normal' and health.ok or state.kind == 'Error' and health.error or health.warn
  report(('status %s %s'):format(state.kind, state.message))
end

return M
