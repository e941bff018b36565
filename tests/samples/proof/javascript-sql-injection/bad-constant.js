const express = require("express");
const { Client } = require("pg");

const app = express();
const client = new Client();

app.get("/user", async (req, res) => {
  const name = req.query.name;
  if (!name) {
    return res.status(400).end();
  }
  const found = await client.query("SELECT id FROM users WHERE name = 'admin'");
  return res.json(found.rows);
});

module.exports = app;
