const express = require("express");
const { Client } = require("pg");

const app = express();
const client = new Client();

app.get("/user", async (req, res) => {
  const name = req.query.name;
  if (!name) {
    return res.status(400).end();
  }
  const send = client.query.bind(client);
  const found = await send(`SELECT id FROM users WHERE name = '${name}'`);
  return res.json(found.rows);
});

module.exports = app;
