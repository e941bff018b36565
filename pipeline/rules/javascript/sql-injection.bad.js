// Hostile data in SQL text.
import express from 'express'
import knex from 'knex'

const app = express()

app.get('/users', (req, res) => {
  db.query(`SELECT * FROM users WHERE name = '${req.query.name}'`, (err, rows) => res.json(rows)) // expect: javascript.sql-injection
  db.query("SELECT * FROM users WHERE name = '" + req.query.name + "'") // expect: javascript.sql-injection
  const { name } = req.body
  const query = 'SELECT * FROM users WHERE name = "' + name + '"'
  db.query(query, (err, rows) => res.json(rows)) // expect: javascript.sql-injection
})

app.post('/login', async function (req, res) {
  const user = req.body.user
  let sql = 'SELECT * FROM users'
  sql += " WHERE name = '" + user + "'"
  const rows = await pool.query(sql) // expect: javascript.sql-injection
  await pool.query({ text: `DELETE FROM sessions WHERE name = '${user}'` }) // expect: javascript.sql-injection
  await models.sequelize.query(`SELECT * FROM users WHERE name = '${user}'`, { raw: true }) // expect: javascript.sql-injection
  await knex.raw("SELECT * FROM users WHERE name = '" + user + "'") // expect: javascript.sql-injection
  await knex('users').whereRaw(`name = '${user}'`) // expect: javascript.sql-injection
  await prisma.$queryRawUnsafe(`SELECT * FROM users WHERE name = '${user}'`) // expect: javascript.sql-injection
  res.json(rows)
})

app.get('/sqlite/:id', (req, res) => {
  db.all(`SELECT * FROM users WHERE id = ${req.params.id}`, (err, rows) => res.json(rows)) // expect: javascript.sql-injection
  db.get('SELECT * FROM users WHERE id = ' + req.params.id, (err, row) => res.json(row)) // expect: javascript.sql-injection
  db.run('DELETE FROM users WHERE id = '.concat(req.params.id)) // expect: javascript.sql-injection
  db.exec(`DELETE FROM users WHERE id = ${req.params.id}`) // expect: javascript.sql-injection
  db.prepare(`SELECT * FROM users WHERE id = ${req.params.id}`).all() // expect: javascript.sql-injection
})

app.get('/nested', (req, res) => {
  const name = req.query.name
  pool.connect((err, client, done) => {
    client.query("SELECT * FROM users WHERE name = '" + name + "'", (err, result) => { // expect: javascript.sql-injection
      res.json(result.rows)
    })
  })
})

app.get('/search', (req, res) => {
  const conditions = []
  conditions.push(`name = '${req.query.name}'`)
  db.query('SELECT * FROM users WHERE ' + conditions.join(' AND ')) // expect: javascript.sql-injection
  db.query(req.query.statement) // expect: javascript.sql-injection
})

function find(name) {
  return db.query(`SELECT * FROM users WHERE name = '${name}'`) // expect: javascript.sql-injection
}

const remove = async (id) => {
  await db.run('DELETE FROM users WHERE id = ' + id) // expect: javascript.sql-injection
}

class Users {
  find(name) {
    return this.db.query("SELECT * FROM users WHERE name = '" + name + "'") // expect: javascript.sql-injection
  }
}
