-- How things stand: what the server said last (cleanroom/didChangeStatus), or why there is no server.
local M = {}

local INITIAL = { busy = false, kind = 'Inactive', message = 'Cleanroom has not been started: open a file' }
local KINDS = { Normal = true, Warning = true, Error = true, Inactive = true }
local SIGNS = { Normal = '', Warning = ' !', Error = ' !!', Inactive = ' off' }

local current = INITIAL
local told ---@type string? the last error that was shown

---@return { busy: boolean, kind: string, message: string }
function M.get()
  return vim.deepcopy(current)
end

-- What nobody asked for, as one line: more of them would wait for a key.
---@param text string
---@return string
function M.fitted(text)
  local line = text:gsub('%s*\n%s*', ' ')
  local room = vim.v.echospace
  if vim.fn.strdisplaywidth(line) > room then
    line = vim.fn.strcharpart(line, 0, room - 22) .. ' ... :Cleanroom status'
  end
  return line
end

-- Takes a status. An error is shown once; the rest waits in the status line until somebody looks.
---@param status table
function M.set(status)
  if type(status) ~= 'table' or not KINDS[status.kind] then
    status = { kind = 'Error', message = 'the language server sent a status that is none: is it Cleanroom? Check cmd' }
  end
  current = { busy = status.busy == true, kind = status.kind, message = tostring(status.message or '') }
  if current.kind ~= 'Error' then
    told = nil
  elseif told ~= current.message then
    told = current.message
    vim.notify(M.fitted('Cleanroom: ' .. current.message), vim.log.levels.ERROR)
  end
  vim.api.nvim_exec_autocmds('User', { pattern = 'CleanroomStatus', modeline = false, data = M.get() })
  vim.cmd.redrawstatus({ bang = true })
end

---@return string
function M.line()
  return 'Cleanroom' .. (current.busy and ' ...' or SIGNS[current.kind])
end

return M
