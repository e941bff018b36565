const express = require("express");
const { Client } = require("pg");

const app = express();
const client = new Client();

async function lookup(query) {
  return client.query(query);
}

app.get("/user", async (req, res) => {
  const name = req.query.name;
  if (!name) {
    return res.status(400).end();
  }
  const found = await lookup(`SELECT id FROM users WHERE name = '${name}'`);
  return res.json(found.rows);
});

module.exports = app;
