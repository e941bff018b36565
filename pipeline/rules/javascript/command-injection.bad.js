// Hostile data in command lines.
const { exec, execSync, spawn } = require('child_process')
const childProcess = require('child_process')
const util = require('util')

const execAsync = util.promisify(exec)

app.post('/ping', (req, res) => {
  exec('ping -c 2 ' + req.body.address, (err, stdout) => res.send(stdout)) // expect: javascript.command-injection
  execSync(`ping -c 2 ${req.query.address}`) // expect: javascript.command-injection
  childProcess.exec(req.body.command) // expect: javascript.command-injection
  const { name } = req.params
  const command = `tar xf ${name}`
  childProcess.execSync(command) // expect: javascript.command-injection
  spawn('ping ' + req.query.address, { shell: true }) // expect: javascript.command-injection
  spawn('ping', [req.query.address], { shell: true }) // expect: javascript.command-injection
  spawn('sh', ['-c', 'ping ' + req.query.address]) // expect: javascript.command-injection
})

async function lookup(host) {
  return execAsync(`nslookup ${host}`) // expect: javascript.command-injection
}

const show = (file) => {
  require('child_process').exec('cat ' + file) // expect: javascript.command-injection
}

execSync('open ' + process.argv[2]) // expect: javascript.command-injection
