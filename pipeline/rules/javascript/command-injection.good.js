// Commands that nobody else writes.
const { exec, execFile, spawn } = require('child_process')

const ACTIONS = ['start', 'stop']

app.post('/ping', (req, res) => {
  execFile('ping', ['-c', '2', req.body.address], (err, stdout) => res.send(stdout))
  spawn('ping', [req.query.address])
  exec('ls -l')
  exec(`kill ${Number(req.query.pid)}`)
  const found = /a(.*)/.exec(req.query.name)
  const row = db.exec(req.query.name)
  if (ACTIONS.includes(req.query.action)) {
    exec('service app start')
  }
  res.json({ found, row })
})

function wrapper(command, options) {
  return exec(command, options)
}
