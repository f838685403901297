-- What :Cleanroom does.
local client = require('cleanroom.client')
local key = require('cleanroom.key')
local status = require('cleanroom.status')

local M = {}

local function say(text, level)
  vim.notify('Cleanroom: ' .. text, level or vim.log.levels.INFO)
end

local function describe(state)
  return state.kind .. (state.message ~= '' and ': ' .. state.message or '')
end

-- Hands a key over, or takes it back, and tells what the service made of it.
local function tell(command, arguments)
  if not client.get() then
    client.start()
    return
  end
  client.execute(command, arguments, function(answer)
    if type(answer) == 'table' and answer.kind then
      local level = answer.kind == 'Error' and vim.log.levels.ERROR or vim.log.levels.INFO
      vim.notify(status.fitted('Cleanroom: ' .. describe(answer)), level)
    end
  end)
end

local function sign_in()
  key.ask(function(typed)
    if not typed then
      say('no key was typed in')
      return
    end
    local problem = key.keep(typed)
    if problem then
      say(problem, vim.log.levels.WARN)
    end
    tell('cleanroom/signIn', { typed })
  end)
end

local function sign_out()
  local problem = key.forget()
  if problem then
    say(problem, vim.log.levels.ERROR)
  end
  tell('cleanroom/signOut', {})
end

local actions = {
  signin = sign_in,
  signout = sign_out,
  status = function()
    local wanted, why = client.wanted(vim.api.nvim_get_current_buf())
    if not wanted then
      say('Inactive: ' .. why)
    else
      say(describe(status.get()))
    end
  end,
  decision = function()
    -- The server shows it.
    client.execute('cleanroom/showDecision', {}, function(decision)
      if decision == nil or decision == vim.NIL then
        say('there was no completion yet, and so no decision')
      end
    end)
  end,
  restart = client.restart,
  stop = client.stop,
  citations = function()
    require('cleanroom.citation').clear(vim.api.nvim_get_current_buf())
    if client.get() then
      client.execute('cleanroom/clearCitations', { vim.uri_from_bufnr(0) }, function() end)
    end
  end,
}

---@param words string[]
function M.run(words)
  local action = actions[words[1] or 'status']
  if not action then
    local names = vim.tbl_keys(actions)
    table.sort(names)
    say(('%s is no command: %s'):format(words[1], table.concat(names, ', ')), vim.log.levels.ERROR)
    return
  end
  action()
end

---@param lead string
---@return string[]
function M.complete(lead, line)
  if line:match('^%s*%S+%s+%S+%s') then
    return {}
  end
  local names = vim.tbl_filter(function(name)
    return vim.startswith(name, lead)
  end, vim.tbl_keys(actions))
  table.sort(names)
  return names
end

return M
