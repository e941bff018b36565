// Statements that are ours alone.
import express from 'express'

const app = express()
const SORTABLE = ['name', 'age']
const COLUMNS = { name: 'name', age: 'age_in_years' }

app.get('/users', async (req, res) => {
  db.query('SELECT * FROM users WHERE name = ?', [req.query.name], (err, rows) => res.json(rows))
  await pool.query('SELECT * FROM users WHERE name = $1', [req.query.name])
  await pool.query({ text: 'SELECT * FROM users WHERE name = $1', values: [req.query.name] })
  db.all(`SELECT * FROM users WHERE id = ${Number(req.params.id)}`)
  db.all(`SELECT * FROM users LIMIT ${parseInt(req.query.limit, 10)}`)
  await sequelize.query('SELECT * FROM users WHERE name = :name', { replacements: { name: req.body.name } })
  await prisma.$queryRaw`SELECT * FROM users WHERE name = ${req.query.name}`
  await db.execute(sql`SELECT * FROM users WHERE name = ${req.query.name}`)
  const found = await cache.get('select:' + req.query.name)
  res.json(found)
})

app.get('/sorted', (req, res) => {
  let order = req.query.order
  if (!SORTABLE.includes(order)) order = 'name'
  db.query(`SELECT * FROM users ORDER BY ${order}`)
  db.query(`SELECT * FROM users ORDER BY ${COLUMNS[req.query.order]}`)
  db.query(`SELECT * FROM users ORDER BY name ${req.query.reverse ? 'DESC' : 'ASC'}`)
})

app.get('/many', (req, res) => {
  const ids = req.query.ids
  const marks = ids.map(() => '?').join(',')
  db.query(`SELECT * FROM users WHERE id IN (${marks})`, ids)
})

function handedOn(query, values) {
  return db.query(query, values)
}

function count(table) {
  return db.query(`SELECT COUNT(*) FROM ${table}`)
}

function words(text) {
  return /select (.*)/.exec('please select ' + text)
}
