-- Licences that must be named with code that was taken over (cleanroom/citation), as hints behind its first line.
local options = require('cleanroom.options')
local status = require('cleanroom.status')

local M = {}

local namespace = vim.api.nvim_create_namespace('cleanroom.citation')

vim.diagnostic.config({ virtual_text = true, signs = false, underline = false }, namespace)

local function position(line, character, bufnr, encoding)
  local text = vim.api.nvim_buf_get_lines(bufnr, line, line + 1, false)[1]
  return text and vim.str_byteindex(text, encoding, character, false) or 0
end

-- A citation of the server's. What was only shown, and not taken over, needs none.
---@param citation { uri: string, range: table, license: string, url: string, decision: string?, accepted: boolean? }
---@param client vim.lsp.Client
function M.show(citation, client)
  if not options.current.citations or citation.accepted == false then
    return
  end
  local ok, problem = pcall(function()
    local bufnr = vim.uri_to_bufnr(citation.uri)
    if not vim.api.nvim_buf_is_loaded(bufnr) then
      return
    end
    local first, last = citation.range.start, citation.range['end']
    local shown = vim.diagnostic.get(bufnr, { namespace = namespace })
    table.insert(shown, {
      lnum = first.line,
      col = position(first.line, first.character, bufnr, client.offset_encoding),
      end_lnum = last.line,
      end_col = position(last.line, last.character, bufnr, client.offset_encoding),
      severity = vim.diagnostic.severity.HINT,
      source = 'Cleanroom',
      code = citation.decision,
      message = ('%s: %s'):format(citation.license, citation.url),
    })
    vim.diagnostic.set(namespace, bufnr, shown)
  end)
  if not ok then
    status.set({ kind = 'Error', message = 'the language server sent a citation that is none: ' .. tostring(problem) })
  end
end

-- Takes the hints of a buffer away.
---@param bufnr integer
function M.clear(bufnr)
  vim.diagnostic.reset(namespace, bufnr)
end

return M
