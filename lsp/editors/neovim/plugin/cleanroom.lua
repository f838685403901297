-- The command :Cleanroom. All else is loaded by it, or by require('cleanroom').setup().
if vim.g.loaded_cleanroom then
  return
end
vim.g.loaded_cleanroom = true

vim.api.nvim_create_user_command('Cleanroom', function(call)
  require('cleanroom.commands').run(call.fargs)
end, {
  nargs = '*',
  desc = 'Completions from Cleanroom: signin, signout, status, decision, ...',
  complete = function(lead, line)
    return require('cleanroom.commands').complete(lead, line)
  end,
})
