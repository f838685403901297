-- Licences that must be named with code that was taken over, as hints behind its first line. Where they stand is the
-- server's to say (cleanroom/citations), which follows every edit.
local options = require('cleanroom.options')
local status = require('cleanroom.status')

local M = {}

local namespace = vim.api.nvim_create_namespace('cleanroom.citation')

vim.diagnostic.config({ virtual_text = true, signs = false, underline = false }, namespace)

local function position(line, character, bufnr, encoding)
  local text = vim.api.nvim_buf_get_lines(bufnr, line, line + 1, false)[1]
  return text and vim.str_byteindex(text, encoding, character, false) or 0
end

local function hint(citation, bufnr, encoding)
  local first, last = citation.range.start, citation.range['end']
  return {
    lnum = first.line,
    col = position(first.line, first.character, bufnr, encoding),
    end_lnum = last.line,
    end_col = position(last.line, last.character, bufnr, encoding),
    severity = vim.diagnostic.severity.HINT,
    source = 'Cleanroom',
    code = citation.decision,
    message = ('%s: %s'):format(citation.license, citation.url),
  }
end

-- All citations that stand in one document, from now on.
---@param params { uri: string, citations: { range: table, license: string, url: string, decision: string? }[] }
---@param client vim.lsp.Client
function M.show(params, client)
  if not options.current.citations then
    return
  end
  local ok, problem = pcall(function()
    local bufnr = vim.uri_to_bufnr(params.uri)
    if not vim.api.nvim_buf_is_loaded(bufnr) then
      return
    end
    local hints = vim.tbl_map(function(citation)
      return hint(citation, bufnr, client.offset_encoding)
    end, params.citations)
    vim.diagnostic.set(namespace, bufnr, hints)
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
